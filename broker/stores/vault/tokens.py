"""The broker's token at one Vault: made when first needed, renewed before it ends, replaced when it is dead. One login at a time.

time since the token was made | what a use does
----------------------------- | ------------------------------------------------------------------
under two thirds of its lease | takes it
two thirds and more           | takes it, and renews it beside (or logs in, if it cannot be renewed)
the end is here               | waits for a login

A store that nobody uses has no timers: its token ends by itself. A 403 is a token that died early, or a denial: `dead` tells, by a
look at the token; what was denied to a living one is not looked into again for RELOGIN_SECONDS. A new login because of a 403 comes at most
as often. A login that was refused is not tried again with the same
credentials for as long: Vault locks out who fails often.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from broker.errors import BrokerError, StoreRefused
from broker.stores.vault.entry import encoded
from broker.stores.vault.login import Ask, Grant, Login, granted
from contract.values import SecretValue

log = structlog.get_logger()
T = TypeVar("T")

RELOGIN_SECONDS = 10.0
RENEW_AT, END_AT = 2 / 3, 0.95  # of the lease; the rest is for a request on its way, and for clocks
CLOSE_SECONDS = 2.0
MAX_DENIED = 1000  # requests that are remembered


@dataclass(frozen=True, slots=True)
class Token:
    """`made` is on our clock, from before it was asked for. `whole` is the lease that a login gives."""

    value: SecretValue
    made: float
    seconds: float
    whole: float
    renewable: bool
    credentials: SecretValue

    def past(self, share: float, now: float) -> bool:
        return self.seconds > 0 and now >= self.made + share * self.seconds


@dataclass(frozen=True, slots=True)
class _Refused:
    credentials: SecretValue
    until: float
    message: str


class Tokens:
    """`ask` sends one request with the token that it is given, or none. `clock` is monotonic, in seconds."""

    def __init__(self, login: Login, ask: Ask, clock: Callable[[], float]) -> None:
        self._login, self._ask, self._clock = login, ask, clock
        self._token: Token | None = None
        self._flights: dict[str, asyncio.Task[Any]] = {}
        self._refused: _Refused | None = None
        self._doubted: Token | None = None
        self._renew_again = 0.0
        self._replaced_at = float("-inf")
        self._denied: dict[str, float] = {}  # when, on our clock, the store denied a request to a token that lived

    async def current(self) -> Token:
        """Raises what a login raises."""
        token, now = self._token, self._clock()
        if token is None or token.past(END_AT, now) or not self._stands(token):
            return await self._join("login", self._log_in)
        if token.past(RENEW_AT, now) and now >= self._renew_again:
            self._start("renewal", lambda: self._renew(token))
        return token

    async def dead(self, token: Token, request: str) -> bool:
        """Whether a 403 was for the token's sake and `current` now gives another; False: it was a denial. `request` is what got it."""
        if self._token is not token:
            return True
        now = self._clock()
        if now < self._denied.get(request, float("-inf")) + RELOGIN_SECONDS:
            return False
        dead, alive = await self._join("check", lambda: self._check(token))
        if alive:
            if len(self._denied) >= MAX_DENIED:
                self._denied.clear()
            self._denied[request] = now
        return dead

    @property
    def place(self) -> str:
        return self._login.place

    def doubted(self, token: Token) -> bool:
        """Whether a token of a file was refused even a look at itself: it has ended, most likely, and nobody here can make another."""
        return token is self._doubted

    async def close(self) -> None:
        for task in list(self._flights.values()):
            task.cancel()
            with suppress(asyncio.CancelledError, BrokerError):
                await task
        token, self._token = self._token, None
        if token is not None and self._login.ours:
            with suppress(BrokerError, TimeoutError):  # it ends by itself
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._ask("POST", "/v1/auth/token/revoke-self", b"{}", token.value)

    def _stands(self, token: Token) -> bool:
        """A token that is itself in a file ends when the file changes; one that was made with a file's content does not."""
        return self._login.ours or token.credentials == self._login.credentials()

    async def _log_in(self) -> Token:
        credentials, made = self._login.credentials(), self._clock()
        refused = self._refused
        if refused is not None and made < refused.until and refused.credentials == credentials:
            raise StoreRefused(refused.message)
        try:
            grant = await self._login.grant(credentials, self._ask)
        except StoreRefused as error:
            self._refused = _Refused(credentials, self._clock() + RELOGIN_SECONDS, error.message)
            raise
        self._refused, self._renew_again = None, 0.0
        self._token = _token(grant, made, grant.seconds, credentials)
        log.info("vault_login", place=self._login.place, seconds=grant.seconds, renewable=grant.renewable)
        return self._token

    async def _renew(self, token: Token) -> None:
        """While the token still holds, so a failure is nobody's yet: it is tried again in a tenth of the lease."""
        try:
            if token.renewable and await self._renewed(token):
                return
            await self._log_in()
        except BrokerError as error:
            self._renew_again = self._clock() + token.seconds / 10
            log.warning("vault_token_not_renewed", place=self._login.place, code=error.code, reason=error.message)

    async def _renewed(self, token: Token) -> bool:
        made = self._clock()
        answer = await self._ask("POST", "/v1/auth/token/renew-self", encoded({}), token.value)
        if answer.status != 200:
            return False
        grant = granted(f"{self._login.place}: renewal", answer)
        if grant.seconds <= token.whole / 2:
            return False  # its end is near, by max_ttl: a login gives a whole lease
        if self._token is token:
            self._token = _token(grant, made, token.whole, token.credentials)
        return True

    async def _check(self, token: Token) -> tuple[bool, bool]:
        """Whether `current` gives another now, and whether this one was seen alive."""
        now = self._clock()
        answer = await self._ask("GET", "/v1/auth/token/lookup-self", None, token.value)
        if answer.status != 403:
            return False, answer.status == 200
        # Dead, or alive under policies that do not let it look at itself.
        self._doubted = None if self._login.ours else token
        if now < self._replaced_at + RELOGIN_SECONDS or (not self._login.ours and token.credentials == self._login.credentials()):
            return False, False
        self._replaced_at = now
        await self._join("login", self._log_in)
        return True, False

    def _start(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = asyncio.get_running_loop().create_task(work())
            flight.add_done_callback(lambda done: self._landed(name, done))
        return flight

    async def _join(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """One at a time of each name; who joins gets its outcome, and who goes away does not end it."""
        return await asyncio.shield(self._start(name, work))

    def _landed(self, name: str, done: "asyncio.Task[Any]") -> None:
        if self._flights.get(name) is done:
            del self._flights[name]
        if not done.cancelled():
            done.exception()  # seen, if nobody waits any more


def _token(grant: Grant, made: float, whole: float, credentials: SecretValue) -> Token:
    return Token(grant.token, made, grant.seconds, whole, grant.renewable, credentials)
