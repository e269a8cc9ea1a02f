"""`python -m launcher.build [amd64 arm64]`: the launcher for each architecture, as build/launcher/launcher-<arch>.

By default with the compiler of the `ziglang` wheel, which makes both on any machine. `CC=gcc`, `CC=clang` or another compiler in
CC is used instead where it is given; gcc makes one architecture. One compiler makes the same bytes from the same source,
wherever and whenever it runs. A launcher that is up to date is not made again.
"""

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "initcontainer" / "launcher.c"
OUTPUT = ROOT / "build" / "launcher"
CPUS = {"amd64": "x86_64", "arm64": "aarch64"}
SIZE_LIMIT = 8 * 1024  # bytes; it is copied into memory once for each container
TIMEOUT = 300  # seconds

# fmt: off
STRICT = [
    "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror",
    "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wcast-qual",
]
FREESTANDING = [
    "-Os", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-pic",
    "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-ident",
    "-static", "-no-pie", "-nostdlib", "-s", "-Wl,--build-id=none", "-Wl,-z,noexecstack",
]
# fmt: on
GNU_LD = ["-Wl,-z,noseparate-code"]  # which fills each segment to a page otherwise; lld, which ziglang has, does not


class CannotBuild(Exception):
    """The compiler is missing, is for another architecture, or refuses the source."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: `command` as CC gives it, by default ziglang's."""

    command: tuple[str, ...] = (sys.executable, "-m", "ziglang", "cc")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Compiler":
        given = environ.get("CC")
        return cls(tuple(shlex.split(given))) if given else cls()

    def for_cpu(self, cpu: str) -> list[str]:
        """The command that compiles for a CPU. Raises CannotBuild if this compiler cannot."""
        if "zig" in " ".join(self.command[:3]):
            return [*self.command, "-target", f"{cpu}-linux-musl"]
        if "clang" in Path(self.command[0]).name and cpu != platform.machine():
            return [*self.command, f"--target={cpu}-linux-gnu", "-fuse-ld=lld"]
        made_for = _run([*self.command, "-dumpmachine"]).strip()
        if not made_for.startswith(cpu):
            raise CannotBuild(
                f"{shlex.join(self.command)} compiles for {made_for}; allowed: a compiler for {cpu}, or none in CC for ziglang's"
            )
        return [*self.command, *GNU_LD]


def build(arch: str, compiler: Compiler, output: Path = OUTPUT, source: Path = SOURCE) -> Path:
    """Make the launcher, or another freestanding program, unless it is there already. Raises CannotBuild."""
    if arch not in CPUS:
        raise CannotBuild(f"found architecture '{arch}'; allowed: {', '.join(CPUS)}")
    output.mkdir(parents=True, exist_ok=True)
    made, key_file = output / f"{source.stem}-{arch}", output / f"{source.stem}-{arch}.key"
    command = [*compiler.for_cpu(CPUS[arch]), *STRICT, *FREESTANDING]
    sources = [source, SOURCE, *sorted(Path(__file__).parent.glob("*.h"))]
    caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(output / "cache"))  # zig: else a HOME is needed
    version = _run([*compiler.command, "--version"], **caches)
    key = hashlib.sha256(b"\0".join([shlex.join(command).encode(), version.encode(), *(file.read_bytes() for file in sources)])).hexdigest()
    if made.exists() and key_file.exists() and key_file.read_text() == key:
        return made
    aside = output / f".{made.name}.{os.getpid()}"  # tests may build at the same time
    _run([*command, "-o", str(aside), str(source)], **caches)
    size = aside.stat().st_size
    if size >= SIZE_LIMIT:
        aside.unlink()
        raise CannotBuild(f"{made.name} has {size} bytes; allowed: fewer than {SIZE_LIMIT}")
    aside.chmod(0o755)  # the image takes it over, and another user than the one who builds copies it there
    aside.rename(made)
    key_file.write_text(key)
    return made


def _run(command: list[str], **environ: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, env=os.environ | environ)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(f"{command[0]}: {error}") from error
    if done.returncode:
        raise CannotBuild(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr or done.stdout}")
    return done.stdout


def main(arches: list[str]) -> int:
    try:
        for arch in arches or CPUS:
            made = build(arch, Compiler.from_environ(os.environ))
            sys.stdout.write(f"{made.name}: {made.stat().st_size} bytes (limit {SIZE_LIMIT}), {made.relative_to(ROOT)}\n")
    except CannotBuild as error:
        sys.stderr.write(f"launcher: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
