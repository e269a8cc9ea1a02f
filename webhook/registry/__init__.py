"""What an image would start, read from its registry: for containers without `command` in mode exec.

Decides nothing about pods: image, platform and pull secrets in, the image's ENTRYPOINT and CMD out, or why they cannot be had.
Leaves out pulling, layers and the node's own credential providers, which the webhook cannot see.
"""
