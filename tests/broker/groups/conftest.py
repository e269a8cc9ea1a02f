"""Two brokers in one process over one API server (the double of tests/broker/api_server.py), with watches, sharing one store."""

import contextlib

import pytest

from broker.audit import Audit
from broker.backends import Backends
from broker.cache import Cache
from broker.gate import Gate
from broker.groups.assembly import assemble
from broker.limits import Limits
from broker.metrics import Metrics
from broker.probes import Probes
from broker.reads import Reads
from service.catalog import ApiCatalog
from tests.broker.api_server import ApiServer
from tests.broker.memory_store import MemoryStore
from tests.broker.world import PATH, Clock, manifests


class Replica:
    """One broker's part of the service. `parts.groups` is what people use."""

    def __init__(self, live, parts, audit_path):
        self.live, self.parts, self.groups, self.audit_path = live, parts, parts.groups, audit_path


@pytest.fixture
async def cluster(tmp_path):
    """`await cluster.replica()` adds one; `cluster.api` is the API server, `cluster.store` the store's content."""

    class Cluster:
        store = MemoryStore()
        offset = None

        async def replica(self, **settings):
            metrics = Metrics()
            backends = Backends(lambda _: self.store, Limits(at_once=32, call_seconds=8.0), metrics)
            clock = Clock()
            reads = Reads(backends, Cache(5.0, 1 << 20, clock), metrics, clock)
            path = tmp_path / f"audit-{len(replicas)}.log"
            audit = Audit(path, metrics)
            live = ApiCatalog("acme", self.api.kube)
            gate = Gate(live.catalog, frozenset({"team:platform"}), audit, metrics)
            probes = Probes(backends, metrics)
            live.on_change(lambda: probes.follow(live.catalog.stores))
            parts = assemble(live, self.api.kube, None, gate, backends, reads, probes, creators=frozenset({"user:maker"}), **settings)
            await stack.enter_async_context(live)
            stack.callback(audit.close)
            stack.push_async_callback(backends.close)
            stack.push_async_callback(reads.close)
            stack.push_async_callback(parts.close)
            stack.push_async_callback(probes.close)
            await until(lambda: live.synced)
            replicas.append(Replica(live, parts, path))
            return replicas[-1]

    replicas = []
    made = Cluster()
    made.store.values[PATH] = [b"old", b"new"]
    async with contextlib.AsyncExitStack() as stack:
        made.api = await stack.enter_async_context(ApiServer())
        for manifest in manifests():
            made.api.put(manifest)
        yield made


async def until(met, seconds=5.0):
    import asyncio

    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.002)
