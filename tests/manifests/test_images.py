"""How an image's root is put together, on a small root of files. `make images` does it with a Debian, tests/e2e runs what comes out."""

import hashlib
import importlib.util
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import uvloop

from broker.stores.registry import PROVIDERS
from images import check, open_stores
from images.collect import Base, Profile, collect
from images.elf import Wants, stripped, wants
from images.libraries import find_library, inside
from tests.manifests.built import ROOT

IMPORT_ALL = """
import importlib, sys
sys.path[:0] = {path!r}
for name in {modules!r}:
    importlib.import_module(name)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""

# Every file that is opened below the packages' folder while the stores are opened: modules and what they read.
OPEN_ALL = """
import runpy, sys
seen = set()
sys.addaudithook(lambda event, args: seen.add(args[0]) if event == "open" and isinstance(args[0], str) else None)
sys.path[:0] = {path!r}
sys.argv[1:] = [{folder!r}]
runpy.run_module("images.open_stores", run_name="__main__")
print(*sorted(name for name in seen if name.startswith({packages!r})), sep="\\n")
"""
PACKAGES = Path(pytest.__file__).parents[1]
ARCHIVE = ROOT / "build/images" / f"webhook-{'arm64' if platform.machine() == 'aarch64' else 'amd64'}.tar"


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


def test_no_store_opens_what_stays_behind(tmp_path: Path) -> None:
    """Each provider's client loads what it needs, and asks a server that is not there: none of that is in the list of what is unused."""
    code = OPEN_ALL.format(path=[str(ROOT), str(PACKAGES)], folder=str(tmp_path), packages=str(PACKAGES))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    met = dict(line.split()[1:] for line in lines if line.startswith("store: "))
    assert met == {provider: "ok" if provider == "embedded" else "unavailable" for provider in PROVIDERS}
    opened = [Path(line).relative_to(PACKAGES) for line in lines if line.startswith(str(PACKAGES))]
    opened = [path.parent.parent / f"{path.name.partition('.')[0]}.py" if path.suffix == ".pyc" else path for path in opened]
    assert any("botocore/data" in str(path) for path in opened), "the hook sees files of data too"
    profile = Profile.load("webhook")
    assert [str(path) for path in opened if not all(profile.uses(part) for part in (path, *path.parents))] == []


def test_what_stays_behind_is_a_pattern_and_an_exception_to_it() -> None:
    profile = Profile(frozenset(), None, ("data/*", "!data/ssm", "!data/ssm/*", "one/two", "*-stubs"))
    used = {
        name: profile.uses(Path(name))
        for name in ("data", "data/ec2", "data/ssm", "data/ssm/x/y.json", "one", "one/two", "one/two3", "a-stubs")
    }
    assert [name for name, kept in used.items() if not kept] == ["data/ec2", "one/two", "a-stubs"]


def test_a_providers_needs_are_known_to_the_check() -> None:
    """Whoever adds a provider says here how it is opened."""
    assert set(PROVIDERS) <= set(open_stores.stores("/token"))


def test_a_stripped_library_is_smaller_and_loads_the_same(tmp_path: Path) -> None:
    """Symbols and debugging information go; what the loader reads stays to the byte."""
    (source,) = Path(uvloop.__file__).parent.glob("loop*.so")
    target = tmp_path / source.name
    target.write_bytes(stripped(source.read_bytes()))
    assert target.stat().st_size < source.stat().st_size / 3, "most of this wheel is debugging information"
    assert wants(target) == wants(source)
    assert stripped(target.read_bytes()) == target.read_bytes()
    assert stripped(b"text") == b"text"
    shutil.copytree(Path(uvloop.__file__).parent, tmp_path / "uvloop", ignore=shutil.ignore_patterns("*.pyx", "*.c"))
    target.replace(tmp_path / "uvloop" / target.name)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import asyncio, uvloop; print(uvloop.__file__, uvloop.run(asyncio.sleep(0, 7)))"
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "uvloop/__init__.py"), "7"]


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


def archive(path: Path, *layers: dict[str, str]) -> Path:
    """A docker-archive of these files."""

    def packed(files: dict[str, bytes]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, content in files.items():
                found = tarfile.TarInfo(name)
                found.size = len(content)
                tar.addfile(found, io.BytesIO(content))
        return out.getvalue()

    made = {f"{number}.tar": packed({name: text.encode() for name, text in files.items()}) for number, files in enumerate(layers)}
    config = {"config": {"Env": ["A=1=2", "B="]}}
    manifest = [{"Config": "config.json", "Layers": list(made)}]
    path.write_bytes(packed({"manifest.json": json.dumps(manifest).encode(), "config.json": json.dumps(config).encode(), **made}))
    return path


def test_an_image_is_unpacked_layer_over_layer(tmp_path: Path) -> None:
    made = archive(tmp_path / "image.tar", {"a": "one", "b": "one"}, {"b": "two"})
    (tmp_path / "root").mkdir()
    assert check.unpack(made, tmp_path / "root") == {"A": "1=2", "B": ""}
    assert [(tmp_path / "root" / name).read_text() for name in "ab"] == ["one", "two"]


@pytest.mark.parametrize(
    ("code", "out", "faults"),
    [
        (0, "store: generic unavailable\nstore: embedded ok\nother: x y\n", []),
        (0, "store: generic misconfigured\nstore: embedded ok\n", ["generic: misconfigured"]),
        (1, "store: generic unavailable\n", ["it ended with 1 after 1 stores: ModuleNotFoundError: x"]),
        (0, "", ["it ended with 0 after 0 stores: ModuleNotFoundError: x"]),
    ],
)
def test_what_the_stores_met_inside_is_judged(code: int, out: str, faults: list[str]) -> None:
    done = subprocess.CompletedProcess([], code, out, "Traceback\nModuleNotFoundError: x\n")
    assert check._faults(done) == faults


def fresh() -> bool:
    """Whether `make images` has been run since the sources changed."""
    files = [path for name in ("broker", "contract", "service", "images") for path in (ROOT / name).rglob("*.py")]
    return ARCHIVE.exists() and all(path.stat().st_mtime < ARCHIVE.stat().st_mtime for path in files)


@pytest.mark.skipif(not fresh() or os.geteuid() != 0, reason="make images, as root, on these sources")
def test_every_store_opens_inside_the_image_that_was_built() -> None:
    """`make images` looks at it too, and that the image is small enough."""
    assert check.check(ARCHIVE) == []


def test_the_sizes_that_an_image_may_have() -> None:
    """Compressed, in MB: images/build stops at more."""
    assert "case $1 in init) limit=12 ;; webhook) limit=40 ;; esac" in (ROOT / "images/build").read_text()
