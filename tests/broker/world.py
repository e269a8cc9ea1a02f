"""A broker put together for tests: three groups in one store, people of every role, pods, a clock that does not run by itself."""

import json

import yaml
from dataclasses import dataclass, field

from aiohttp import web

from broker.api.routes import Api
from broker.app import build_app
from broker.audit import Audit, Origin
from broker.backends import Backends
from broker.cache import Cache
from broker.gate import Gate
from broker.groups.assembly import Parts, assemble
from broker.identity import Caller, Pod, subjects_of
from broker.limits import Limits
from broker.metrics import Metrics
from broker.people import People
from broker.probes import Probes
from broker.reads import Reads
from broker.resolve import Resolver
from broker.routes import Routes
from contract.access import workload_subjects
from contract.wire import Resolved
from service.catalog import FolderCatalog
from tests.broker.memory_store import MemoryStore

API = "tfy-secret.dev/v1alpha1"
ROLES = ("admin", "editor", "viewer", "consumer")
ORIGIN = Origin("request-1", "127.0.0.1")
PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
FQN = "tfy-secret://acme:payments:DB_PASSWORD"


def store(name="main", fqn="acme/embedded/main", provider=None, allow=()):
    return {
        "apiVersion": API,
        "kind": "SecretStore",
        "metadata": {"name": name},
        "spec": {"fqn": fqn, "provider": provider or {"embedded": {}}, "allow": list(allow)},
    }


def group(name, keys, roles=(), of="main"):
    collaborators = [{"role": f"secret-group-{role}", "subject": subject} for role, subject in roles]
    return {
        "apiVersion": API,
        "kind": "SecretGroup",
        "metadata": {"name": name},
        "spec": {"store": of, "keys": list(keys), "collaborators": collaborators},
    }


def manifests():
    everyone = [(role, f"user:{role}") for role in ROLES]
    return [
        store(allow=[{"subjects": ["namespace:mail"], "paths": ["/mail/"]}]),
        group("payments", ["DB_PASSWORD", "STRIPE_KEY", "JSON", "NEVER_SET"], [*everyone, ("consumer", "serviceaccount:shop/web")]),
        group("search", ["INDEX"], [("consumer", "namespace:search")]),
        group("lost", ["KEY"], [*everyone, ("consumer", "serviceaccount:shop/web")], of="gone"),
    ]


def person(name, *groups):
    return Caller(name, subjects_of(name, list(groups)))


def pod(namespace="shop", service_account="web", name="web-1"):
    return Caller(
        f"system:serviceaccount:{namespace}:{service_account}",
        workload_subjects(namespace, service_account),
        Pod(namespace, service_account, name, "uid-1", "node-1"),
    )


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@dataclass
class World:
    live: FolderCatalog
    store: MemoryStore
    backends: Backends
    cache: Cache
    reads: Reads
    audit: Audit
    audit_path: object
    metrics: Metrics
    clock: Clock
    admins: frozenset
    gate: Gate
    parts: Parts
    opened: list = field(default_factory=list)

    @property
    def catalog(self):
        return self.live.catalog

    @property
    def folder(self):
        return self.audit_path.parent / "manifests"

    @property
    def groups(self):
        return self.parts.groups

    async def close(self):
        await self.parts.close()
        await self.reads.close()
        await self.backends.close()
        self.audit.close()

    @property
    def resolver(self):
        return Resolver(self.catalog, self.admins, self.reads, self.audit, self.metrics)

    @property
    def people(self):
        return People(self.gate, self.groups)

    async def codes(self, caller, *names):
        """`ok` or the code of each answer."""
        return ["ok" if isinstance(a, Resolved) else a.code for a in await self.resolver.resolve(caller, names, ORIGIN)]

    async def values(self, caller, *names):
        return [a.value.reveal() for a in await self.resolver.resolve(caller, names, ORIGIN)]

    def lines(self):
        return [json.loads(line) for line in self.audit_path.read_text().splitlines()]

    def app(self, authenticator, max_requests=2000) -> web.Application:
        routes = Routes(authenticator, self.resolver, self.people, self.audit, self.metrics)
        return build_app(routes, max_requests, Api(self.groups, routes.person).table())

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, labels) or 0


def make_world(
    tmp_path,
    *,
    seconds=5.0,
    max_bytes=1 << 20,
    at_once=32,
    call_seconds=8.0,
    stale=0.0,
    max_requests=2000,
    admins=frozenset(),
    creators=frozenset(),
    reveals=0,
):
    clock, metrics, memory, opened = Clock(), Metrics(), MemoryStore(), []

    def open_client(found):
        opened.append(found)
        return memory

    backends = Backends(open_client, Limits(at_once=at_once, call_seconds=call_seconds), metrics)
    cache = Cache(seconds, max_bytes, clock, stale_seconds=stale)
    path, folder = tmp_path / "audit.log", tmp_path / "manifests"
    folder.mkdir()
    (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests()))
    live = FolderCatalog("acme", folder)
    reads, audit = Reads(backends, cache, metrics, clock, max_requests), Audit(path, metrics)
    gate = Gate(live.catalog, admins, audit, metrics)
    probes = Probes(backends, metrics)  # follows nothing: no store is asked unless a test has it asked
    parts = assemble(live, None, folder, gate, backends, reads, probes, creators=creators, reveals_per_minute=reveals, clock=clock)
    live.look()
    world = World(live, memory, backends, cache, reads, audit, path, metrics, clock, admins, gate, parts, opened)
    world.store.values[PATH] = [b"old", b"pa'ss"]
    world.store.values["/tfy-secret/acme/payments/JSON"] = [b'{"user": "ann", "port": 5.50, "none": null}']
    world.store.values["/mail/smtp"] = [b"smtp-key"]
    return world
