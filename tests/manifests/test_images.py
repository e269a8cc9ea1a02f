"""How an image's root is put together, on a small root of files. `make images` does it with a Debian, tests/e2e runs what comes out."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from images.collect import Base, Profile, collect
from images.elf import Wants, wants
from images.libraries import find_library, inside
from tests.manifests.built import ROOT

IMPORT_ALL = """
import importlib, sys
sys.path[:0] = {path!r}
for name in {modules!r}:
    importlib.import_module(name)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


@pytest.mark.parametrize(
    ("profile", "packages"),
    [("init", ["contract", "initcontainer"]), ("webhook", ["contract", "service", "webhook", "broker"])],
    ids=["init", "webhook-and-broker"],
)
def test_nothing_is_left_out_that_the_programs_import(profile: str, packages: list[str]) -> None:
    """Each module of the programs is imported, and what a crash and a host name take, without what `site` loads."""
    files = [path.relative_to(ROOT).with_suffix("") for name in packages for path in sorted((ROOT / name).rglob("*.py"))]
    modules = [".".join(file.parts).removesuffix(".__init__") for file in files] + ["traceback", "inspect", "encodings.idna"]
    wheels = [] if profile == "init" else [str(Path(pytest.__file__).parents[1])]
    code = IMPORT_ALL.format(path=[str(ROOT), *wheels], modules=modules)
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert set(packages) <= set(done.stdout.split())
    assert set(done.stdout.split()) & Profile.load(profile).dropped == set()


def test_an_elf_file_says_what_it_is_linked_to() -> None:
    """The interpreter and the C library of what runs these tests; a text is linked to nothing."""
    found = wants(Path(sys.executable).resolve())
    assert found.interpreter is not None
    assert found.interpreter.startswith("/lib")
    assert "libc.so.6" in found.libraries
    assert wants(Path(__file__)) == Wants()


def test_an_extension_module_says_its_libraries_and_has_no_interpreter() -> None:
    spec = importlib.util.find_spec("_ssl")
    assert spec is not None
    assert spec.origin is not None
    found = wants(Path(spec.origin))
    assert found.interpreter is None
    assert any(name.startswith("libssl.so") for name in found.libraries)


@pytest.mark.parametrize(("has", "folders", "expected"), [
    pytest.param("usr/lib/x86_64-linux-gnu/libx.so.1", (), ("usr/lib/x86_64-linux-gnu/libx.so.1",) * 2, id="where-the-loader-looks"),
    pytest.param("usr/local/lib/libx.so.1", (), ("usr/local/lib/libx.so.1", "usr/lib/libx.so.1"), id="where-only-its-cache-says"),
    pytest.param("usr/local/lib/libx.so.1", ("$ORIGIN/../lib",), ("usr/local/lib/libx.so.1",) * 2, id="beside-the-one-that-wants-it"),
    pytest.param("opt/x/libx.so.1", ("/opt/x",), ("opt/x/libx.so.1",) * 2, id="in-a-folder-that-it-names"),
])  # fmt: skip
def test_a_library_is_found_where_the_loader_will_look(
    tmp_path: Path, has: str, folders: tuple[str, ...], expected: tuple[str, str]
) -> None:
    (tmp_path / has).parent.mkdir(parents=True)
    (tmp_path / has).touch()
    assert find_library("libx.so.1", folders, Path("usr/local/bin/python3.11"), tmp_path, tmp_path / "out") == expected


def test_a_library_that_is_not_there_is_said_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"libx\.so\.1.*add its package to images/root"):
        find_library("libx.so.1", (), Path("usr/bin/python3.11"), tmp_path, tmp_path / "out")


def test_an_absolute_link_stays_inside_the_root(tmp_path: Path) -> None:
    """A base's /lib/x -> /usr/lib/y is the base's own file, not this machine's."""
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "link").symlink_to("/usr/lib/y")
    (tmp_path / "usr/lib/y").symlink_to("z")
    assert inside(tmp_path, tmp_path / "link") == tmp_path / "usr/lib/z"


@pytest.mark.parametrize(("profile", "packages"), [("init", "usr/lib/python3.11"), ("webhook", "app")])
def test_the_root_holds_bytecode_our_sources_and_nothing_else(tmp_path: Path, profile: str, packages: str) -> None:
    """Sources of the library and of wheels are gone, tools are gone, ours stay readable; the same input gives the same bytes."""
    base, source = tmp_path / "base", tmp_path / "source"
    texts = {
        base / "usr/bin/python3.11": "not ELF: linked to nothing",
        base / "usr/lib/python3.11/os.py": "name = 'posix'",
        base / "usr/lib/python3.11/ensurepip/__init__.py": "",
        base / "usr/lib/python3.11/json/__init__.py": "A = {'x', 'y'}",
        base / "usr/lib/python3.11/json/tests/__init__.py": "",
        base / "usr/lib/python3.11/lib-dynload/_ssl.so": "",
        base / "usr/lib/python3.11/lib-dynload/_tkinter.so": "",
        base / "usr/share/doc/libc6/copyright": "free",
        base / "usr/bin/sh": "",
        source / "contract/__init__.py": "B = 1",
        source / "wheel/__init__.py": "C = 1",
        source / "wheel/part.pyx": "",
        source / "wheel-1.dist-info/RECORD": str(tmp_path),
        source / "bin/script": f"#!{tmp_path}",
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    digests = []
    for out in (tmp_path / "one", tmp_path / "two"):
        collect(Profile.load(profile), Base.find(base), out, [source])
        digests.append({str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in out.rglob("*") if p.is_file()})
    assert digests[0] == digests[1]
    assert digests[0].keys() == {
        "usr/bin/python3.11", "usr/bin/python", "usr/bin/python3",
        "usr/lib/python3.11/os.pyc", "usr/lib/python3.11/json/__init__.pyc", "usr/lib/python3.11/lib-dynload/_ssl.so",
        f"{packages}/contract/__init__.py", f"{packages}/contract/__pycache__/__init__.cpython-311.pyc", f"{packages}/wheel/__init__.pyc",
        "etc/passwd", "etc/group", "etc/nsswitch.conf", "usr/share/doc/libc6/copyright",
    }  # fmt: skip


def test_a_base_without_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no python3\.11"):
        Base.find(tmp_path)
