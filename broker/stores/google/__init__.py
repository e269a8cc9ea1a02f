"""Google Secret Manager, on Google's own async client. Loaded only when a SecretStore names it."""
