"""Azure Key Vault through Microsoft's own async client. `client` loads no library; what imports one is loaded by the first call."""
