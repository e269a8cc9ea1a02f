"""What can stop the demo. The message says what went wrong, where, and what to do about it."""


class DemoError(Exception):
    """Ends the demo with exit code 1; shown without a traceback."""


class NotHere(DemoError):
    """This machine lacks what the demo needs."""
