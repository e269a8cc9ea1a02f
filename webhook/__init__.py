"""The admission webhook: AdmissionReview in, JSON Patch out. It never sees a secret's value."""
