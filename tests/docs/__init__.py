"""The documentation: generated tables are fresh, and what it names exists."""
