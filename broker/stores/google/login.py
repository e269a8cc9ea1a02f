"""The token in use: renewed before it expires, while the old one serves; who waits for a new one waits for the same one.

Where tokens come from is a Source's: `credentials` (a file) or `metadata` (the platform).
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from broker.errors import BrokerError
from contract.values import SecretValue

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# A token is renewed this long before it expires: Google's metadata server gives a new one in its last five minutes.
RENEW_SECONDS = 225.0
LAST_SECONDS = 15.0  # no call is begun with a token that has less left: a call takes 5
RETRY_SECONDS = 5.0  # between two tries to renew while the old token serves


@dataclass(frozen=True, slots=True)
class Token:
    """`expires` is in seconds since 1970."""

    value: SecretValue
    expires: float


class Source(Protocol):
    """Where tokens come from. `changed` tells that what it was made of is not what is there now."""

    async def token(self) -> Token: ...

    def changed(self) -> bool: ...

    async def close(self) -> None: ...


class Login:
    """The token in use. `current` raises BrokerErrors."""

    def __init__(self, source: Source, clock: Callable[[], float] = time.time) -> None:
        self._source, self._clock = source, clock
        self._token: Token | None = None
        self._renewal: asyncio.Task[Token] | None = None
        self._renew_at = 0.0

    @property
    def known(self) -> Token | None:
        return self._token

    async def current(self) -> Token:
        if self._source.changed():
            self.forget()
        now, known = self._clock(), self._token
        if known is None or now >= known.expires - LAST_SECONDS:
            return await asyncio.shield(self._renewing())
        if now >= known.expires - RENEW_SECONDS and now >= self._renew_at:
            self._renew_at = now + RETRY_SECONDS
            self._renewing()
        return known

    def forget(self, token: Token | None = None) -> None:
        """Log in anew before the next call: the token, if it is still that one, is not accepted."""
        if token is None or token is self._token:
            self._token, self._renewal = None, None

    async def close(self) -> None:
        task = self._renewal
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, BrokerError):
                await task
        await self._source.close()

    def _renewing(self) -> asyncio.Task[Token]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew(), name="log in to Google")
            self._renewal.add_done_callback(_seen)
        return self._renewal

    async def _renew(self) -> Token:
        token = await self._source.token()
        if self._renewal is asyncio.current_task():  # else what it was made of has changed meanwhile
            self._token = token
        return token


def _seen(task: asyncio.Task[Token]) -> None:
    """A renewal that fails while the old token serves has nobody who waits for it."""
    if not task.cancelled():
        task.exception()
