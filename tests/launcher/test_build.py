"""What is built: small, static, the same bytes each time; and what is said where it cannot be."""

import shutil
import struct
import subprocess
import sys

import pytest

from launcher.build import CPUS, OUTPUT, ROOT, SIZE_LIMIT, SOURCE, CannotBuild, Compiler, build, main
from tests.launcher.programs import HERE, NATIVE

MACHINES = {"amd64": 62, "arm64": 183}  # e_machine
PT_LOAD, PT_GNU_STACK = 1, 0x6474E551
WRITE, EXECUTE = 2, 1


def segments(content: bytes) -> list[tuple[int, int]]:
    """Kind and flags of each."""
    offset, size, count = struct.unpack_from("<Q", content, 32)[0], *struct.unpack_from("<HH", content, 54)
    return [struct.unpack_from("<II", content, offset + at * size) for at in range(count)]


@pytest.mark.parametrize("arch", CPUS)
class TestBuilt:
    def test_size(self, arch):
        assert SIZE_LIMIT == 8192
        assert build(arch, Compiler()).stat().st_size < SIZE_LIMIT

    def test_static_and_not_writable(self, arch):
        """No loader, no library; no memory that is written to and executed; no stack that is executed."""
        content = build(arch, Compiler()).read_bytes()
        assert content[:6] == b"\x7fELF\2\1"
        assert struct.unpack_from("<HH", content, 16) == (2, MACHINES[arch])
        found = segments(content)
        assert {kind for kind, _ in found} <= {PT_LOAD, PT_GNU_STACK, 6}  # 6: the table of segments itself
        assert all(not (flags & WRITE and flags & EXECUTE) for _, flags in found)
        assert [flags & EXECUTE for kind, flags in found if kind == PT_GNU_STACK] == [0]

    def test_the_same_bytes_again(self, arch, tmp_path):
        """From another folder, into another, without a cache, and where there is no HOME to have one in."""
        again = tmp_path / "elsewhere" / "launcher"
        code = "import sys; from pathlib import Path; from launcher.build import *; build(sys.argv[1], Compiler(), Path(sys.argv[2]))"
        subprocess.run([sys.executable, "-c", code, arch, str(again)], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, umask=0o077, check=True)
        assert (again / f"launcher-{arch}").stat().st_mode & 0o777 == 0o755, "readable for the user of the image, whatever the umask"
        assert (again / f"launcher-{arch}").read_bytes() == build(arch, Compiler()).read_bytes()


def test_with_gcc(tmp_path):
    """The machine's own compiler makes it too, with the same warnings as errors, and it starts a program."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    made = build(NATIVE, Compiler.from_environ({"CC": "gcc"}), tmp_path)
    assert made.stat().st_size < SIZE_LIMIT
    (tmp_path / "env").write_bytes(b"tfy-secret-env 1 0 00000000\n")
    assert subprocess.run([made, tmp_path / "env", "/bin/echo", "it runs"], capture_output=True, check=True).stdout == b"it runs\n"
    with pytest.raises(CannotBuild, match="gcc compiles for .*; allowed: a compiler for "):
        build(next(arch for arch in CPUS if arch != NATIVE), Compiler(("gcc",)), tmp_path)


def test_it_is_made_again_only_where_the_source_changed(tmp_path, monkeypatch):
    source = tmp_path / "tiny.c"
    source.write_text((HERE / "dump.c").read_text().replace("../../launcher", str(ROOT / "launcher")))
    first = build(NATIVE, Compiler(), tmp_path, source).stat()
    assert build(NATIVE, Compiler(), tmp_path, source).stat().st_ino == first.st_ino
    source.write_text(source.read_text() + "\n/* changed */\n")
    assert build(NATIVE, Compiler(), tmp_path, source).stat().st_ino != first.st_ino


@pytest.mark.parametrize(
    ("compiler", "arch", "message"),
    [
        pytest.param(Compiler(), "riscv64", "found architecture 'riscv64'; allowed: amd64, arm64", id="architecture"),
        pytest.param(Compiler(("/no/such/cc",)), "amd64", "/no/such/cc: .*No such file", id="no-compiler"),
        pytest.param(Compiler(("false",)), "amd64", "false -dumpmachine ended with 1", id="compiler-fails"),
    ],
)
def test_what_cannot_be_built(tmp_path, compiler, arch, message):
    with pytest.raises(CannotBuild, match=message):
        build(arch, compiler, tmp_path)


def test_a_warning_is_an_error(tmp_path):
    source = tmp_path / "warned.c"
    source.write_text(
        SOURCE.read_text().replace("../launcher", str(ROOT / "launcher")).replace("char digits[21];", "char digits[21]; int unused;", 1)
    )
    with pytest.raises(CannotBuild, match="unused variable"):
        build(NATIVE, Compiler(), tmp_path, source)


def test_the_command_line(monkeypatch, capsys):
    monkeypatch.delenv("CC", raising=False)
    assert main([]) == 0
    assert [line.split(" bytes")[0].split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["launcher-amd64", "launcher-arm64"]
    assert (OUTPUT / "launcher-amd64").exists() and (OUTPUT / "launcher-arm64").exists()
    assert main(["sparc"]) == 1
    assert capsys.readouterr().err == "launcher: found architecture 'sparc'; allowed: amd64, arm64\n"
