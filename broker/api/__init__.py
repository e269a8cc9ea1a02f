"""The management API under /api/svc/v1/: secret groups for programs, in the shape that TrueFoundry's SDK and CLI speak."""
