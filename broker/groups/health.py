"""Whether each store works, as a page may show it: asked in the background, at most 15 seconds old when somebody looks.

A look never waits long for a store that does not answer; it shows what was known before.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from broker.backends import Backends
from broker.errors import BrokerError
from contract.resources import SecretStore

FRESH_SECONDS = 15.0
WAIT_SECONDS = 1.0  # for stores that were never asked


@dataclass(frozen=True, slots=True)
class Known:
    store: SecretStore
    at: float
    problem: str | None

    @property
    def healthy(self) -> bool:
        return self.problem is None


class Health:
    """`clock` is monotonic, in seconds."""

    def __init__(self, backends: Backends, clock: Callable[[], float]) -> None:
        self._backends, self._clock = backends, clock
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def look(self, stores: Iterable[SecretStore]) -> dict[str, Known]:
        """What is known of these stores, by name; one that was asked for the first time and is slow is missing."""
        stores = list(stores)
        asked = [self._ask(store) for store in stores if self._stale(store)]
        new = [task for task, name in asked if name not in self._known]
        if new:
            await asyncio.wait(new, timeout=WAIT_SECONDS)
        return {s.name: known for s in stores if (known := self._known.get(s.name)) is not None and known.store == s}

    def _stale(self, store: SecretStore) -> bool:
        known = self._known.get(store.name)
        return known is None or known.store != store or self._clock() - known.at > FRESH_SECONDS

    def _ask(self, store: SecretStore) -> tuple[asyncio.Task[None], str]:
        task = self._asking.get(store.name)
        if task is None:
            task = self._asking[store.name] = asyncio.get_running_loop().create_task(self._probe(store), name=f"health of {store.name}")
            task.add_done_callback(lambda _: self._asking.pop(store.name, None))
        return task, store.name

    async def _probe(self, store: SecretStore) -> None:
        problem = None
        try:
            await self._backends.call(store, lambda client: client.healthy())
        except BrokerError as error:
            problem = error.message
        self._known[store.name] = Known(store, self._clock(), problem)

    async def close(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
