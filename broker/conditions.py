"""The `Ready` condition of every SecretStore and SecretGroup, so that `kubectl get` tells what the broker knows.

object                       | Ready | reason
---------------------------- | ----- | -------------------------------------------------
breaks a rule                | False | Invalid, with every sentence
SecretStore that works       | True  | Available
SecretStore that does not    | False | the store's code as a word (StoreRefused, Unavailable ...)
SecretGroup with its store   | True  | Available
SecretGroup without          | False | StoreMissing

Stores are probed in the background, without reading a secret; groups follow from the catalog. Only what is different is
written, so replicas that see the same do not write in turns. Other people's conditions are kept.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from broker.backends import Backends
from broker.errors import BrokerError
from contract.catalog import GROUP, STORE, Catalog
from contract.keys import API_VERSION
from contract.resources import SecretStore
from service.catalog import PLURALS
from service.kube import Conflict, Kube, KubeError
from service.logs import describe

log = structlog.get_logger()
PROBE_SECONDS = 30.0
SETTLE_SECONDS = 0.2  # a `kubectl apply` of many objects is one round
PAGE = "500"
MAX_MESSAGE = 1024  # characters; Kubernetes' own limit for a condition's message is 32 KiB


@dataclass(frozen=True, slots=True)
class Condition:
    ready: bool
    reason: str
    message: str


AVAILABLE = "Available"


class Conditions:
    """`start` begins to follow; `touch` is the catalog's on_change."""

    def __init__(self, kube: Kube, catalog: Catalog, backends: Backends, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._kube, self._catalog, self._backends, self._now = kube, catalog, backends, now
        self._changed = asyncio.Event()
        self._probed: dict[str, tuple[SecretStore, Condition]] = {}
        self._task: asyncio.Task[None] | None = None

    def touch(self) -> None:
        self._changed.set()

    def start(self) -> None:
        self._changed.set()
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="conditions")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + _probe_interval()
        while True:
            try:
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                self._probed.clear()  # all stores again
                due = loop.time() + _probe_interval()
            self._changed.clear()
            try:
                await self.round()
            except KubeError as error:
                log.warning("conditions_not_written", status=error.status, reason=error.reason)
            except Exception as error:  # noqa: BLE001 - status is told again next time; secrets are served meanwhile
                log.error("conditions_crashed", **describe(error))  # noqa: TRY400 - a traceback's message may hold a value

    async def round(self) -> None:
        """Probe the stores that were not probed yet, and write what is different."""
        await self._probe()
        for kind in (STORE, GROUP):
            for found in await self._listed(kind):
                await self._write(kind, found)

    async def _probe(self) -> None:
        stores = dict(self._catalog.stores)
        self._probed = {name: probed for name, probed in self._probed.items() if stores.get(name) == probed[0]}
        waiting = [store for name, store in stores.items() if name not in self._probed]
        for store, condition in zip(waiting, await asyncio.gather(*map(self._probe_one, waiting)), strict=True):
            self._probed[store.name] = (store, condition)

    async def _probe_one(self, store: SecretStore) -> Condition:
        try:
            await self._backends.call(store, lambda client: client.healthy())
        except BrokerError as error:
            return Condition(False, "".join(word.capitalize() for word in error.code.split("_")), error.message)
        return Condition(True, AVAILABLE, "the store answers")

    async def _listed(self, kind: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        params = {"limit": PAGE}
        while True:
            page = await self._kube.get(f"/apis/{API_VERSION}/{PLURALS[kind]}", params=params)
            items += page.get("items") or []
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return items
            params = {"limit": PAGE, "continue": following}

    async def _write(self, kind: str, found: dict[str, Any]) -> None:
        metadata = found["metadata"]
        condition = self._condition(kind, metadata["name"])
        if condition is None:
            return  # not in the catalog yet, or gone again: its event comes
        conditions = (found.get("status") or {}).get("conditions") or []
        made = merged(conditions, condition, int(metadata.get("generation") or 0), self._now())
        if made is None:
            return
        try:
            path = f"/apis/{API_VERSION}/{PLURALS[kind]}/{metadata['name']}/status"
            # A list is replaced as a whole, so only over what was read: another controller's condition could be lost otherwise.
            seen = {"resourceVersion": metadata["resourceVersion"]} if "resourceVersion" in metadata else {}
            await self._kube.patch(path, {"metadata": seen, "status": {"conditions": made}})
        except Conflict:
            self.touch()  # someone wrote meanwhile, perhaps another replica: look again
        except KubeError as error:
            log.warning("condition_not_written", kind=kind, name=metadata["name"], status=error.status, reason=error.reason)

    def _condition(self, kind: str, name: str) -> Condition | None:
        problems = self._catalog.problems.get((kind, name))
        if problems:
            return Condition(False, "Invalid", "; ".join(problems))
        if kind == STORE:
            probed = self._probed.get(name)
            return None if probed is None or self._catalog.stores.get(name) != probed[0] else probed[1]
        group = self._catalog.groups.get(name)
        if group is None:
            return None
        if group.store in self._catalog.stores:
            return Condition(True, AVAILABLE, f"SecretStore '{group.store}' is there")
        return Condition(False, "StoreMissing", f"SecretStore '{group.store}' does not exist or cannot be used")


def _probe_interval() -> float:
    return PROBE_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - jitter between replicas


def merged(conditions: list[dict[str, Any]], condition: Condition, generation: int, now: datetime) -> list[dict[str, Any]] | None:
    """The object's conditions with ours in it, or None: it says so already."""
    old = next((c for c in conditions if c.get("type") == "Ready"), {})
    status = "True" if condition.ready else "False"
    said = {"status": status, "reason": condition.reason, "message": condition.message[:MAX_MESSAGE], "observedGeneration": generation}
    if all(old.get(name) == value for name, value in said.items()):
        return None
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    ours = {"type": "Ready", **said, "lastTransitionTime": since or now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return [c for c in conditions if c.get("type") != "Ready"] + [ours]
