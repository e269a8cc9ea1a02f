"""What was noticed in the last minutes: a call that AWS has just refused is not made with every batch. Bounded."""

import time
from collections.abc import Callable


class Lately:
    """A set whose entries leave after `seconds`."""

    def __init__(self, seconds: float, limit: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._limit, self._clock = seconds, limit, clock
        self._since: dict[str, float] = {}

    def add(self, name: str) -> None:
        self._since.pop(name, None)
        self._since[name] = self._clock()
        if len(self._since) > self._limit:
            del self._since[next(iter(self._since))]

    def remove(self, name: str) -> None:
        self._since.pop(name, None)

    def __contains__(self, name: str) -> bool:
        since = self._since.get(name)
        if since is not None and self._clock() >= since + self._seconds:
            del self._since[name]
            return False
        return since is not None
