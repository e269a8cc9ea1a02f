"""`python -m broker serve`: put the parts together, run them until SIGTERM, take them apart in the reverse order.

Decides what readiness means (manifests read, a certificate loaded) and what a program that cannot start says. SIGHUP reopens
the audit log.
"""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
from aiohttp import web

from broker.api.routes import Api
from broker.app import build_app
from broker.audit import Audit
from broker.backends import Backends
from broker.cache import Cache
from broker.conditions import Conditions
from broker.errors import Misconfigured
from broker.gate import Gate
from broker.groups.assembly import assemble
from broker.groups.service import Groups
from broker.identity import Authenticator, TokenReviews
from broker.limits import Limits
from broker.metrics import Metrics
from broker.page.opening import open_page
from broker.people import People
from broker.probes import Probes
from broker.reads import Reads
from broker.resolve import Resolver
from broker.routes import Routes
from broker.settings import AUDIT_FILE, Settings
from broker.stores.registry import StoreSettings, load_provider, open_store
from broker.tokens import StaticTokens
from broker.uses import ClusterUses, NotKnown, Uses
from contract.catalog import Catalog
from service.catalog import LiveCatalog, open_catalog
from service.kube import Kube, KubeError
from service.logs import configure_logs
from service.nodes import Nodes
from service.probes import serve_probes
from service.server import serve
from service.tls import TlsFiles

log = structlog.get_logger()


async def main(environ: Mapping[str, str]) -> int:
    """Raises SettingsError."""
    settings = Settings.from_environ(environ)
    configure_logs(settings.log_level)
    try:
        async with AsyncExitStack() as stack:
            await _run(settings, stack)
    except (Misconfigured, KubeError) as error:
        sys.stderr.write(f"broker: {error.message}\n")
        return 1
    return 0


async def _run(settings: Settings, stack: AsyncExitStack) -> None:
    metrics = Metrics()
    kube = None
    if settings.manifests is None:
        kube = await stack.enter_async_context(Kube.in_cluster())
    audit = _audit(settings, metrics, stack)
    backends, reads = _stores(settings, metrics, stack)
    live = open_catalog(settings.tenant, settings.manifests, kube)
    gate = Gate(live.catalog, settings.tenant_admins, audit, metrics)
    store_probes = Probes(backends, metrics)
    stack.push_async_callback(store_probes.close)
    parts = assemble(
        live,
        kube,
        settings.manifests,
        gate,
        backends,
        reads,
        store_probes,
        creators=settings.group_creators,
        reveals_per_minute=settings.reveals_per_minute,
    )
    stack.push_async_callback(parts.close)
    authenticator = _authenticator(settings, kube, metrics)
    live.on_change(lambda: backends.keep_only(live.catalog.stores))
    live.on_change(_ProblemLog(live.catalog))
    live.on_change(lambda: store_probes.follow(live.catalog.stores))
    if kube is not None:
        conditions = Conditions(kube, live.catalog, store_probes)
        live.on_change(conditions.touch)
        store_probes.on_change(conditions.touch)
        conditions.start()
        stack.push_async_callback(conditions.close)
    await stack.enter_async_context(live)
    parts.repair.start()
    await stack.enter_async_context(_sweeping(reads, settings.cache_seconds))
    tls = TlsFiles(settings.tls_dir)
    await tls.start()
    stack.push_async_callback(tls.close)
    metrics.certificate_expiry.set_function(lambda: tls.expires_at.timestamp() if tls.expires_at else 0.0)
    if settings.metrics_listen is not None:
        probes = await serve_probes(settings.metrics_listen, ready=lambda: not_ready(live, tls), registry=metrics.registry)
        stack.push_async_callback(probes.cleanup)
    admins = settings.tenant_admins
    nodes = None
    if kube is not None:
        nodes = Nodes(kube)
        await nodes.start()
        stack.push_async_callback(nodes.close)
    people = People(gate, parts.groups)
    routes = Routes(authenticator, Resolver(live.catalog, admins, reads, audit, metrics), people, audit, metrics, nodes)
    tables = [Api(parts.groups, routes.person).table(), *_page(settings, kube, authenticator, audit, parts.groups, stack)]
    await serve(build_app(routes, settings.max_requests, *tables), settings.listen, tls)


def _page(
    settings: Settings, kube: Kube | None, authenticator: Authenticator, audit: Audit, groups: Groups, stack: AsyncExitStack
) -> list[list[web.RouteDef]]:
    """The web page's routes; none where it is switched off."""
    if not settings.page.served:
        return []
    uses: Uses = NotKnown()
    if kube is not None:
        uses = looking = ClusterUses(kube, settings.tenant)
        stack.push_async_callback(looking.close)
    return [open_page(settings.page, settings.tls_dir, authenticator, audit, groups, uses).table()]


def not_ready(live: LiveCatalog, tls: TlsFiles) -> list[str]:
    """What is missing. A store that is down is not: it is one of several, and its secrets' askers are told."""
    missing = [] if live.synced else ["the SecretStores and SecretGroups are not read yet"]
    if not tls.healthy:
        missing.append(tls.problem or "no certificate is loaded")
    return missing


def _audit(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> Audit:
    try:
        audit = Audit(settings.audit_file, metrics)
    except OSError as error:
        raise Misconfigured(f"{AUDIT_FILE.name} {settings.audit_file}: cannot be opened ({error.strerror})") from None
    stack.callback(audit.close)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, audit.reopen)
    return audit


def _stores(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> tuple[Backends, Reads]:
    store_settings = StoreSettings(settings.embedded_db, settings.embedded_key_file, settings.reach, settings.tenant)
    limits = Limits(settings.store_concurrency, settings.store_queue)
    backends = Backends(lambda store: open_store(store, store_settings), limits, metrics, load=load_provider)
    cache = Cache(settings.cache_seconds, settings.cache_bytes, time.monotonic, stale_seconds=settings.stale_seconds)
    reads = Reads(backends, cache, metrics, time.monotonic, settings.max_requests)
    stack.push_async_callback(backends.close)
    stack.push_async_callback(reads.close)
    return backends, reads


def _authenticator(settings: Settings, kube: Kube | None, metrics: Metrics) -> Authenticator:
    if kube is not None:
        return TokenReviews(kube, metrics)
    if settings.tokens_file is None:
        raise Misconfigured("a Kubernetes API or a file of tokens is needed")  # the settings have checked this
    return StaticTokens(settings.tokens_file)


@asynccontextmanager
async def _sweeping(reads: Reads, seconds: float) -> AsyncIterator[None]:
    """Drop cached values soon after their time, also when no one asks any more."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(max(1.0, seconds))
            reads.sweep()

    task = asyncio.create_task(sweep(), name="sweep the cache")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _ProblemLog:
    """Logs each manifest that cannot be used, once for each set of problems."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._logged: dict[tuple[str, str], tuple[str, ...]] = {}

    def __call__(self) -> None:
        for (kind, name), problems in self._catalog.problems.items():
            if self._logged.get((kind, name)) != problems:
                log.warning("manifest_invalid", kind=kind, name=name, problems=problems)
        self._logged = dict(self._catalog.problems)
