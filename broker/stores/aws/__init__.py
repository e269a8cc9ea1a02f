"""AWS: Systems Manager Parameter Store and Secrets Manager, on aiobotocore. What both share is how to log in, ask, and read a refusal.

aiobotocore takes 0.4 s to load and is imported by `sdk` alone, in a thread, when a store is first asked.
"""
