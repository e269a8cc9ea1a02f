"""The catalog of stores and groups, kept up to date: from the Kubernetes API, or off-cluster from a folder of manifests.

`catalog` is one object for the life of the program, changed in place between two awaits, so a reader never sees half a
change. What the objects mean is `contract`'s; reading a folder is `service.manifests`'.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import structlog

from contract.catalog import GROUP, STORE, Catalog
from contract.keys import API_VERSION
from service.kube import Kube
from service.watch import Objects, Watch

EVERY = 0.25  # seconds between looks at a folder; a file is read when two looks see the same, so a change acts in half a second
PLURALS = {STORE: "secretstores", GROUP: "secretgroups"}
Manifest = Mapping[str, Any]

log = structlog.get_logger()


Observer = Callable[[str, str, Manifest | None], None]


class LiveCatalog:
    """Base of both sources. `on_change` callbacks take no arguments and run after every change."""

    def __init__(self, tenant: str) -> None:
        self.catalog = Catalog(tenant)
        self._callbacks: list[Callable[[], None]] = []
        self._observers: list[Observer] = []

    @property
    def synced(self) -> bool:
        """Whether everything there is has been read once."""
        raise NotImplementedError

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def on_object(self, observer: Observer) -> None:
        """For who needs more of an object than its rules: kind, name, and the manifest or None, once the catalog has it."""
        self._observers.append(observer)

    async def start(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _replace(self, kind: str, manifests: list[Manifest]) -> None:
        """Make the catalog hold these objects of the kind and no others."""
        gone = set(self.catalog.stores if kind == STORE else self.catalog.groups)
        gone |= {name for problem_kind, name in self.catalog.problems if problem_kind == kind}
        for name in gone - {_name(manifest) for manifest in manifests}:
            self._remove(kind, name)
        for manifest in manifests:
            self._put(manifest)

    def _put(self, manifest: Manifest) -> None:
        self.catalog.put(manifest)
        for observer in self._observers:
            observer(manifest["kind"], _name(manifest), manifest)

    def _remove(self, kind: str, name: str) -> None:
        self.catalog.remove(kind, name)
        for observer in self._observers:
            observer(kind, name, None)

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()


class ApiCatalog(LiveCatalog):
    """Watches the custom resources. Without their CRDs it is not synced, and keeps trying."""

    def __init__(self, tenant: str, kube: Kube) -> None:
        super().__init__(tenant)
        self._watches = [
            Watch(
                kube,
                f"/apis/{API_VERSION}/{plural}",
                reading=Objects(),
                on_snapshot=partial(self._snapshot, kind),
                on_event=partial(self._event, kind),
            )
            for kind, plural in PLURALS.items()
        ]

    @property
    def synced(self) -> bool:
        return all(watch.synced for watch in self._watches)

    async def start(self) -> None:
        for watch in self._watches:
            watch.start()

    async def close(self) -> None:
        for watch in self._watches:
            await watch.close()

    def _snapshot(self, kind: str, objects: list[dict[str, Any]]) -> None:
        """List items carry neither kind nor apiVersion."""
        self._replace(kind, [{"apiVersion": API_VERSION, **found, "kind": kind} for found in objects])
        log.info("catalog_listed", kind=kind, objects=len(objects))
        self._changed()

    def _event(self, kind: str, change: str, found: dict[str, Any]) -> None:
        if change == "DELETED":
            self._remove(kind, _name(found))
        else:
            self._put({"apiVersion": API_VERSION, **found, "kind": kind})
        self._changed()


class FolderCatalog(LiveCatalog):
    """Looks at a folder's files again and again; a broken one stays in force as it last was."""

    def __init__(self, tenant: str, folder: Path, *, every: float = EVERY) -> None:
        from service.manifests import Folder  # in a cluster the YAML parser stays out of memory

        super().__init__(tenant)
        self.folder, self._every = Folder(folder), every
        self._synced = False
        self._task: asyncio.Task[None] | None = None

    @property
    def synced(self) -> bool:
        return self._synced

    async def start(self) -> None:
        self._look(settle=False)
        self._task = asyncio.create_task(self._watch(), name="watch manifests")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def look(self) -> None:
        """Read at once what is different, without waiting for a second look."""
        self._look(settle=False)

    def wrote(self, file: str) -> None:
        """We wrote this file ourselves, and whole: its objects are taken at once."""
        before = self.folder.names_in(file)
        self.folder.reread(file)
        for kind, name in before - self.folder.names_in(file):
            self._remove(kind, name)
        for kind in PLURALS:
            for manifest in self.folder.manifests(kind, file):
                self._put(manifest)
        self.catalog.problems.update(self.folder.duplicates())
        self._changed()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            self._look(settle=True)

    def _look(self, *, settle: bool) -> None:
        if not self.folder.look(settle=settle):
            return
        for kind in PLURALS:
            self._replace(kind, self.folder.manifests(kind))
        self.catalog.problems.update(self.folder.duplicates())
        self._synced = True
        self._changed()


def open_catalog(tenant: str, manifests: Path | None, kube: Kube | None) -> LiveCatalog:
    """The folder where one is given, else the API. `await live.start()`, or use it as an async context manager."""
    if manifests is not None:
        return FolderCatalog(tenant, manifests)
    if kube is None:
        raise ValueError("a folder of manifests or a Kubernetes API is needed")
    return ApiCatalog(tenant, kube)


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])
