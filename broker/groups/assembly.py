"""Put the management service together: in a cluster over SecretGroup objects, else over the folder of manifests."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from broker.backends import Backends
from broker.gate import Gate
from broker.groups.changes import Changes
from broker.groups.pending import Pending, now_utc
from broker.groups.cluster import ClusterResources
from broker.groups.folder import FolderResources
from broker.groups.held import held_from_api
from broker.groups.index import Follower, Index
from broker.groups.repair import Repair
from broker.groups.resources import Resources
from broker.groups.service import Groups
from broker.groups.values import Values
from broker.probes import Probes
from broker.rates import Rates
from broker.reads import Reads
from service.catalog import FolderCatalog, LiveCatalog
from service.kube import Kube


@dataclass(frozen=True, slots=True)
class Parts:
    """`groups` is the service; the rest is for whoever runs or tests it."""

    groups: Groups
    changes: Changes
    repair: Repair
    resources: Resources
    index: Index

    async def close(self) -> None:
        await self.repair.close()
        await self.resources.close()


def assemble(
    live: LiveCatalog,
    kube: Kube | None,
    manifests: Path | None,
    gate: Gate,
    backends: Backends,
    reads: Reads,
    probes: Probes,
    *,
    creators: frozenset[str] = frozenset(),
    reveals_per_minute: int = 0,
    now: Callable[[], datetime] = now_utc,
    clock: Callable[[], float] = time.monotonic,
) -> Parts:
    """Follow `live`, which is not started yet. `Parts.repair.start()` when it is."""
    index = Index(live.catalog)
    resources: Resources
    if kube is not None:
        resources = ClusterResources(kube, index)
        live.on_object(Follower(index, live.catalog, held_from_api))
    elif manifests is not None and isinstance(live, FolderCatalog):
        resources = folder = FolderResources(manifests, live, index)
        live.on_object(Follower(index, live.catalog, folder.held))
    else:
        raise ValueError("a Kubernetes API or a folder of manifests is needed")
    values = Values(backends, reads)
    pending = Pending(resources, values, live.catalog, now)
    changes = Changes(resources, values, pending)
    repair = Repair(resources, pending)
    reveals = Rates(reveals_per_minute, 60 / reveals_per_minute, clock) if reveals_per_minute else None
    groups = Groups(gate, index, resources, values, changes, probes, reveals, creators)
    return Parts(groups, changes, repair, resources, index)
