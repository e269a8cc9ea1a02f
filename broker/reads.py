"""Read a store once for everyone who asks the same thing at the same time, and keep the answer for seconds.

A restart of 500 pods with 10 references each reads the store 10 times. Access is not decided here: whoever calls has an Allow.
An error is shared by those who waited for that read and not kept. A caller that goes away does not end the read of the others.

outcome of a read             | what was read before                      | callers get
----------------------------- | ----------------------------------------- | ------------------------------------------
a value                       | replaced                                  | the value
Unavailable, Throttled        | stays until TFY_SECRET_STALE_SECONDS      | what was read before, marked, or the error
any other error               | forgotten: the store said something of it | the error
"""

import asyncio
from collections.abc import Callable

from broker.backends import Backends
from broker.cache import Cache, Key
from broker.crowd import Crowd
from broker.errors import BrokerError, Retryable, TooLarge, Unavailable
from broker.metrics import Metrics
from broker.stores.store import Stored
from contract import wire
from contract.resources import SecretStore

MAX_REQUESTS = 2000


class Stale(Stored):
    """A value past its time, served since its store fails."""

    __slots__ = ()


Outcome = Stored | BrokerError


class Reads:
    """`clock` is monotonic, in seconds; `max_requests` is how many requests the broker takes at once."""

    def __init__(
        self, backends: Backends, cache: Cache, metrics: Metrics, clock: Callable[[], float], max_requests: int = MAX_REQUESTS
    ) -> None:
        self._backends, self._cache, self._metrics, self._clock = backends, cache, metrics, clock
        self._crowd = Crowd(max_requests)
        self._flights: dict[Key, asyncio.Task[Outcome]] = {}
        self._known: dict[str, SecretStore] = {}

    async def read(self, store: SecretStore, path: str, version: str | None = None, request: str = "") -> Outcome:
        """The value, or the error that reading it met. `request`: whose places among those who wait are counted together."""
        self._notice(store)
        key = Key(store.fqn, path, version)
        cached = self._cache.get(key)
        if cached is not None:
            self._metrics.cache_hits.inc()
            return cached
        if not self._crowd.enter(store.name, request):
            self._metrics.store_not_asked.labels(store.name, "crowd").inc()
            return Unavailable(f"the store '{store.fqn}' has as many requests waiting for it as the broker allows; try again", 1.0)
        try:
            outcome = await asyncio.shield(self._flight(key, store))
        finally:
            self._crowd.leave(store.name, request)
        if isinstance(outcome, Stale):
            self._metrics.store_stale.labels(store.name).inc()
        return outcome

    def _flight(self, key: Key, store: SecretStore) -> asyncio.Task[Outcome]:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.get_running_loop().create_task(self._fly(key, store))
        else:
            self._metrics.coalesced.inc()
        return flight

    def forget(self, store: SecretStore, path: str | None = None) -> None:
        """After a write: what was read, or is being read, is not what the store has now."""
        self._cache.forget(store.fqn, path)
        for key in [k for k in self._flights if k.store == store.fqn and path in (None, k.path)]:
            del self._flights[key]  # those who wait get its answer; nobody joins it, and it is not kept
        self._measure()

    def sweep(self) -> None:
        """Drop what is past its time."""
        self._cache.expire()
        self._measure()

    async def close(self) -> None:
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _notice(self, store: SecretStore) -> None:
        """A store whose manifest changed may read another place under the same name."""
        known = self._known.get(store.fqn)
        if known is not store:
            self._known[store.fqn] = store
            if known is not None and known != store:
                self.forget(store)

    async def _fly(self, key: Key, store: SecretStore) -> Outcome:
        started = self._clock()
        outcome = await self._outcome(key, store)
        if self._flights.get(key) is asyncio.current_task():
            del self._flights[key]
            outcome = self._kept(key, outcome, started)
            self._measure()
        return outcome

    def _kept(self, key: Key, outcome: Outcome, started: float) -> Outcome:
        """See the table above. Not for a read that a write overtook."""
        if isinstance(outcome, Stored):
            self._cache.put(key, outcome, started)
            return outcome
        if not isinstance(outcome, Retryable):
            self._cache.lose(key)
            return outcome
        old = self._cache.stale(key)
        return outcome if old is None else Stale(old.value, old.version)

    async def _outcome(self, key: Key, store: SecretStore) -> Outcome:
        try:
            stored = await self._backends.call(store, lambda client: client.read(key.path, key.version))
            if len(stored.value) > wire.MAX_VALUE_BYTES:
                raise TooLarge(f"the value has {len(stored.value)} bytes; at most {wire.MAX_VALUE_BYTES} can be delivered")
        except BrokerError as error:
            self._metrics.store_reads.labels(store.name, error.code).inc()
            return error.with_traceback(None)
        self._metrics.store_reads.labels(store.name, "ok").inc()
        return stored

    def _measure(self) -> None:
        self._metrics.cache_bytes.set(self._cache.bytes)
