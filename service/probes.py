"""The plain HTTP listener for the kubelet and Prometheus: /livez, /readyz, /metrics.

Liveness says only "I answer": a restart cures nothing that readiness reports. Readiness is a list of what is missing, which
the program gives; an empty one is ready. Nothing here needs or shows a secret.
"""

from collections.abc import Callable

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from service.server import bound_port, start_site
from service.settings import METRICS_LISTEN, Address

log = structlog.get_logger()
Ready = Callable[[], list[str]]


def probes_app(*, ready: Ready, registry: CollectorRegistry, live: Callable[[], bool] = lambda: True) -> web.Application:
    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok") if live() else web.Response(text="stuck", status=503)

    async def readyz(_request: web.Request) -> web.Response:
        missing = ready()
        return web.json_response(missing, status=503) if missing else web.Response(text="ok")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app


async def serve_probes(
    address: Address, *, ready: Ready, registry: CollectorRegistry, live: Callable[[], bool] = lambda: True
) -> web.AppRunner:
    """Start to listen; `await runner.cleanup()` ends it."""
    runner = web.AppRunner(probes_app(ready=ready, registry=registry, live=live), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await start_site(web.TCPSite(runner, address.host, address.port), address, METRICS_LISTEN.name)
    log.info("probes_listening", host=address.host, port=bound_port(runner))
    return runner
