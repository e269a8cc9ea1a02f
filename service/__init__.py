"""What the webhook and the broker share as servers: settings, logs, TLS, the Kubernetes API, the live catalog, probes.

Sits between `contract` (pure) and the two programs, which import it and never each other. The init container does not.
"""
