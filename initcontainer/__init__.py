"""The init container: plan and pod token in, files on tmpfs out. Standard library and contract only."""
