"""The init container from exec to exit, against a broker stand-in with real TLS in a process of its own, onto real tmpfs.

Its own time is what stands above `python -c pass` with the same flags, taken in turns in the same run, so that a busy machine slows
both. Minimum and median of N runs. `-S -E` are the flags of the image: without them Python looks for site packages first.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from contract.keys import SOURCE_FILE
from contract.plan import encode_plan
from tests.initcontainer.plans import container, plan, template, variable

RUNS = 40
SIZES = (1, 10, 100)
TEMPLATE = -10  # ten values in a config file of 2 KB
MODULES = -1  # what nobody can ask over TLS without; 17 ms above python where the target of 40 was set
ROOT = Path(__file__).parents[2]
FLAGS = (sys.executable, "-S", "-E")
Sample = tuple[float, float, float]  # wall ms, CPU ms, peak MiB


def run() -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir="/dev/shm") as memory, _broker(Path(folder)) as (url, ca):
        (Path(folder) / "token").write_text("x" * 1000)
        (Path(memory) / "tfy-secret-app").mkdir()
        programs = {0: ([*FLAGS, "-c", "pass"], {}), MODULES: ([*FLAGS, "-c", "import json, os, socket, ssl; os._exit(0)"], {})}
        for count in SIZES:
            names = [variable(f"V{i}", f"tfy-secret://acme:payments:KEY_{i}") for i in range(count)]
            programs[count] = (
                [*FLAGS, "-m", "initcontainer"],
                _environ(folder, memory, encode_plan(plan(container(*names), broker=url, ca=ca))),
            )
        text = "models:\n" + "".join(f'- {{name: m{i}, key: "${{tfy-secret://acme:payments:KEY_{i}}}"}} {"#" * 120}\n' for i in range(10))
        (Path(folder) / "config.yaml").mkdir()
        (Path(folder) / "config.yaml" / SOURCE_FILE).write_text(text)
        encoded = encode_plan(plan(container(template("config.yaml"), mode="files"), broker=url, ca=ca))
        programs[TEMPLATE] = ([*FLAGS, "-m", "initcontainer"], _environ(folder, memory, encoded) | {"TFY_SECRET_TEMPLATES": folder})
        samples: dict[int, list[Sample]] = {count: [] for count in programs}
        with subprocess.Popen([*FLAGS, "-c", _STARTER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
            for number in range(RUNS + 2):  # the first two compile and warm up
                for count, (command, environ) in programs.items():
                    sample = _measure(starter, command, environ)
                    if number >= 2:
                        samples[count].append(sample)
    return _rows(samples)


def _environ(folder: str, memory: str, text: str) -> dict[str, str]:
    return {
        "TFY_SECRET_PLAN": text,
        "TFY_SECRET_TOKEN_FILE": f"{folder}/token",
        "TFY_SECRET_VOLUMES": memory,
        "TFY_SECRET_TERMINATION_LOG": f"{folder}/log",
    }


@contextmanager
def _broker(folder: Path) -> Iterator[tuple[str, str]]:
    authority = trustme.CA()
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    command = [sys.executable, "-m", "tests.initcontainer.broker", str(folder / "server.pem")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"https://127.0.0.1:{int(process.stdout.readline())}", authority.cert_pem.bytes().decode()
        process.stdin.close()


# A process that is as small as the floor starts the others: the peak that the kernel reports begins at the parent's size at the fork.
_STARTER = """
import os, sys, time
for line in sys.stdin:
    command, environ = eval(line)
    null = [(os.POSIX_SPAWN_OPEN, n, "/dev/null", os.O_RDWR, 0) for n in (1, 2)]
    begun = time.perf_counter()
    _, status, used = os.wait4(os.posix_spawn(command[0], command, environ, file_actions=null), 0)
    wall = time.perf_counter() - begun
    print(os.waitstatus_to_exitcode(status), wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3, used.ru_maxrss / 1024, flush=True)
"""


def _measure(starter: "subprocess.Popen[str]", command: list[str], environ: dict[str, str]) -> Sample:
    assert starter.stdin is not None
    assert starter.stdout is not None
    starter.stdin.write(f"{(command, environ)!r}\n")
    starter.stdin.flush()
    code, wall, cpu, peak = map(float, starter.stdout.readline().split())
    if code:
        raise RuntimeError(f"{command} ended with {code}")
    return wall, cpu, peak


def _rows(samples: dict[int, list[Sample]]) -> list[tuple[str, str]]:
    floor = [_column(samples[0], i) for i in range(3)]
    rows = [("python -c pass", _figure(floor))]
    for count in (MODULES, *SIZES, TEMPLATE):
        columns = [_column(samples[count], i) for i in range(3)]
        own, ratio = columns[0][0] - floor[0][0], columns[0][0] / floor[0][0]
        cpu, memory = columns[1][0] - floor[1][0], columns[2][1] / floor[2][1]
        name = {TEMPLATE: "10 in a YAML file", MODULES: "import ssl, json and socket"}.get(count, f"{count} value{'s' * (count > 1)}")
        rows.append((name, _figure(columns)))
        rows.append(("  above it", f"wall {own:.1f} ms ({ratio:.1f} times python's), CPU {cpu:.1f} ms, memory {memory:.2f} times"))
    return rows


def _column(samples: list[Sample], index: int) -> tuple[float, float]:
    values = [sample[index] for sample in samples]
    return min(values), statistics.median(values)


def _figure(columns: list[tuple[float, float]]) -> str:
    (wall, wall_median), (cpu, cpu_median), (_, memory) = columns
    return f"wall {wall:.1f} ms (median {wall_median:.1f}), CPU {cpu:.1f} ms (median {cpu_median:.1f}), peak {memory:.1f} MiB"


def main() -> None:
    for what, figure in run():
        print(f"{what:<20} {figure}")


if __name__ == "__main__":
    main()
