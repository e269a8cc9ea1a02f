"""What the webhook, the broker and the init container agree on.

Pure: the standard library only, no input or output, no clock. The init container imports part of it at every pod
start, so a module that it needs (`fqn`, `plan`, `wire`, `values`, `envfile`, `keys`, `record`) imports as little as it can.
"""
