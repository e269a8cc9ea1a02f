"""The world's clock and dice as one object, so that a test can hold both: what waits, retries or opens takes it as an argument."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Timing:
    """`clock` is monotonic, in seconds; `now` is for people; `uniform` spreads load and decides nothing secret."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def at(self, seconds: float) -> str:
        """The time of day that many seconds from now, for a message."""
        return (self.now() + timedelta(seconds=seconds)).strftime("%H:%M:%SZ")
