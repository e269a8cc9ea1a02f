"""Whether each store works, asked in the background without reading a secret: each store at its own pace, so a slow one delays no other.

a store                              | its next probe
------------------------------------ | ---------------------------------------------------------
that works                           | after PROBE_SECONDS, give or take a fifth
that does not                        | after SOON_SECONDS, then twice as long each time, up to that
whose circuit opened or closed       | within LOOK_SECONDS
of which a mounted file has changed  | within LOOK_SECONDS: a credential was given, or taken away
whose manifest changed               | at once

A good probe closes an open circuit (`broker.guard`). What is known becomes the Ready condition, a metric, what the page and the API say of
the store and, when it changes, a line in the log.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from broker.backends import Backends
from broker.errors import BrokerError
from broker.metrics import Metrics
from broker.readiness import Condition, readiness
from broker.stores.registry import mounted_files
from broker.timing import Timing
from contract.resources import SecretStore

log = structlog.get_logger()

PROBE_SECONDS = 30.0
SOON_SECONDS = 4.0
LOOK_SECONDS = 1.0  # how often a waiting store is looked at, for its circuit and its files
FIRST_SECONDS = 1.0  # that somebody who looks waits for the first answers, in all; a slow store must not hold up a page

_Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(slots=True)
class _Watched:
    store: SecretStore
    task: asyncio.Task[None]
    known: Condition | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    soon: bool = False


class Probes:
    """`follow` is told the stores whenever they change."""

    def __init__(self, backends: Backends, metrics: Metrics, timing: Timing | None = None) -> None:
        self._backends, self._metrics, self._timing = backends, metrics, timing or Timing()
        self._watched: dict[str, _Watched] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._on_change: list[Callable[[], None]] = []
        backends.on_circuit(self._circuit_changed)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call it whenever something else is known of a store."""
        self._on_change.append(callback)

    def known(self, store: SecretStore) -> Condition | None:
        """None: this store, with this manifest, was not asked yet."""
        watched = self._watched.get(store.name)
        return watched.known if watched is not None and watched.store == store else None

    async def look(self, stores: Iterable[SecretStore]) -> dict[str, Condition]:
        """What is known of these stores, by name. Those that were not asked yet get a moment; one that takes longer is missing."""
        stores = list(stores)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                for store in stores:
                    if self.known(store) is None and (watched := self._watched.get(store.name)) is not None:
                        await watched.answered.wait()
        return {store.name: known for store in stores if (known := self.known(store)) is not None}

    def follow(self, stores: Mapping[str, SecretStore]) -> None:
        for name, watched in list(self._watched.items()):
            if stores.get(name) != watched.store:
                self._end(name)
        for name, store in stores.items():
            if name not in self._watched:
                task = asyncio.get_running_loop().create_task(self._watch(store), name=f"probe {name}")
                self._watched[name] = _Watched(store, task)

    async def close(self) -> None:
        for name in list(self._watched):
            self._end(name)
        await asyncio.gather(*self._ended, return_exceptions=True)

    def _end(self, name: str) -> None:
        watched = self._watched.pop(name)
        watched.task.cancel()
        self._ended.add(watched.task)
        watched.task.add_done_callback(self._ended.discard)
        self._metrics.forget_ready(name)

    def _circuit_changed(self, store: SecretStore) -> None:
        watched = self._watched.get(store.name)
        if watched is not None:
            watched.soon = True

    async def _watch(self, store: SecretStore) -> None:
        failed = 0
        while True:
            seen = _signature(store)
            condition = await self._probe(store)
            self._note(self._watched[store.name], condition)
            failed = 0 if condition.ready else failed + 1
            await self._wait(self._watched[store.name], self._pace(failed), seen)

    async def _probe(self, store: SecretStore) -> Condition:
        try:
            await self._backends.call(store, lambda client: client.healthy())
        except BrokerError as error:
            return readiness(error)
        return readiness(None)

    def _note(self, watched: _Watched, condition: Condition) -> None:
        if condition == watched.known:
            return
        former, watched.known = watched.known, condition
        watched.answered.set()
        self._metrics.store_ready.labels(watched.store.name).set(condition.ready)
        if former is None or former.reason != condition.reason:
            tell = log.info if condition.ready else log.warning
            tell("store_ready" if condition.ready else "store_not_ready", store=watched.store.name, reason=condition.reason)
        for callback in self._on_change:
            callback()

    def _pace(self, failed: int) -> float:
        seconds = PROBE_SECONDS if failed == 0 else min(PROBE_SECONDS, SOON_SECONDS * 2 ** min(failed - 1, 16))
        return self._timing.uniform(0.8 * seconds, 1.2 * seconds)  # replicas do not ask together

    async def _wait(self, watched: _Watched, seconds: float, seen: _Signature) -> None:
        """Until it is due, or there is a reason to look now."""
        due = self._timing.clock() + seconds
        while (left := due - self._timing.clock()) > 0:
            await self._timing.sleep(min(LOOK_SECONDS, left))
            if watched.soon or _signature(watched.store) != seen:
                break
        watched.soon = False


def _signature(store: SecretStore) -> _Signature:
    """Of the files that are mounted for it; None for one that is not there."""
    return tuple(_of_file(Path(name)) for name in mounted_files(store))


def _of_file(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
