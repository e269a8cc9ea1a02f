"""How much of the broker one store may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`call_seconds` is for all of a call, its wait and its tries; with the token's review (5 s) it ends well before the init container
    gives up on its own try (30 s). `try_seconds` is for one try of what may be tried again.
    """

    at_once: int = 32
    waiting: int = 5000
    call_seconds: float = 8.0
    try_seconds: float = 5.0
