"""The launcher in each form that can run on this machine, and how to run it: native, foreign under qemu, sanitized, under valgrind."""

import os
import platform
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

from initcontainer.launch import encode
from launcher.build import CPUS, OUTPUT, ROOT, STRICT, Compiler, build

HERE = Path(__file__).parent
NATIVE = next((arch for arch, cpu in CPUS.items() if cpu == platform.machine()), "amd64")
FOREIGN = next(arch for arch in CPUS if arch != NATIVE)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CANARY = b"c4n4ry-Value"  # stands in the file of every start that fails, and must stand in no message


class Unavailable(Exception):
    """Why a form of the launcher cannot run here."""


@dataclass(frozen=True)
class Program:
    """A way to start the launcher: what stands before ENVFILE."""

    command: tuple[str, ...]
    turns_environment: bool = False  # qemu hands its variables on in reverse

    def start(self, file: Path, *argv: str | bytes, env: dict = {}, **given) -> subprocess.CompletedProcess[bytes]:
        if self.turns_environment:
            env = dict(reversed(env.items()))
        command = [*self.command, str(file), *argv]
        return subprocess.run(command, env=env, capture_output=True, timeout=60, check=False, **given)

    def refused(self, file: Path, *argv: str | bytes, **given) -> tuple[int, str]:
        """The exit code and the message of a start that fails: one line, without the value."""
        done = self.start(file, *argv, **given)
        shown = CANARY in done.stderr or done.stdout != b""
        assert not shown, "a value is shown, or the program ran"
        message = done.stderr.decode()
        assert message.startswith("tfy-secret-launcher: ") and message.endswith("\n") and message.count("\n") == 1, message
        return done.returncode, message.removeprefix("tfy-secret-launcher: ").rstrip("\n")


def native() -> Program:
    return Program((str(build(NATIVE, Compiler(), OUTPUT)),))


def foreign() -> Program:
    qemu = shutil.which(f"qemu-{CPUS[FOREIGN]}-static")
    if not qemu:
        raise Unavailable(f"qemu-{CPUS[FOREIGN]}-static is not installed (Debian: apt-get install qemu-user-static)")
    return Program((qemu, str(build(FOREIGN, Compiler(), OUTPUT))), turns_environment=True)


def sanitized() -> Program:
    return Program((hosted("hosted", *SANITIZERS),))


def memchecked() -> Program:
    valgrind = shutil.which("valgrind")
    if not valgrind:
        raise Unavailable("valgrind is not installed")
    return Program((valgrind, "-q", "--error-exitcode=99", "--leak-check=no", hosted("hosted")))


FORMS = {"native": native, "foreign": foreign, "sanitized": sanitized, "valgrind": memchecked}


def hosted(name: str, *flags: str) -> str:
    """A program of this folder, compiled with the machine's own compiler and its libc."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise Unavailable("no gcc or clang with a libc is installed")
    command = [compiler, *STRICT, "-O1", "-g", "-fno-omit-frame-pointer", *flags, str(HERE / f"{name}.c")]
    sources = [*HERE.glob("*.[ch]"), *(ROOT / "launcher").glob("*.h"), ROOT / "initcontainer" / "launcher.c"]
    key = repr((command, [zlib.crc32(file.read_bytes()) for file in sorted(sources)]))
    made = OUTPUT / (name + "-sanitized" * bool(flags))
    key_file = made.with_suffix(".key")
    if made.exists() and key_file.exists() and key_file.read_text() == key:
        return str(made)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    aside = OUTPUT / f".{made.name}.{os.getpid()}"
    done = subprocess.run([*command, "-o", str(aside)], capture_output=True, text=True, check=False)
    if "cannot find -l" in done.stderr or "libclang_rt" in done.stderr:
        raise Unavailable(f"{compiler} has no runtime for {' '.join(flags)}")
    assert done.returncode == 0, done.stderr
    aside.rename(made)
    key_file.write_text(key)
    return str(made)


def dump() -> str:
    """A program that writes what it was started with; `dumped` reads that."""
    return str(build(NATIVE, Compiler(), OUTPUT, HERE / "dump.c"))


def dumped(output: bytes) -> tuple[list[bytes], list[bytes]]:
    """Arguments and variables, in their order."""
    count, *texts = output.split(b"\0")[:-1]
    return texts[: len(count)], texts[len(count) :]


def env_file(folder: Path, variables: list[tuple[str, bytes | None]]) -> Path:
    file = folder / "env"
    file.write_bytes(encode(variables))
    return file


def framed(body: bytes) -> bytes:
    """A file whose first line fits whatever body it is given: what `encode` would not write."""
    return b"tfy-secret-env 1 %d %08x\n" % (len(body), zlib.crc32(body)) + body
