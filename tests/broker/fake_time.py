"""Time that stands still until a test lets it pass: a clock, a sleep, dice that always show the most, the time of day."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from broker.timing import Timing

DAY = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)


async def settle():
    """Let the loop do what can be done now."""
    for _ in range(40):
        await asyncio.sleep(0)


class FakeTime:
    """`slept` is every wait that was asked for; `uniform` the dice, which a test may change."""

    def __init__(self, uniform=lambda _least, most: most):
        self.now = 0.0
        self.slept = []
        self.uniform = uniform
        self._order = itertools.count()
        self._sleepers = []

    @property
    def timing(self):
        return Timing(lambda: self.now, self.sleep, self._throw, lambda: DAY + timedelta(seconds=self.now))

    def _throw(self, least, most):
        return self.uniform(least, most)

    async def sleep(self, seconds):
        self.slept.append(seconds)
        done = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), done))
        await done

    async def pass_(self, seconds):
        """Let so many seconds pass; each sleeper wakes at its time."""
        until = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until + 1e-9:
            wakes, _, done = heapq.heappop(self._sleepers)
            self.now = max(self.now, wakes)
            if not done.done():
                done.set_result(None)
            await settle()
        self.now = until
