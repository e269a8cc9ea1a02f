"""What stores and pods see of the broker: a real broker process over HTTPS, a real store server that counts its calls and throttles.

(a) 500 pods start at once and ask for 10 references each, from a store that takes 40 calls a second: how many calls that makes, when the
    last pod has its values beside the least time that the calls need, and the broker's memory. The pods try again as the init container
    does. (b) 1,000 resolves of 10 warm references, beside a server that only decodes and answers. (c) one cold read beside the bare client.
"""

import asyncio
import json
import os
import random
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import trustme
import yaml

from broker.backends import Backends
from broker.cache import Cache
from broker.limits import Limits
from broker.metrics import Metrics
from broker.reads import Reads
from broker.stores.addresses import Reach
from broker.stores.generic import open_client
from broker.stores.registry import StoreSettings
from broker.stores.transport import open_http
from contract import wire
from contract.resources import parse_store
from initcontainer.fetch import BACKOFF_CAP_SECONDS, BACKOFF_SECONDS
from service.logs import configure_logs
from tests.bench.webhook import Server

ROOT = Path(__file__).parents[2]
RATE, PODS, REFERENCES, BATCH = 40, 500, 10, 10
TOKEN = "bench-token"
Rows = Iterator[tuple[str, str]]


# --- the servers -------------------------------------------------------------------------------------------------


@contextmanager
def process(*command: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server that prints its port and runs until its input is closed."""
    with subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started, int(started.stdout.readline())
        finally:
            started.stdin.close()
            started.wait(10)


@contextmanager
def broker(module: str, folder: Path, store_port: int, **settings: str) -> Iterator[Server]:
    """A broker process; what it logs goes into a file, as its audit does."""
    with tempfile.TemporaryDirectory(dir=folder) as own, open(f"{own}/log", "w+") as log:
        Path(own, "manifests.yaml").write_text(yaml.safe_dump_all(manifests(store_port)))
        Path(own, "tokens.csv").write_text(f"{TOKEN},system:serviceaccount:shop:web,1\n")
        environ = os.environ | {
            "TFY_SECRET_TENANT": "acme",
            "TFY_SECRET_LISTEN": "127.0.0.1:0",
            "TFY_SECRET_TLS_DIR": str(folder),
            "TFY_SECRET_MANIFESTS": own,
            "TFY_SECRET_TOKENS_FILE": f"{own}/tokens.csv",
            "TFY_SECRET_AUDIT_FILE": f"{own}/audit.log",
            "TFY_SECRET_ALLOW_LOOPBACK_STORES": "true",
            **settings,
        }
        with subprocess.Popen([sys.executable, "-m", module, "serve"], cwd=ROOT, env=environ, stderr=log, stdout=log) as started:
            try:
                yield Server(started, _port(Path(own, "log"), started), ssl.create_default_context(cafile=str(folder / "ca.crt")))
            finally:
                started.terminate()
                started.wait(20)


def _port(log: Path, started: subprocess.Popen[bytes]) -> int:
    for _ in range(400):
        for line in log.read_text().splitlines():
            if '"event": "listening"' in line or '"event":"listening"' in line:
                return int(json.loads(line)["port"])
        if started.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the broker did not start: {log.read_text()[-2000:]}")


def manifests(store_port: int) -> list[dict[str, object]]:
    head = {"apiVersion": "tfy-secret.dev/v1alpha1"}
    store = {
        "fqn": "acme/generic/main",
        "provider": {"generic": {"baseUrl": f"http://127.0.0.1:{store_port}"}},
        "allow": [{"subjects": ["namespace:shop"], "paths": ["/"]}],
    }
    group = {
        "store": "main",
        "keys": [f"KEY_{n}" for n in range(REFERENCES)],
        "collaborators": [{"role": "secret-group-consumer", "subject": "serviceaccount:shop/web"}],
    }
    return [
        head | {"kind": "SecretStore", "metadata": {"name": "main"}, "spec": store},
        head | {"kind": "SecretGroup", "metadata": {"name": "payments"}, "spec": group},
    ]


# --- (a) a restart -----------------------------------------------------------------------------------------------


def equal(_pod: int) -> tuple[str, ...]:
    return tuple(f"tfy-secret://acme:payments:KEY_{n}" for n in range(REFERENCES))


def different(pod: int) -> tuple[str, ...]:
    return tuple(f"acme/generic/main::/{pod}/{n}" for n in range(REFERENCES))


class Fleet:
    """Pods that start in one moment, each with a connection of its own. Memory is the broker's when the last one has its values."""

    def __init__(self, server: Server, names: Callable[[int], tuple[str, ...]], pods: int) -> None:
        self._server, self._names, self._pods = server, names, pods
        self.tries = 0

    async def start(self) -> float:
        """Seconds until the last pod has its values."""
        begun = time.perf_counter()
        await asyncio.gather(*(self._pod(self._names(pod)) for pod in range(self._pods)))
        return time.perf_counter() - begun

    async def _pod(self, names: tuple[str, ...]) -> None:
        tries = 0
        while True:
            tries += 1
            self.tries += 1
            if await self._has_all(names):
                return
            backoff = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2 ** min(tries - 1, 10))
            await asyncio.sleep(random.uniform(0, backoff))

    async def _has_all(self, names: tuple[str, ...]) -> bool:
        request = wire.ResolveRequest(names)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._server.port, ssl=self._server.context, server_hostname="localhost"
        )
        try:
            status, body = await ask(reader, writer, wire.encode_request(request))
        finally:
            writer.close()
        if status != 200:
            return False
        answers = wire.decode_response(body, request).values()
        wrong = [answer.code for answer in answers if isinstance(answer, wire.Unresolved) and answer.code not in wire.RETRYABLE]
        assert not wrong, wrong
        return all(isinstance(answer, wire.Resolved) for answer in answers)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> tuple[int, bytes]:
    head = f"POST /v1/resolve HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
    return int(lines[0].split()[1]), await reader.readexactly(length)


def restart(folder: Path, what: str, module: str, names: Callable[[int], tuple[str, ...]], pods: int, least: int) -> Rows:
    """`least`: the calls that cannot be saved."""
    with process("tests.bench.store_server", str(RATE)) as (_, port), broker(module, folder, port) as server:
        idle = server.memory()
        fleet = Fleet(server, names, pods)
        took = asyncio.run(fleet.start())
        counted = httpx.get(f"http://127.0.0.1:{port}/count").json()
        cpu = server.cpu()
        served = counted["calls"] - counted["refused"]
        ideal = max(0, least - RATE) / RATE  # the bucket is full at first
        values = f"{pods * REFERENCES / counted['calls']:.1f} values a call"
        yield what, f"{counted['calls']} calls, {counted['refused']} of them refused; {served / least:.2f} x the least ({least}); {values}"
        yield "  the last pod has its values", f"after {took:.1f} s (the calls alone: {ideal:.1f} s); {fleet.tries / pods:.2f} tries a pod"
        yield "  the broker", f"{cpu:.1f} s CPU with its start; {server.memory()}; idle {idle}"


# --- (b) warm ----------------------------------------------------------------------------------------------------


async def resolves(server: Server, count: int, names: tuple[str, ...], pause: float = 0.0) -> list[float]:
    """One after another on one connection, one each `pause` seconds; the seconds that each took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=server.context, server_hostname="localhost")
    body, took, begin = wire.encode_request(wire.ResolveRequest(names)), [], time.perf_counter()
    for number in range(count):
        if pause:
            await asyncio.sleep(max(0.0, begin + number * pause - time.perf_counter()))
        start = time.perf_counter()
        status, _ = await ask(reader, writer, body)
        assert status == 200
        took.append(time.perf_counter() - start)
    writer.close()
    return took


def cpu_each(server: Server, count: int) -> float:
    """Milliseconds of CPU a resolve, the least of three runs."""
    asyncio.run(resolves(server, count // 4, equal(0)))
    figures = []
    for _ in range(3):
        before = server.cpu()
        asyncio.run(resolves(server, count, equal(0)))
        figures.append((server.cpu() - before) / count * 1000)
    return min(figures)


def warm(folder: Path) -> Rows:
    with ExitStack() as stack:
        _, port = stack.enter_context(process("tests.bench.store_server", "0"))
        server = stack.enter_context(broker("broker", folder, port, TFY_SECRET_CACHE_SECONDS="3600"))
        started, floor_port = stack.enter_context(process("tests.bench.broker_floor", str(folder)))
        floor = Server(started, floor_port, server.context)
        least, ours = cpu_each(floor, 1000), cpu_each(server, 1000)
        yield "CPU a resolve of 10 warm references", f"{ours:.2f} ms, floor {least:.2f} ms: {ours / least:.2f} x"
        for name, one in (("floor", floor), ("broker", server)):
            took = sorted(asyncio.run(resolves(one, 1000, equal(0), 0.01)))
            yield f"  latency at 100 resolves a second, {name}", f"p50 {took[500] * 1000:.2f} ms, p99 {took[989] * 1000:.2f} ms"
        calls = httpx.get(f"http://127.0.0.1:{port}/count").json()["calls"]
        yield "  calls to the store for all of them", str(calls)


# --- (c) cold ----------------------------------------------------------------------------------------------------


async def cold_reads(port: int, count: int) -> tuple[list[float], list[float]]:
    """Seconds of the bare client and of our own path to the same server, in turns: nothing is kept, so each read is a cold one."""
    store = parse_store(manifests(port)[0])
    metrics = Metrics()
    backends = Backends(lambda found: open_client(found, StoreSettings(reach=Reach(allow_loopback=True))), Limits(), metrics)
    reads = Reads(backends, Cache(0, 0, time.monotonic), metrics, time.monotonic)
    bare, ours = [], []
    async with open_http(reach=Reach(allow_loopback=True), connect_seconds=3, total_seconds=10) as http:
        for number in range(count):
            for client, figures in ((_bare, bare), (_read, ours)):
                start = time.perf_counter()
                await client(http, reads, store, port, f"/{number}")
                figures.append(time.perf_counter() - start)
    await reads.close()
    await backends.close()
    return bare, ours


async def _bare(http: httpx.AsyncClient, _reads: Reads, _store: object, port: int, path: str) -> None:
    assert (await http.get(f"http://127.0.0.1:{port}/secrets", params={"path": path})).json()["value"] == path


async def _read(_http: httpx.AsyncClient, reads: Reads, store: object, _port: int, path: str) -> None:
    assert (await reads.read(store, path)).value.reveal().decode() == path


async def cold_resolves(server: Server, count: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=server.context, server_hostname="localhost")
    took = []
    for number in range(count):
        body = wire.encode_request(wire.ResolveRequest((f"acme/generic/main::/{number}",)))
        start = time.perf_counter()
        assert (await ask(reader, writer, body))[0] == 200
        took.append(time.perf_counter() - start)
    writer.close()
    return took


def cold(folder: Path) -> Rows:
    with process("tests.bench.store_server", "0") as (_, port):
        bare, ours = (statistics.median(found[20:]) * 1000 for found in asyncio.run(cold_reads(port, 320)))
        yield "a cold read, cache and guard", f"{ours:.2f} ms, bare client {bare:.2f} ms: {ours - bare:.2f} ms our own (target < 5 ms)"
        with broker("broker", folder, port, TFY_SECRET_CACHE_SECONDS="0") as server:
            took = statistics.median(asyncio.run(cold_resolves(server, 320))[20:]) * 1000
            yield "  through a broker, with HTTPS, token, decision and audit", f"{took:.2f} ms: {took - bare:.2f} ms over the bare client"


def run() -> Rows:
    configure_logs("error")
    batches, plain = "tests.bench.batch_broker", "broker"
    with tempfile.TemporaryDirectory() as name:
        folder, authority = Path(name), trustme.CA()
        pair = authority.issue_cert("localhost", "127.0.0.1")
        (folder / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in pair.cert_chain_pems))
        pair.private_key_pem.write_to_path(f"{folder}/tls.key")
        authority.cert_pem.write_to_path(f"{folder}/ca.crt")
        yield from restart(folder, f"{PODS} pods, the same {REFERENCES} names, batches", batches, equal, PODS, 1)
        yield from restart(folder, f"{PODS} pods, the same {REFERENCES} names, single reads", plain, equal, PODS, REFERENCES)
        least = PODS * REFERENCES // BATCH
        yield from restart(folder, f"{PODS} pods, {REFERENCES} names of their own each, batches", batches, different, PODS, least)
        yield from restart(folder, f"100 pods, {REFERENCES} names of their own each, single reads", plain, different, 100, 100 * REFERENCES)
        yield from warm(folder)
        yield from cold(folder)
    yield "this process's own CPU", f"{resource.getrusage(resource.RUSAGE_SELF).ru_utime:.1f} s"


if __name__ == "__main__":
    for row in run():
        print(*row, sep=": ", flush=True)
