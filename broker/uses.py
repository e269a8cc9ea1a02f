"""Who uses a secret: workloads of the cluster that hold a reference to a key now, in their own words or in the plan of a running pod.

looked at                                    | in it
-------------------------------------------- | --------------------------------------------------------
pods that have not ended                     | env, the plan that the webhook made of it, our annotations
Deployments, StatefulSets, DaemonSets,       | the same of their pod template, also scaled to nothing
CronJobs, and Jobs that have not ended       |
ConfigMaps that an annotation of these names | the file that is rendered for them

A pod counts as what made it. All of it is names: the lists are read page by page,
decoded only as far as needed, kept for half a minute (shown for five) and bounded in number and time; what is then not known is
said. A name counts wherever it stands, since a deletion is asked about once too often rather than once too little. Who may see the
answer is decided by whoever asks.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import structlog

from broker.config_files import read_config_map, sources
from broker.workloads import PATHS, Object, made_by, read_list
from contract.fqn import ROOT, SCHEME
from service.kube import Kube, KubeError, Refused, TooLong

log = structlog.get_logger()
KEEP_SECONDS = 30.0
STALE_SECONDS = 300.0  # an answer this old is still shown while a newer one is read; nothing is deleted on it
QUICK_SECONDS = 0.05  # a page that only shows it does not wait longer than this
PATIENT_SECONDS = 10.0  # one that deletes does
SCAN_SECONDS = 30.0
PAGE = 500
PAGE_BYTES = 32 * 1024 * 1024  # an object may have 1.5 MB, and whoever may create some chooses how many have
MAX_CONFIG_MAPS = 500  # one call each
MAX_NAMES = 200_000  # of a key and a workload; an object or a ConfigMap holds 50,000 if its author likes
MAX_OBJECTS = 50_000  # about 100 pages of pods; a larger cluster is told that not all was looked at

OFF_CLUSTER = "who uses it is not known here: this broker runs without a cluster"
NOT_YET = "who uses it is still being looked up"
MAY_NOT = "the broker may not list workloads (its ClusterRole in manifests/base/rbac.yaml has the rule)"
MAY_NOT_READ = "the broker may not read the ConfigMaps of config files (its ClusterRole in manifests/base/rbac.yaml has the rule)"
NOT_ALL = "the cluster is larger than what was looked at: there may be more"
FAILED = "the Kubernetes API did not answer"


@dataclass(frozen=True, slots=True, order=True)
class Workload:
    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Used:
    """Workloads by key of one group. `missing`: why not all is known; `unsure`: and whether that is a reason to ask before deleting."""

    keys: Mapping[str, tuple[Workload, ...]] = field(default_factory=dict)
    missing: str | None = None
    unsure: bool = False

    def of(self, key: str) -> tuple[Workload, ...]:
        return self.keys.get(key, ())

    def workloads(self) -> tuple[Workload, ...]:
        return tuple(sorted({workload for found in self.keys.values() for workload in found}))


class Uses(Protocol):
    """`fresh`: before something is deleted; it may take seconds. Else what is known is said at once."""

    async def of_group(self, group: str, *, fresh: bool = False) -> Used: ...

    async def of_key(self, group: str, key: str, *, fresh: bool = False) -> Used: ...


class NotKnown:
    """Where there is no cluster to ask."""

    async def of_group(self, group: str, *, fresh: bool = False) -> Used:  # noqa: ARG002 - the same answer for all
        return Used(missing=OFF_CLUSTER)

    async def of_key(self, group: str, key: str, *, fresh: bool = False) -> Used:  # noqa: ARG002 - as above
        return Used(missing=OFF_CLUSTER)


@dataclass(frozen=True, slots=True)
class _Scan:
    """What one look at the cluster found: group -> key -> workloads."""

    at: float
    groups: Mapping[str, Mapping[str, tuple[Workload, ...]]] = field(default_factory=dict)
    missing: str | None = None


class ClusterUses:
    """Looks when somebody asks, once for all who ask at a time. `clock` is monotonic."""

    def __init__(
        self,
        kube: Kube,
        tenant: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        quick: float = QUICK_SECONDS,
        patient: float = PATIENT_SECONDS,
    ) -> None:
        self._kube, self._tenant, self._clock, self._quick, self._patient = kube, tenant, clock, quick, patient
        part = r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
        mine = re.escape(tenant)
        self._name = re.compile(rf"{SCHEME}{mine}:{part}:{part}|::/{ROOT}/{mine}/{part}/{part}")
        self._last: _Scan | None = None
        self._task: asyncio.Task[_Scan] | None = None

    async def of_group(self, group: str, *, fresh: bool = False) -> Used:
        scan = await self._scan(fresh)
        if scan is None:
            return Used(missing=NOT_YET, unsure=True)
        return Used(scan.groups.get(group, {}), scan.missing, scan.missing is not None)

    async def of_key(self, group: str, key: str, *, fresh: bool = False) -> Used:
        used = await self.of_group(group, fresh=fresh)
        return Used({key: used.of(key)} if used.of(key) else {}, used.missing, used.unsure)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _scan(self, fresh: bool) -> _Scan | None:
        """The newest look at the cluster; None: there is none that is of use yet."""
        now, last = self._clock(), self._last
        if last is not None and now - last.at < KEEP_SECONDS:
            return last
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look(), name="look for uses of secrets")
        usable = last if last is not None and now - last.at < STALE_SECONDS else None
        if fresh or usable is None:
            done, _ = await asyncio.wait({self._task}, timeout=self._patient if fresh else self._quick)
            if done:
                return self._last
        return None if fresh else usable

    async def _look(self) -> _Scan:
        at = self._clock()
        try:
            async with asyncio.timeout(SCAN_SECONDS):
                self._last = await self._read(at)
        except Refused:
            self._last = _Scan(at, missing=MAY_NOT)
        except (KubeError, TimeoutError, msgspec.MsgspecError) as error:
            log.warning("uses_not_read", error=type(error).__name__)
            self._last = _Scan(at, missing=FAILED)
        return self._last

    async def _read(self, at: float) -> _Scan:
        found: dict[str, dict[str, set[Workload]]] = {}
        files: dict[tuple[str, str], dict[str, set[Workload]]] = {}  # of ConfigMaps, by key
        owners: dict[tuple[str, str, str], tuple[str, str]] = {}  # of Jobs, and of Deployments as themselves
        left, room, complete = MAX_OBJECTS, MAX_NAMES, True
        for kind, path in PATHS:
            async for item in self._items(path):
                left -= 1
                if left < 0 or room < 0:
                    complete = False
                    break
                if kind == "Job":
                    owners[item.metadata.namespace, kind, item.metadata.name] = item.metadata.controller() or (kind, item.metadata.name)
                elif kind == "Deployment":
                    owners[item.metadata.namespace, kind, item.metadata.name] = (kind, item.metadata.name)
                names = {match for text in item.texts(kind) for match in self._names(text)}
                templates = item.templates(kind)
                rendered = sources(templates)
                if names or templates:
                    await asyncio.sleep(0)  # a long one takes 0.1 s, and the broker has other work
                if names or rendered:
                    workload = Workload(item.metadata.namespace, *made_by(kind, item.metadata, owners))
                    room -= _add(found, names, {workload}) + len(rendered)
                    for config_map, file in rendered:
                        files.setdefault((workload.namespace, config_map), {}).setdefault(file, set()).add(workload)
        missing = await self._look_into(files, found, room)
        groups = {group: {key: tuple(sorted(who)) for key, who in by_key.items()} for group, by_key in found.items()}
        return _Scan(at, groups, missing if complete else NOT_ALL)

    async def _look_into(
        self, files: Mapping[tuple[str, str], Mapping[str, set[Workload]]], found: dict[str, dict[str, set[Workload]]], room: int
    ) -> str | None:
        """Adds what stands in config files; why not all is known, if so."""
        for number, ((namespace, name), keys) in enumerate(files.items()):
            if number == MAX_CONFIG_MAPS or room < 0:
                return NOT_ALL
            try:
                config_map = await read_config_map(self._kube, namespace, name)
            except Refused:
                return MAY_NOT_READ
            for key, workloads in keys.items():
                room -= _add(found, set(self._names(config_map.text(key))), workloads)
                if room < 0:
                    return NOT_ALL
        return None

    def _names(self, text: str) -> Iterator[tuple[str, str]]:
        """A plan escapes slashes; a name is the same with and without."""
        for match in self._name.finditer(text.replace("\\/", "/")):
            group, key, path_group, path_key = match.groups()
            yield (group or path_group, key or path_key)

    async def _items(self, path: str) -> "AsyncIterator[Object]":
        params, limit = dict[str, str](), PAGE
        while True:
            try:
                page = read_list(await self._kube.read("GET", path, params={"limit": str(limit), **params}, most=PAGE_BYTES))
            except TooLong:
                if limit == 1:
                    raise
                limit = max(1, limit // 8)
                continue
            for item in page.items:
                yield item
            if not page.metadata.continue_:
                return
            params = {"continue": page.metadata.continue_}


def _add(found: dict[str, dict[str, set[Workload]]], names: set[tuple[str, str]], workloads: set[Workload]) -> int:
    """How many were not known yet."""
    new = 0
    for group, key in names:
        known = found.setdefault(group, {}).setdefault(key, set())
        new -= len(known)
        known |= workloads
        new += len(known)
    return new
