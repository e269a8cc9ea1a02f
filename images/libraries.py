"""Bring along every shared library that something in the image is linked to, and nothing else.

What is looked at are the files' own tables, so an image for another architecture is put together without running anything of it.
"""

import os
import shutil
from pathlib import Path

from images.elf import wants


def copy_libraries(root: Path, python: Path, out: Path) -> None:
    """Every library that something in the image is linked to, where the loader finds it without a cache of paths."""
    waiting = [path for path in sorted(out.rglob("*")) if path.suffix == ".so" or ".so." in path.name or path == out / python]
    while waiting:
        path = waiting.pop()
        asked = wants(path)
        found = [find_library(name, asked.folders, path.relative_to(out), root, out) for name in asked.libraries]
        if asked.interpreter:
            found.append((asked.interpreter.lstrip("/"),) * 2)
        for source, target in filter(None, found):
            if not (out / target).exists():
                copy_file(inside(root, root / source), out / target)
                waiting.append(out / target)


def find_library(name: str, folders: tuple[str, ...], wanted_by: Path, root: Path, out: Path) -> tuple[str, str] | None:
    """Where the base has it and where the image will; None where the image has it already, since wheels bring some of their own."""
    given = [os.path.normpath(folder.replace("$ORIGIN", f"/{wanted_by.parent}")).lstrip("/") for folder in folders if folder]
    if any((out / folder / name).exists() for folder in given):
        return None
    usual = [str(path.relative_to(root)) for top in ("lib", "usr/lib") for path in sorted((root / top).glob("*-linux-gnu"))]
    for folder in (*given, *usual, "lib", "usr/lib"):
        if os.path.lexists(root / folder / name):
            return f"{folder}/{name}", f"{folder}/{name}"
    if os.path.lexists(root / "usr/local/lib" / name):  # the loader would know it from its cache alone
        return f"usr/local/lib/{name}", f"usr/lib/{name}"
    raise SystemExit(f"{wanted_by} is linked to {name}, which {root} does not have; add its package to images/root")


def inside(root: Path, path: Path) -> Path:
    """Where a symbolic link leads when `root` is `/`."""
    while path.is_symlink():
        target = path.readlink()
        path = root / target.relative_to("/") if target.is_absolute() else path.parent / target
    return path


def copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if source.stat().st_mode & 0o111 else 0o644)
