"""What the launcher adds to a container's start: `launcher FILE /bin/true` beside `/bin/true`, run in turns; and its size."""

import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from initcontainer.launch import encode
from launcher.build import CPUS, SIZE_LIMIT, Compiler, build
from tests.launcher.programs import NATIVE

TRUE = "/bin/true"
RUNS = 500
FILES = {  # and the most that the launcher may add; a megabyte, which no container should have in its environment, is only shown
    "10 variables of 40 bytes": ([(f"VARIABLE_{number}", b"x" * 40) for number in range(10)], "target < +1 ms"),
    "100 variables of 1 KB": ([(f"VARIABLE_{number}", b"x" * 1000) for number in range(100)], "target < +1 ms"),
    "1,000 variables of 1 KB": ([(f"VARIABLE_{number}", b"x" * 1000) for number in range(1000)], "no target"),
}


def seconds(argv: list[str], environ: dict[str, str]) -> float:
    start = perf_counter()
    process = os.posix_spawn(argv[0], argv, environ)
    _, status = os.waitpid(process, 0)
    took = perf_counter() - start
    assert status == 0, status
    return took


def run() -> Iterator[tuple[str, str]]:
    launcher = str(build(NATIVE, Compiler()))
    with tempfile.TemporaryDirectory() as folder:
        for what, (variables, target) in FILES.items():
            file = Path(folder, "env")
            file.write_bytes(encode(variables))
            names = {name: "tfy-secret://acme:shop:key" for name, _ in variables}
            values = {name: value.decode() for name, value in variables}
            plain, ours = [], []
            for _ in range(RUNS):  # in turns, so that both meet the same load; the program is given the same variables in both
                plain.append(seconds([TRUE], values))
                ours.append(seconds([launcher, str(file), TRUE], names))
            for kind, of in (("least", min), ("median", statistics.median)):
                a, b = of(plain) * 1000, of(ours) * 1000
                yield (
                    f"{kind} of {RUNS} starts, {what}",
                    f"{b:.3f} ms, true alone {a:.3f} ms: {b - a:+.3f} ms, {b / a:.2f} x ({target})",
                )
    for arch in CPUS:
        yield f"size, {arch}", f"{build(arch, Compiler()).stat().st_size} bytes (limit {SIZE_LIMIT})"


if __name__ == "__main__":
    for row in run():
        print(*row, sep=": ")
