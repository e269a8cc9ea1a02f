"""The `Ready` condition of every SecretStore and SecretGroup, so that `kubectl get` tells what the broker knows.

object                       | Ready | reason
---------------------------- | ----- | -------------------------------------------------
breaks a rule                | False | Invalid, with every sentence
SecretStore that works       | True  | Available
SecretStore that does not    | False | what is wrong, as a word (StoreRefused, Sealed, Throttled, Unavailable ...)
SecretGroup with its store   | True  | Available
SecretGroup without          | False | StoreMissing

What is known of stores comes from `broker.probes`; groups follow from the catalog. Only what is different is written, so replicas that
see the same do not write in turns. `lastTransitionTime` moves with the status alone. Other people's conditions are kept.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from broker.probes import Probes
from broker.readiness import AVAILABLE, Condition
from contract.catalog import GROUP, STORE, Catalog
from contract.keys import API_VERSION
from service.catalog import PLURALS
from service.kube import Conflict, Kube, KubeError
from service.logs import describe

log = structlog.get_logger()
ROUND_SECONDS = 30.0  # also without news: what others wrote over is put right
SETTLE_SECONDS = 0.2  # a `kubectl apply` of many objects is one round
PAGE = "500"
MAX_MESSAGE = 1024  # characters; Kubernetes' own limit for a condition's message is 32 KiB


class Conditions:
    """`start` begins to follow; `touch` is what catalog and probes call when something changed."""

    def __init__(self, kube: Kube, catalog: Catalog, probes: Probes, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._kube, self._catalog, self._probes, self._now = kube, catalog, probes, now
        self._changed = asyncio.Event()
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
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter between replicas
                    await self._changed.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            try:
                await self.round()
            except KubeError as error:
                log.warning("conditions_not_written", status=error.status, reason=error.reason)
            except Exception as error:  # noqa: BLE001 - status is told again next time; secrets are served meanwhile
                log.error("conditions_crashed", **describe(error))  # noqa: TRY400 - a traceback's message may hold a value

    async def round(self) -> None:
        """Write what is different."""
        for kind in (STORE, GROUP):
            for found in await self._listed(kind):
                await self._write(kind, found)

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
            store = self._catalog.stores.get(name)
            return None if store is None else self._probes.known(store)
        group = self._catalog.groups.get(name)
        if group is None:
            return None
        if group.store in self._catalog.stores:
            return Condition(True, AVAILABLE, f"SecretStore '{group.store}' is there")
        return Condition(False, "StoreMissing", f"SecretStore '{group.store}' does not exist or cannot be used")


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
