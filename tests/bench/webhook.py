"""What an admission costs, over TLS with keep-alive as the API server does it, beside a handler that only decodes and allows."""

import asyncio
import os
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import trustme

from tests.bench.reviews import pod, review

TICK = os.sysconf("SC_CLK_TCK")
Rows = Iterator[tuple[str, str]]


class Server:
    """One of the two servers and how it is asked."""

    def __init__(self, process: subprocess.Popen[str], port: int, context: ssl.SSLContext) -> None:
        self.process, self.port, self.context = process, port, context

    def cpu(self) -> float:
        """Seconds of CPU that the process has used, from /proc/<pid>/stat."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> str:
        """Peak resident memory, and how much is its own now: the rest are files (libraries) that replicas share."""
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        peak, own = (int(lines[name].split()[0]) / 1024 for name in ("VmHWM", "RssAnon"))
        return f"{peak:.0f} MiB resident, {own:.0f} MiB its own"

    async def ask(self, bodies: list[bytes], count: int, pause: float = 0.0) -> list[float]:
        """Send reviews one after another on one connection, one each `pause` seconds, in turn; the seconds that each took."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, server_hostname="localhost")
        head_of = "POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
        requests = [head_of.format(len(body)).encode() + body for body in bodies]
        took, begin = [], perf_counter()
        for number in range(count):
            if pause:
                await asyncio.sleep(max(0.0, begin + number * pause - perf_counter()))
            start = perf_counter()
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head[:60]
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            answer = await reader.readexactly(length)
            assert b'"allowed":true' in answer
            took.append(perf_counter() - start)
        writer.close()
        await writer.wait_closed()
        return took


@contextmanager
def server(kind: str, folder: str) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.server", kind, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            port = int(process.stdout.readline())
            yield Server(process, port, ssl.create_default_context(cafile=f"{folder}/ca.crt"))
        finally:
            process.stdin.close()
            process.wait(10)


def cpu_per_review(one: Server, bodies: list[bytes], count: int) -> float:
    """Milliseconds of CPU a review, the least of three runs."""
    asyncio.run(one.ask(bodies, count // 4))
    figures = []
    for _ in range(3):
        before = one.cpu()
        asyncio.run(one.ask(bodies, count))
        figures.append((one.cpu() - before) / count * 1000)
    return min(figures)


def _latency(took: list[float]) -> str:
    took = sorted(took)
    return f"p50 {statistics.median(took) * 1000:.2f} ms, p99 {took[int(len(took) * 0.99) - 1] * 1000:.2f} ms"


def run() -> Rows:
    # A cluster's pods are those of its rollouts: 50 different ones in turn. What is remembered of a pod helps its siblings alone.
    small = [review(pod(10, 6000, app)) for app in range(50)]
    large = "1 MB pod, 10 references"
    bodies = {
        "7 KB pods, 10 references": (small, 4000, 2.0),
        "7 KB pods without references": ([review(pod(0, 6000, app)) for app in range(50)], 4000, 2.0),
        large: ([review(pod(10, 1_000_000))], 200, 3.0),
    }
    strangers = [review(pod(10, 6000, app)) for app in range(2000)]  # each one the first of its rollout
    with tempfile.TemporaryDirectory() as folder:
        authority = trustme.CA()
        pair = authority.issue_cert("localhost")
        Path(folder, "tls.crt").write_bytes(b"".join(pem.bytes() for pem in pair.cert_chain_pems))
        pair.private_key_pem.write_to_path(f"{folder}/tls.key")
        authority.cert_pem.write_to_path(f"{folder}/ca.crt")
        with server("floor", folder) as floor, server("webhook", folder) as webhook:
            for what, (body, count, target) in bodies.items():
                if what == large:
                    yield "memory, 7 KB pods", f"{webhook.memory()} (target < 50 MiB); floor {floor.memory()}"
                least, ours = cpu_per_review(floor, body, count), cpu_per_review(webhook, body, count)
                yield (
                    f"CPU a review, {what} ({len(body[0]) / 1000:.1f} KB)",
                    f"{ours:.3f} ms, floor {least:.3f} ms: {ours / least:.2f} x (target < {target:g} x)",
                )
            least, ours = cpu_per_review(floor, strangers, 4000), cpu_per_review(webhook, strangers, 4000)
            yield "CPU a review, the same, never seen before", f"{ours:.3f} ms, floor {least:.3f} ms: {ours / least:.2f} x"
            # The asking process, its TLS and its timers are in both.
            least, ours = (_latency(asyncio.run(one.ask(small, 1000, 0.01))) for one in (floor, webhook))
            yield "latency at 100 reviews a second", f"{ours} (target p99 < 2 ms); floor {least}"
            yield "memory, after 1 MB pods", f"{webhook.memory()}; floor {floor.memory()}"
    yield "this process's own CPU", f"{resource.getrusage(resource.RUSAGE_SELF).ru_utime:.1f} s"


if __name__ == "__main__":
    for row in run():
        print(*row, sep=": ")
