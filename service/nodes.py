"""Which Kubernetes versions a cluster runs: the API server's, and the lowest of its nodes' kubelets.

Decides what mode `auto` may count on. Kept in memory by a watch that asks for nodes as table rows without their objects: a
few hundred bytes a node instead of ten thousand, also for each heartbeat. A version that cannot be read counts as the
oldest, since envfile on a kubelet that does not know it starts an app with empty variables.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

import msgspec
import structlog

from service.kube import Kube, KubeError
from service.watch import Metadata, Page, Watch

REFRESH = 300.0  # seconds between looks at the API server's version; a new one also ends our watch, which is a look at once
OLDEST = (0, 0)
Version = tuple[int, int]

log = structlog.get_logger()


@lru_cache(maxsize=256)
def parse_version(text: str) -> Version:
    """`v1.34.4-gke.100` -> (1, 34); OLDEST for what is no version."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})(?!\d)", text)
    return (int(found[1]), int(found[2])) if found else OLDEST


class FixedNodes:
    """Off-cluster: the version that a setting names, for the API server and all nodes."""

    synced = True
    lowest_node: str | None = None

    def __init__(self, version: str) -> None:
        self.lowest: Version | None = parse_version(version)
        self.server: Version | None = self.lowest

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class KubeletVersions:
    """Nodes by name and by version; the lowest is that of a handful of distinct versions."""

    def __init__(self) -> None:
        self._version: dict[str, Version] = {}
        self._names: dict[Version, set[str]] = {}
        self._lowest_node: str | None = None  # known until a node changes: each review in a mixed cluster asks for it

    def __len__(self) -> int:
        return len(self._version)

    @property
    def lowest(self) -> Version | None:
        return min(self._names, default=None)

    @property
    def lowest_node(self) -> str | None:
        lowest = self.lowest
        if self._lowest_node is None and lowest is not None:
            self._lowest_node = min(self._names[lowest])
        return self._lowest_node

    def get(self, name: str) -> Version | None:
        return self._version.get(name)

    def put(self, name: str, version: Version) -> None:
        if self._version.get(name) == version:
            return
        self.remove(name)
        self._version[name] = version
        self._names.setdefault(version, set()).add(name)
        self._lowest_node = None

    def remove(self, name: str) -> None:
        version = self._version.pop(name, None)
        if version is not None:
            self._lowest_node = None
            self._names[version].discard(name)
            if not self._names[version]:
                del self._names[version]


class Nodes:
    """The live cluster. `server` is None until the API server told its version, `lowest` without nodes."""

    def __init__(self, kube: Kube, *, refresh: float = REFRESH) -> None:
        self._kube, self._refresh = kube, refresh
        self._kubelets = KubeletVersions()
        self._due = asyncio.Event()
        self._watch = Watch(
            kube,
            "/api/v1/nodes",
            reading=NodeRows(),
            on_snapshot=self._snapshot,
            on_event=self._event,
            on_connect=self._due.set,
        )
        self._task: asyncio.Task[None] | None = None
        self.server: Version | None = None

    @property
    def synced(self) -> bool:
        return self._watch.synced and self.server is not None

    @property
    def lowest(self) -> Version | None:
        return self._kubelets.lowest

    @property
    def lowest_node(self) -> str | None:
        """The first by name of those with the lowest version, for messages."""
        return self._kubelets.lowest_node

    def version_of(self, node: str) -> Version | None:
        """The node's kubelet; None for a node that the watch has not seen."""
        return self._kubelets.get(node)

    async def start(self) -> None:
        self._watch.start()
        self._task = asyncio.create_task(self._follow_server(), name="watch API server version")

    async def close(self) -> None:
        await self._watch.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _follow_server(self) -> None:
        """Ask now and then, and whenever the watch had to connect again: that may be another API server."""
        while True:
            try:
                found = parse_version(str((await self._kube.get("/version")).get("gitVersion")))
                if found != self.server:
                    log.info("server_version", version=".".join(map(str, found)))
                self.server = found
            except (KubeError, ValueError, AttributeError) as error:
                log.warning("server_version_unknown", error=type(error).__name__)
            self._due.clear()
            with suppress(TimeoutError):  # not wait_for, which in Python 3.11 can swallow a cancellation
                async with asyncio.timeout(self._refresh if self.server else 1.0):
                    await self._due.wait()

    def _snapshot(self, rows: list[tuple[str, Version]]) -> None:
        self._kubelets = KubeletVersions()
        for name, version in rows:
            self._kubelets.put(name, version)
        self._tell()

    def _event(self, change: str, row: tuple[str, Version]) -> None:
        before = self.lowest
        if change == "DELETED":
            self._kubelets.remove(row[0])
        else:
            self._kubelets.put(*row)
        if self.lowest != before:
            self._tell()

    def _tell(self) -> None:
        lowest = ".".join(map(str, self.lowest)) if self.lowest else None
        log.info("lowest_kubelet", version=lowest, node=self.lowest_node, nodes=len(self._kubelets))


class _Column(msgspec.Struct):
    name: str


class _Row(msgspec.Struct):
    cells: list[msgspec.Raw]


class _Info(msgspec.Struct, rename={"version": "kubeletVersion"}):
    version: str = ""


class _Status(msgspec.Struct, rename={"info": "nodeInfo"}):
    info: _Info | None = None


class _Name(Metadata):
    name: str = ""


class _Node(msgspec.Struct):
    metadata: _Name
    status: _Status | None = None

    def read(self) -> tuple[str, Version]:
        return self.metadata.name, parse_version(self.status.info.version if self.status and self.status.info else "")


class _Answer(_Node, rename={"columns": "columnDefinitions"}):
    """A table, a list of nodes, or a node."""

    kind: str = ""
    rows: list[_Row] | None = None
    columns: list[_Column] | None = None
    items: list[_Node] | None = None


class NodeRows:
    """Nodes as the API server prints them. Columns are named in the list and in the first event of a watch only.

    Whole nodes are read too: something between us and the API server may not know tables, and an answer without rows must
    not pass for a cluster without nodes.
    """

    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    params: Mapping[str, str] = {"includeObject": "None"}

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Answer).decode
        self._name, self._version = 0, 4

    def page(self, body: bytes | msgspec.Raw) -> Page[tuple[str, Version]]:
        answer = self._decode(body)
        if answer.columns:
            names = [column.name for column in answer.columns]
            self._name, self._version = names.index("Name"), names.index("Version")
        return Page(self._nodes(answer), answer.metadata)

    event = page

    def _nodes(self, answer: _Answer) -> list[tuple[str, Version]]:
        if answer.kind == "Table" or answer.rows is not None:
            return [self._read(row) for row in answer.rows or ()]
        if answer.kind == "Node" or answer.metadata.name:
            return [answer.read()]
        if answer.items is None and not answer.kind.endswith("List"):
            raise ValueError(f"found kind '{answer.kind[:40]}'; allowed: Table, NodeList, Node")
        return [node.read() for node in answer.items or ()]

    def _read(self, row: _Row) -> tuple[str, Version]:
        return msgspec.json.decode(row.cells[self._name], type=str), parse_version(str(msgspec.json.decode(row.cells[self._version])))
