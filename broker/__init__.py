"""The broker: who asks (TokenReview), may they (roles of secret groups), what is it (secret stores)."""
