"""Open stores: a guarded client for each SecretStore, opened when first needed, reopened when its manifest changes, closed when it goes.

Every call to a store passes through `call`, which lets nothing out but BrokerErrors. How a call is bounded, repeated and refused is
`broker.guard`'s.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from broker.errors import BrokerError
from broker.guard import Guard
from broker.limits import Limits
from broker.metrics import Metrics
from broker.outcomes import crashed
from broker.stores.store import StoreClient
from broker.timing import Timing
from contract.resources import SecretStore
from service.logs import describe

log = structlog.get_logger()
T = TypeVar("T")

Open = Callable[[SecretStore], StoreClient]


@dataclass(slots=True)
class _Backend:
    """A guard and how many calls are using it: a retired one is closed by its last user."""

    store: SecretStore
    guard: Guard
    users: int = 0
    retired: bool = False


class Backends:
    """`open_client` makes a client from a SecretStore; it raises BrokerErrors. `load` is called before, in a thread, once a provider."""

    def __init__(
        self, open_client: Open, limits: Limits, metrics: Metrics, timing: Timing | None = None, load: Callable[[str], None] | None = None
    ) -> None:
        self._load, self._loading = load, dict[str, asyncio.Task[None]]()
        self._open, self._limits, self._metrics, self._timing = open_client, limits, metrics, timing or Timing()
        self._backends: dict[str, _Backend] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._on_circuit: list[Callable[[SecretStore], None]] = []

    def on_circuit(self, callback: Callable[[SecretStore], None]) -> None:
        """Call it after a store's circuit opened or closed."""
        self._on_circuit.append(callback)

    async def call(self, store: SecretStore, operation: Callable[[StoreClient], Awaitable[T]]) -> T:
        """Run one operation on the store's guarded client. Raises BrokerErrors alone."""
        try:
            return await self._run(store, operation)
        except BrokerError as error:
            raise error.with_traceback(None) from None
        except Exception as error:  # noqa: BLE001 - opening one is a library's business too
            problem = crashed(store, error)
        raise problem

    async def _run(self, store: SecretStore, operation: Callable[[StoreClient], Awaitable[T]]) -> T:
        await self._loaded(store.provider)
        backend = self._backend(store)
        backend.users += 1
        try:
            return await operation(backend.guard)
        finally:
            backend.users -= 1
            self._close_if_done(backend)

    async def _loaded(self, provider: str) -> None:
        """Other stores are served meanwhile; whoever needs this one waits for the same thread."""
        if self._load is None:
            return
        if provider not in self._loading:
            self._loading[provider] = asyncio.create_task(asyncio.to_thread(self._load, provider), name=f"load {provider}")
        if not self._loading[provider].done():
            await asyncio.shield(self._loading[provider])

    def _backend(self, store: SecretStore) -> _Backend:
        backend = self._backends.get(store.name)
        if backend is not None and backend.store == store:
            return backend
        guard = Guard(store, self._open(store), self._limits, self._metrics, self._timing, lambda: self._tell(store))
        self._retire(store.name)
        self._backends[store.name] = backend = _Backend(store, guard)
        lane = guard.lane
        self._metrics.follow_store(store.name, lambda: lane.waiting, lambda: lane.slots.limit, lambda: lane.circuit.state.value)
        log.info("store_opened", store=store.name, provider=store.provider)
        return backend

    def _tell(self, store: SecretStore) -> None:
        for callback in self._on_circuit:
            callback(store)

    def keep_only(self, stores: dict[str, SecretStore]) -> None:
        """Close the clients of stores that are gone or different."""
        for name, backend in list(self._backends.items()):
            if stores.get(name) != backend.store:
                self._retire(name)

    def _retire(self, name: str) -> None:
        backend = self._backends.pop(name, None)
        if backend is not None:
            self._metrics.forget_store(name)
            backend.retired = True
            self._close_if_done(backend)

    def _close_if_done(self, backend: _Backend) -> None:
        if backend.retired and backend.users == 0:
            backend.retired = False  # closed once
            task = asyncio.get_running_loop().create_task(_close(backend))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        for name in list(self._backends):
            self._retire(name)
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        while self._closing:
            await asyncio.gather(*self._closing)


async def _close(backend: _Backend) -> None:
    try:
        await backend.guard.close()
    except Exception as error:  # noqa: BLE001 - closing is best effort
        log.warning("store_close_failed", store=backend.store.name, **describe(error))
