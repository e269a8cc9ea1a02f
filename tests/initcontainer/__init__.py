"""The init container against a real TLS server on loopback and real tmpfs."""
