"""Put together an image's root file system: of a Debian with Python 3.11 only what runs, as bytecode, and our packages.

    python3.11 -m images.collect PROFILE BASE OUT SOURCE...

BASE is the root of that Debian (python3.11 in /usr or /usr/local, of any architecture: nothing of it is run), OUT becomes the image's
root, each SOURCE is a folder of packages for it. The PROFILE says what the standard library can do without and where packages go.
Bytecode stands in place of the sources, and is never compared with them; our own packages keep theirs, so that one can read
what runs. The same input gives the same bytes: run it with PYTHONHASHSEED=0.
"""

import py_compile
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from images.elf import stripped
from images.libraries import copy_file, copy_libraries

OURS = ("contract", "service", "webhook", "broker", "initcontainer")
USER = 65532

_PIP_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")  # they hold the path of this checkout, and are of use to pip alone
_UNUSED_SUFFIXES = (".a", ".c", ".h", ".pyi", ".pyx", ".pxd", ".pyc", ".exe", ".md", ".rst", ".proto")


@dataclass(frozen=True, slots=True)
class Profile:
    """`packages` is where they go: the standard library's folder (found without `site`, the quickest start), or a folder of their own.

    `unused` are paths in packages that stay behind, as patterns; one that begins with `!` is kept, whatever others say.
    """

    dropped: frozenset[str]
    packages: str | None
    unused: tuple[str, ...] = ()

    @classmethod
    def load(cls, name: str) -> "Profile":
        sections: dict[str, list[str]] = {}
        for line in Path(__file__).with_name("without.txt").read_text().splitlines():
            text = line.partition("#")[0].strip()
            if text.startswith("["):
                section = sections.setdefault(text.strip("[]"), [])
            elif text:
                section += text.split()
        return cls(frozenset(sections["all"] + sections.get(name, [])), None if name == "init" else "app", tuple(sections["packages"]))

    def uses(self, path: Path) -> bool:
        """`*` takes in what is below, as far as it goes; a folder that stays behind is not looked into."""
        name = path.as_posix()
        kept = any(fnmatchcase(name, rule[1:]) for rule in self.unused if rule.startswith("!"))
        return kept or not any(fnmatchcase(name, rule) for rule in self.unused)


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
        copy_packages(source, out / packages, profile)
    strip_tree(out / packages)
    compile_tree(out, packages)
    copy_libraries(base.root, base.python, out)
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


def copy_packages(source: Path, target: Path, profile: Profile) -> None:
    """Wheels that were installed with `pip --target`, or our own folders. Command line scripts and what nobody uses stay behind."""
    for path in sorted(source.iterdir()):
        if path.name not in ("bin", "__pycache__"):
            copy(path, target / path.name, lambda path: profile.uses(path.relative_to(source)))


def copy(source: Path, target: Path, wanted: Callable[[Path], bool] = lambda _: True) -> None:
    if not wanted(source):
        return
    if source.is_dir():
        if source.name in ("__pycache__", "test", "tests", "idle_test"):
            return
        for path in sorted(source.iterdir()):
            copy(path, target / path.name, wanted)
    elif source.exists() and source.name not in _PIP_NOTES and not source.name.endswith(_UNUSED_SUFFIXES):
        copy_file(source, target)


def compile_tree(out: Path, packages: Path) -> None:
    ours = [out / packages / name for name in OURS]
    for source in sorted(out.rglob("*.py")):
        own = any(source.is_relative_to(folder) for folder in ours)
        cache = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc" if own else source.with_suffix(".pyc")
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), str(cache), f"/{source.relative_to(out)}", doraise=True, invalidation_mode=mode)
        if not own:
            source.unlink()


def strip_tree(packages: Path) -> None:
    for path in sorted(packages.rglob("*.so*")):
        path.write_bytes(stripped(path.read_bytes()))


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
    collect(Profile.load(sys.argv[1]), Base.find(Path(sys.argv[2])), Path(sys.argv[3]), [Path(name) for name in sys.argv[4:]])
