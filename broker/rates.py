"""How often one caller may do what: token buckets, in bounded memory, told with the time to wait.

A bucket belongs to a name (a caller, an address) and fills by itself. When there are more names than fit, the one that was not used
for the longest goes: it is also the one that is most likely full. Per replica; two replicas allow twice as much.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from broker.errors import Throttled

MAX_NAMES = 10_000  # about 2 MB


class Rates:
    """`burst` at once, then `per_minute` (0: no limit). `clock` is monotonic, in seconds."""

    def __init__(self, per_minute: int, burst: int, clock: Callable[[], float] = time.monotonic, max_names: int = MAX_NAMES) -> None:
        self._per_second, self._burst, self._clock, self._max = per_minute / 60, max(1, burst), clock, max_names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, message: str, count: int = 1) -> None:
        """Raises Throttled with the message, and then nothing is taken. More than the burst at once costs the whole burst."""
        if not self._per_second:
            return
        wait = self.wait(name, count)
        if wait > 0:
            raise Throttled(message, wait)
        self._put(name, self._level(name) - min(count, self._burst))

    def wait(self, name: str, count: int = 1) -> float:
        """Seconds until `take` would do; 0: now."""
        missing = min(count, self._burst) - self._level(name)
        return missing / self._per_second if missing > 0 and self._per_second else 0.0

    def give_back(self, name: str, count: int = 1) -> None:
        """What was taken and turned out not to count (a login that was right, for one)."""
        if name in self._buckets:
            self._put(name, min(self._burst, self._level(name) + count))

    def _level(self, name: str) -> float:
        level, since = self._buckets.get(name, (float(self._burst), self._clock()))
        return min(float(self._burst), level + (self._clock() - since) * self._per_second)

    def _put(self, name: str, level: float) -> None:
        self._buckets[name] = (level, self._clock())
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._max:
            self._buckets.popitem(last=False)
