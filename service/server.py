"""Run a program as a server: the HTTPS listener, signals, a graceful end, the exit code.

Decides how long requests in flight may take at the end, and that a wrong environment is exit code 2 with every fault. What
is served is the program's; that traffic moves away before the listener closes is the manifests' (a preStop sleep).
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiohttp import web

from service.settings import LISTEN, Address, SettingsError
from service.tls import TlsSource

GRACE = 10.0  # seconds for requests in flight; an admission has 5, a resolve retries elsewhere
KEEP_ALIVE = 120.0  # seconds; Go's clients drop an idle connection after 90, and whoever closes first must not be us
MAX_HEADER = 16 * 1024  # bytes of one header: a person's OIDC token with many groups is past aiohttp's 8190
BACKLOG = 1024  # a node that comes back starts a hundred pods at once

log = structlog.get_logger()
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
App = web.Application | Handler


@asynccontextmanager
async def listening(what: App, address: Address, tls: TlsSource | None, *, grace: float = GRACE) -> AsyncIterator[int]:
    """Serve inside the block and yield the bound port; at its end stop accepting and let requests in flight finish.

    A bare handler saves the router, for a server with one hot path. `tls` must be started; None is plain HTTP, for tests.
    """
    options: dict[str, Any] = {"access_log": None, "keepalive_timeout": KEEP_ALIVE, "max_field_size": MAX_HEADER}
    runner: web.BaseRunner
    if isinstance(what, web.Application):
        runner = web.AppRunner(what, shutdown_timeout=grace, **options)
    else:
        runner = web.ServerRunner(web.Server(what, **options), shutdown_timeout=grace)
    await runner.setup()
    try:
        context = None if tls is None else tls.current
        await start_site(web.TCPSite(runner, address.host, address.port, ssl_context=context, backlog=BACKLOG), address, LISTEN.name)
        port = bound_port(runner)
        log.info("listening", host=address.host, port=port, tls=tls is not None)
        yield port
    finally:
        await runner.cleanup()


async def serve(what: App, address: Address, tls: TlsSource | None, *, grace: float = GRACE) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = stop_signal()
    async with listening(what, address, tls, grace=grace):
        await stop.wait()
        log.info("stopping", grace=grace)


def stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT. A second one ends the program at once, as the system does it."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def request_stop(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, request_stop, number)
    return stop


async def start_site(site: web.TCPSite, address: Address, setting: str) -> None:
    """Raises SettingsError for an address that cannot be listened on."""
    try:
        await site.start()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        fault = f"{setting}: found '{address.host}:{address.port}'; allowed: an address of this machine with a free port ({reason})"
        raise SettingsError([fault]) from None


def bound_port(runner: web.BaseRunner) -> int:
    return int(runner.addresses[0][1])


def run(main: Callable[[], Coroutine[Any, Any, int | None]]) -> int:
    """The program's exit code. Settings are read inside `main`; a SettingsError is 2 and all its faults on standard error."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(main()) or 0
    except SettingsError as error:
        sys.stderr.write("".join(f"{fault}\n" for fault in error.faults))
        return 2
    except KeyboardInterrupt:
        return 130


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # no wheel for this machine: asyncio's own loop does the same, slower
        return None
    return uvloop.new_event_loop
