import asyncio
import os
import signal
import socket
import subprocess
import sys

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from broker.identity import MAX_TOKEN
from service.probes import serve_probes
from service.server import bound_port, listening, run, serve
from service.settings import Address, SettingsError

ANYWHERE = Address("127.0.0.1", 0)


async def fetch(port, path="/"):
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("bare", [True, False], ids=["a-bare-handler", "an-application"])
async def test_requests_in_flight_are_finished_and_new_ones_refused(bare):
    """At the end of the block nothing is accepted any more, and who is being served gets an answer."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request):
        inside.set()
        await go_on.wait()
        return web.Response(text="done")

    app = slow
    if not bare:
        app = web.Application()
        app.router.add_get("/", slow)
    server = listening(app, ANYWHERE, None)
    port = await server.__aenter__()
    request = asyncio.create_task(fetch(port))
    await inside.wait()
    end = asyncio.create_task(server.__aexit__(None, None, None))
    await asyncio.sleep(0.02)
    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch(port)
    go_on.set()
    assert await request == (200, "done")
    await end


@pytest.mark.parametrize("bare", [True, False], ids=["a-bare-handler", "an-application"])
async def test_a_token_as_long_as_the_broker_takes_arrives(bare):
    """aiohttp by itself refuses a header past 8190 bytes, and repeats its beginning."""

    async def length(request):
        return web.Response(text=str(len(request.headers["Authorization"])))

    app = length
    if not bare:
        app = web.Application()
        app.router.add_get("/", length)
    headers = {"Authorization": "Bearer ".ljust(MAX_TOKEN, "x")}
    async with listening(app, ANYWHERE, None) as port, aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"http://127.0.0.1:{port}/") as answer:
            assert (answer.status, await answer.text()) == (200, str(MAX_TOKEN))


async def test_a_request_that_never_ends_is_cut_after_the_grace():
    inside = asyncio.Event()

    async def stuck(_request):
        inside.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(3):
        async with listening(stuck, ANYWHERE, None, grace=0.05) as port:
            request = asyncio.create_task(fetch(port))
            await inside.wait()
        with pytest.raises(aiohttp.ClientError):
            await request


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it(number):
    async def hello(_request):
        return web.Response(text="hello")

    served = asyncio.create_task(serve(hello, ANYWHERE, None))
    await asyncio.sleep(0.02)
    os.kill(os.getpid(), number)
    async with asyncio.timeout(3):
        await served


async def test_probes_tell_what_is_missing():
    """/readyz lists it, /livez does not care, /metrics is Prometheus text."""
    registry, missing = CollectorRegistry(), ["the certificate is not loaded"]
    Counter("reviews", "Reviews.", registry=registry).inc()
    runner = await serve_probes(ANYWHERE, ready=lambda: missing, registry=registry)
    port = bound_port(runner)
    assert await fetch(port, "/livez") == (200, "ok")
    assert await fetch(port, "/readyz") == (503, '["the certificate is not loaded"]')
    missing.clear()
    assert await fetch(port, "/readyz") == (200, "ok")
    status, text = await fetch(port, "/metrics")
    assert status == 200 and "reviews_total 1.0" in text
    assert (await fetch(port, "/other"))[0] == 404
    await runner.cleanup()


async def test_liveness_can_say_no():
    runner = await serve_probes(ANYWHERE, ready=list, registry=CollectorRegistry(), live=lambda: False)
    assert (await fetch(bound_port(runner), "/livez"))[0] == 503
    await runner.cleanup()


def test_faults_of_the_environment_are_exit_code_2(capsys):
    async def main():
        raise SettingsError(["TFY_SECRET_TENANT: found nothing; it must be given", "TFY_SECRET_LISTEN: found 'x'; allowed: host:port"])

    assert run(main) == 2
    assert capsys.readouterr().err.splitlines() == [
        "TFY_SECRET_TENANT: found nothing; it must be given",
        "TFY_SECRET_LISTEN: found 'x'; allowed: host:port",
    ]


@pytest.mark.parametrize("setting", ["TFY_SECRET_LISTEN", "TFY_SECRET_METRICS_LISTEN"])
def test_an_address_in_use_is_a_fault_of_the_environment(setting, capsys):
    """One sentence with the setting, and no traceback."""
    taken = socket.create_server(("127.0.0.1", 0))
    address = Address("127.0.0.1", taken.getsockname()[1])

    async def main():
        if setting == "TFY_SECRET_LISTEN":
            await serve(web.Application(), address, None)
        else:
            await serve_probes(address, ready=list, registry=CollectorRegistry())

    with taken:
        assert run(main) == 2
    assert capsys.readouterr().err == (
        f"{setting}: found '127.0.0.1:{address.port}'; allowed: an address of this machine with a free port (Address already in use)\n"
    )


def test_the_programs_exit_code_is_mains_and_uvloop_runs_it():
    async def main():
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        return 3

    assert run(main) == 3


def test_a_program_stops_at_sigterm():
    """The real thing: a process, its log line, a signal, exit code 0."""
    code = """
from aiohttp import web
from service.server import run, serve
from service.settings import Address
async def hello(request): return web.Response(text="hello")
async def main(): await serve(hello, Address("127.0.0.1", 0), None)
raise SystemExit(run(main))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert "listening" in process.stdout.readline()
        process.terminate()
        assert process.wait(5) == 0
