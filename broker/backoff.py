"""How long to wait before another try: full jitter under a ceiling that doubles, on top of what the store asks for.

Full jitter, because callers that failed in one moment must not come back in one moment; on top, because a Retry-After is the same for
all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds."""

    first: float = 0.2
    longest: float = 2.0

    def wait(self, tries: int, asked: float | None, uniform: Callable[[float, float], float]) -> float:
        """After so many tries, 1 or more; `asked` is the store's Retry-After."""
        ceiling = min(self.longest, self.first * 2 ** min(tries - 1, 16))
        return max(0.0, asked or 0.0) + uniform(0.0, ceiling)
