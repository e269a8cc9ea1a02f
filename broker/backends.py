"""Open store clients: one for each SecretStore, opened when first needed, reopened when its manifest changes, closed when it goes.

Every call to a store passes through `call`, which bounds its time and how many run at once, and lets nothing out but
BrokerErrors: what a client's library raises by surprise may quote a value, so its type is logged and its message dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from broker.errors import BrokerError, Unavailable
from broker.stores.store import StoreClient
from contract.resources import SecretStore
from service.logs import describe

log = structlog.get_logger()
T = TypeVar("T")

CALL_SECONDS = 8.0  # with the token's review (5 s) well before the init container gives up on one try (30 s)
Open = Callable[[SecretStore], StoreClient]


@dataclass(slots=True)
class _Backend:
    """A client and how many calls are using it: a retired one is closed by its last user."""

    store: SecretStore
    client: StoreClient
    users: int = 0
    retired: bool = False


class Backends:
    """`open_client` makes a client from a SecretStore; it raises BrokerErrors."""

    def __init__(self, open_client: Open, at_once: int, call_seconds: float = CALL_SECONDS) -> None:
        self._open, self._at_once, self._seconds = open_client, at_once, call_seconds
        self._backends: dict[str, _Backend] = {}
        self._rooms: dict[str, asyncio.Semaphore] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def call(self, store: SecretStore, operation: Callable[[StoreClient], Awaitable[T]]) -> T:
        """Run one operation on the store's client. Raises BrokerErrors alone."""
        room = self._rooms.setdefault(store.name, asyncio.Semaphore(self._at_once))
        try:
            async with asyncio.timeout(self._seconds), room:
                return await self._run(store, operation)
        except BrokerError as error:
            raise error.with_traceback(None) from None
        except TimeoutError:
            problem: BrokerError = Unavailable(f"the store '{store.fqn}' did not answer within {self._seconds:g} seconds")
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            log.error("store_crashed", store=store.name, **describe(error))  # noqa: TRY400 - exc_info is what must not be logged
            problem = BrokerError(f"the store '{store.fqn}' could not be used; the broker's log says where it failed")
        raise problem

    async def _run(self, store: SecretStore, operation: Callable[[StoreClient], Awaitable[T]]) -> T:
        backend = self._backend(store)
        backend.users += 1
        try:
            return await operation(backend.client)
        finally:
            backend.users -= 1
            self._close_if_done(backend)

    def _backend(self, store: SecretStore) -> _Backend:
        backend = self._backends.get(store.name)
        if backend is not None and backend.store == store:
            return backend
        opened = _Backend(store, self._open(store))
        self._retire(store.name)
        self._backends[store.name] = opened
        log.info("store_opened", store=store.name, provider=store.provider)
        return opened

    def keep_only(self, stores: dict[str, SecretStore]) -> None:
        """Close the clients of stores that are gone or different."""
        for name, backend in list(self._backends.items()):
            if stores.get(name) != backend.store:
                self._retire(name)
        for name in [name for name in self._rooms if name not in stores]:
            del self._rooms[name]

    def _retire(self, name: str) -> None:
        backend = self._backends.pop(name, None)
        if backend is not None:
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
        while self._closing:
            await asyncio.gather(*self._closing)


async def _close(backend: _Backend) -> None:
    try:
        await backend.client.close()
    except Exception as error:  # noqa: BLE001 - closing is best effort
        log.warning("store_close_failed", store=backend.store.name, **describe(error))
