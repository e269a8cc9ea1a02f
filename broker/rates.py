"""Token buckets: how often one source may do a thing (log in, see a value). In memory, for this replica.

A bucket holds `burst` turns and gets one back every `seconds`. Buckets that are full again are forgotten, so memory is bounded by who
was here lately; past `MAX_BUCKETS` of those at once everyone new shares one, rather than anyone getting in unlimited.
"""

import time
from collections.abc import Callable

from broker.errors import Throttled

MAX_BUCKETS = 10_000
_REST = "\0the rest"


class Rates:
    """`clock` is monotonic, in seconds."""

    def __init__(self, burst: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._seconds, self._clock = burst, seconds, clock
        self._full_at: dict[str, float] = {}  # when the bucket will be full again: the one number that a bucket is

    def take(self, who: str, message: str) -> None:
        """One turn. Raises Throttled with the message, and when there is one again."""
        now = self._clock()
        key = who if who in self._full_at or len(self._full_at) < MAX_BUCKETS or self._swept(now) else _REST
        full_at = max(now, self._full_at.get(key, now)) + self._seconds
        wait = full_at - now - self._burst * self._seconds
        if wait > 0:
            raise Throttled(message, retry_after=wait)
        self._full_at[key] = full_at

    def give_back(self, who: str) -> None:
        """The turn that was just taken does not count."""
        if who in self._full_at:
            self._full_at[who] -= self._seconds

    def _swept(self, now: float) -> bool:
        """Whether there is room again."""
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        return len(self._full_at) < MAX_BUCKETS
