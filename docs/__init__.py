"""The documentation, and the generator of the tables in it that the code holds. Nothing of it is installed."""
