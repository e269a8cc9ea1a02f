"""A set of AWS credentials, and how it is kept fresh: fetched before it ends, by one caller for all.

state of the known keys                  | what a caller gets
---------------------------------------- | --------------------------------------------------------
good for a while                         | them
near their end (10 min, or a quarter)    | them, while new ones are fetched beside
ended, or never fetched                  | the new ones, or the error that fetching met
fetching was refused a moment ago        | the same error, without asking the login service again

One that did not answer is asked again by the next who needs it: how often that is decides the guard, which must see each answer as it is.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from broker.errors import BrokerError, NotSent, Retryable, Unavailable

RENEW_BEFORE = timedelta(minutes=10)
NEVER_USE_WITHIN = timedelta(seconds=15)  # of their end: a request takes time, and clocks differ
FAILURE_SECONDS = 5.0
WAIT_SECONDS = 4.0  # less than a try of the guard has, so that it is told who does not answer; the fetch goes on, and the next try joins it


@dataclass(frozen=True, slots=True)
class Keys:
    """Nothing of it is shown. `until` None: they have no end that we know."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)
    until: datetime | None = None


class Source(Protocol):
    """Where keys come from. One call, one try. `place` begins messages."""

    place: str

    async def fetch(self) -> Keys: ...

    async def close(self) -> None: ...


class Renewing:
    """A `logins.Login` over a source. `now` tells the time of day, `clock` is monotonic."""

    def __init__(
        self,
        source: Source,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._source, self._now, self._clock, self._wait_seconds = source, now, clock, wait_seconds
        self.current: Keys | None = None
        self._renew_at: datetime | None = None
        self._failure: tuple[float, BrokerError] | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def keys(self) -> Keys:
        """Raises what fetching met, if there are no keys that still hold."""
        if not self._good():
            await self._fetched()
        elif self._renew_at is not None and self._now() >= self._renew_at and self._may_ask():
            self._start()
        if self.current is None:
            if self._failure is None:
                raise Unavailable("the login was ended while it was made")
            raise self._failure[1].with_traceback(None)
        return self.current

    def expire(self, used: Keys) -> None:
        """AWS says that these have ended. A caller whose keys were replaced meanwhile changes nothing."""
        if used is self.current:
            self.current = None

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        await self._source.close()

    def _good(self) -> bool:
        if self.current is not None and self.current.until is not None and self._now() >= self.current.until - NEVER_USE_WITHIN:
            self.current = None
        return self.current is not None

    def _may_ask(self) -> bool:
        return self._failure is None or self._clock() >= self._failure[0] + FAILURE_SECONDS

    def _passes(self) -> bool:
        return self._failure is not None and isinstance(self._failure[1], Retryable)

    async def _fetched(self) -> None:
        if not self._may_ask() and not self._passes():
            return
        fetching = self._start()
        await asyncio.wait([fetching], timeout=self._wait_seconds)
        if not fetching.done():
            raise NotSent(f"{self._source.place}: no answer within {self._wait_seconds:g} s; the store was not asked")
        await fetching

    def _start(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            keys = await self._source.fetch()
        except BrokerError as error:
            self._failure = self._clock(), error
            return
        now = self._now()
        self._failure = None
        self._renew_at = None if keys.until is None else keys.until - min(RENEW_BEFORE, (keys.until - now) / 4)
        self.current = keys
