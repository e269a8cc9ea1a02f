"""Put together an image's root file system: of a Debian with Python 3.11 only what runs, as bytecode, and our packages.

    python3.11 collect.py PROFILE BASE OUT SOURCE...

BASE is the root of that Debian (python3.11 in /usr or /usr/local, of any architecture: nothing of it is run), OUT becomes the image's
root, each SOURCE is a folder of packages for it. The PROFILE says what the standard library can do without and where packages go.
Bytecode stands in place of the sources, and is never compared with them; our own packages keep theirs, so that one can read
what runs. The same input gives the same bytes: run it with PYTHONHASHSEED=0.
"""

import py_compile
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from elf import wants

OURS = ("contract", "service", "webhook", "broker", "initcontainer")
USER = 65532

# No program here opens a terminal, compiles, installs or tests anything.
_TOOLS = (
    "ensurepip venv distutils lib2to3 idlelib tkinter turtle turtledemo curses _tkinter _curses _curses_panel dbm _dbm _gdbm readline nis "
    "ossaudiodev audioop pydoc pydoc_data pdb doctest unittest test _testbuffer _testcapi _ctypes_test _testclinic _testimportmultiple _testinternalcapi "
    "_testmultiphase _xxsubinterpreters _xxtestfuzz xxlimited xxlimited_35 cgi cgitb crypt _crypt imaplib nntplib poplib smtplib smtpd "
    "telnetlib ftplib sndhdr imghdr aifc chunk sunau wave webbrowser antigravity this site-packages dist-packages __phello__"
).split()
# The init container: one blocking TLS request, JSON, files.
_BEYOND_INIT = (
    "asyncio multiprocessing concurrent sqlite3 _sqlite3 xml xmlrpc wsgiref ctypes _ctypes mailbox tracemalloc profile cProfile pstats trace "
    "zipapp tarfile zipfile bz2 _bz2 lzma _lzma shelve pickletools dis curses http.server _asyncio _multiprocessing _posixshmem _elementtree "
    "pyexpat _queue _zoneinfo zoneinfo _decimal _pydecimal decimal fractions statistics sched symtable tabnanny py_compile compileall "
    "_codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec code codeop cmd filecmp fileinput graphlib logging optparse plistlib tomllib uuid _uuid xdrlib uu xx netrc nturl2path pipes pty rlcompleter "
    "timeit tty sre_compile sre_constants sre_parse binhex csv _csv configparser"
).split()
_PIP_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")  # they hold the path of this checkout, and are of use to pip alone
_UNUSED_SUFFIXES = (".a", ".c", ".h", ".pyi", ".pyx", ".pxd", ".pyc", ".exe", ".md", ".rst")


@dataclass(frozen=True, slots=True)
class Profile:
    """`packages` is where they go: the standard library's folder (found without `site`, the quickest start), or a folder of their own."""

    dropped: frozenset[str]
    packages: str | None


PROFILES = {
    "init": Profile(frozenset(_TOOLS + _BEYOND_INIT), None),
    "webhook": Profile(frozenset(_TOOLS), "app"),
}


@dataclass(frozen=True, slots=True)
class Base:
    """The Debian that is taken from; paths without `root` are those that the image will have."""

    root: Path
    python: Path
    stdlib: Path

    @classmethod
    def find(cls, root: Path) -> "Base":
        for prefix in (Path("usr"), Path("usr/local")):
            python, stdlib = prefix / "bin/python3.11", prefix / "lib/python3.11"
            if (root / python).is_file() and (root / stdlib / "os.py").is_file():
                return cls(root, python, stdlib)
        raise SystemExit(f"{root}: no python3.11 with its standard library in /usr or /usr/local; give a Debian with Python 3.11 as BASE")


def collect(profile: Profile, base: Base, out: Path, sources: list[Path]) -> None:
    copy_file(base.root / base.python, out / base.python)
    copy_stdlib(profile, base, out)
    packages = Path(profile.packages) if profile.packages else base.stdlib
    for source in sources:
        copy_packages(source, out / packages)
    compile_tree(out, packages)
    copy_libraries(base, out)
    copy_licences(base, out)
    write_settings(base, out)


def copy_stdlib(profile: Profile, base: Base, out: Path) -> None:
    source = base.root / base.stdlib
    for path in sorted(source.iterdir()):
        if path.name == "lib-dynload":
            continue
        if module_of(path) not in profile.dropped and not path.name.startswith(("config-", "LICENSE", "EXTERNALLY")):
            copy(path, out / base.stdlib / path.name)
    for path in sorted((source / "lib-dynload").iterdir()):
        if module_of(path) not in profile.dropped:
            copy(path, out / base.stdlib / "lib-dynload" / path.name)


def copy_packages(source: Path, target: Path) -> None:
    """Wheels that were installed with `pip --target`, or our own folders. Command line scripts stay behind."""
    for path in sorted(source.iterdir()):
        if path.name not in ("bin", "__pycache__"):
            copy(path, target / path.name)


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        if source.name in ("__pycache__", "test", "tests", "idle_test"):
            return
        for path in sorted(source.iterdir()):
            copy(path, target / path.name)
    elif source.exists() and source.name not in _PIP_NOTES and not source.name.endswith(_UNUSED_SUFFIXES):
        copy_file(source, target)


def copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & 0o111 else 0o644)


def compile_tree(out: Path, packages: Path) -> None:
    ours = [out / packages / name for name in OURS]
    for source in sorted(out.rglob("*.py")):
        own = any(source.is_relative_to(folder) for folder in ours)
        cache = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc" if own else source.with_suffix(".pyc")
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), str(cache), f"/{source.relative_to(out)}", doraise=True, invalidation_mode=mode)
        if not own:
            source.unlink()


def copy_libraries(base: Base, out: Path) -> None:
    """Every library that something in the image is linked to, at the path where the loader looks for it."""
    waiting = [path for path in sorted(out.rglob("*")) if path.is_file() and (path.suffix == ".so" or ".so." in path.name or path == out / base.python)]
    while waiting:
        path = waiting.pop()
        asked = wants(path)
        names = [asked.interpreter.lstrip("/")] if asked.interpreter else []
        names += [found for name in asked.libraries if (found := find_library(name, asked.folders, path, base, out))]
        for name in names:
            if not (out / name).exists():
                copy_file((base.root / name).resolve() if not (base.root / name).is_symlink() else inside(base.root, base.root / name), out / name)
                waiting.append(out / name)


def find_library(name: str, folders: tuple[str, ...], wanted_by: Path, base: Base, out: Path) -> str | None:
    """The library's path in the image, without its leading `/`; None where the image has it already, beside the one that wants it."""
    own = [Path(str(wanted_by.parent) + folder.removeprefix("$ORIGIN")) for folder in folders if folder.startswith("$ORIGIN")]
    if any((folder / name).exists() for folder in own):
        return None
    given = [folder.lstrip("/") for folder in folders if folder.startswith("/")]
    usual = [str(p.relative_to(base.root)) for top in ("lib", "usr/lib") for p in sorted((base.root / top).glob("*-linux-gnu"))]
    for folder in (*given, *usual, "lib", "usr/lib", "usr/local/lib", "lib64"):
        if (base.root / folder / name).exists() or (base.root / folder / name).is_symlink():
            return f"{folder}/{name}"
    raise SystemExit(f"{wanted_by.relative_to(out)} is linked to {name}, which {base.root} does not have; add its package to images/root")


def inside(root: Path, link: Path) -> Path:
    """Where a symbolic link leads, when `root` is `/`."""
    while link.is_symlink():
        target = link.readlink()
        link = root / target.relative_to("/") if target.is_absolute() else link.parent / target
    return link


def copy_licences(base: Base, out: Path) -> None:
    for path in sorted((base.root / "usr/share/doc").glob("*/copyright")):
        if path.exists():
            copy_file(path, out / path.relative_to(base.root))


def write_settings(base: Base, out: Path) -> None:
    """A user, name resolution, an empty /tmp, and the two names under which Python is called."""
    (out / "etc").mkdir(exist_ok=True)
    (out / "etc/passwd").write_text(f"root:x:0:0:root:/:/none\ntfy-secret:x:{USER}:{USER}:tfy-secret:/:/none\n")
    (out / "etc/group").write_text(f"root:x:0:\ntfy-secret:x:{USER}:\n")
    (out / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    (out / "tmp").mkdir()
    (out / "tmp").chmod(0o1777)
    (out / "usr/bin").mkdir(exist_ok=True)
    for name in ("python", "python3", "python3.11"):
        if not (out / "usr/bin" / name).exists():
            (out / "usr/bin" / name).symlink_to("/" / base.python)


def module_of(path: Path) -> str:
    return path.name.partition(".")[0]


if __name__ == "__main__":
    collect(PROFILES[sys.argv[1]], Base.find(Path(sys.argv[2])), Path(sys.argv[3]), [Path(name) for name in sys.argv[4:]])
