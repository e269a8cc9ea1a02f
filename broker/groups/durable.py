"""Files that are whole or as they were: written aside, on the disk before they get their name, and never over somebody else's edit.

Blocking; the caller runs it in a thread.
"""

import fcntl
import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)  # as `write` names them


class Edited(Exception):
    """The file is not what was read: somebody else wrote it meanwhile."""


def read(path: Path) -> bytes | None:
    """None: there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def saved(path: Path) -> datetime:
    """Raises OSError."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def write(path: Path, content: bytes, seen: bytes | None, mode: int = 0o644) -> None:
    """Replace the file, or make it (`seen` None). Raises Edited, OSError."""
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode & 0o777
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # the folder's readers skip names with a dot
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if read(path) != seen:  # an editor's save between this line and the next is the one thing that is not noticed
            raise Edited
        if seen is None:
            os.link(aside, path)  # fails if somebody made one meanwhile
        else:
            aside.replace(path)
    except FileExistsError:
        raise Edited from None
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()
    _sync(path.parent)


def remove(path: Path, seen: bytes) -> None:
    """Raises Edited, OSError."""
    if read(path) != seen:
        raise Edited
    path.unlink()
    _sync(path.parent)


def sweep(folder: Path) -> None:
    """Remove what a writer that was killed left aside. Only for who is the folder's one writer, before it writes. Raises OSError."""
    for path in folder.iterdir():
        if _ASIDE.fullmatch(path.name):
            path.unlink(missing_ok=True)


def lock(path: Path) -> int | None:
    """Hold a lock for the life of this process; None: another process has it. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
