"""The embedded store's keys: a text file, one key a line, the current one first; older ones stay until nothing needs them.

    # comment
    2f1c9a...  <base64 of 32 bytes>      a name and a key
    <base64 of 32 bytes>                 a key alone: its name is a fingerprint of it

64 hex digits are as good as base64, and a file may be the 32 bytes of one key and nothing else, as a random generator gives them.
Decides what a key file may hold and how it is replaced so that a kill at any moment leaves the old file or the new one. What
the keys encrypt is decided in `stores.sealing`. Names of keys are not secret; keys are in no message and no repr.
"""

import binascii
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import Self

from broker.errors import Misconfigured

KEY_BYTES = 32  # AES-256
MAX_FILE_BYTES = 64 * 1024  # some 700 keys: a rotation a week for 13 years without one clean-up
LINE_FORM = "each line '<name> <base64 of 32 bytes>' or the base64 alone, or the 32 bytes and nothing else"

_HEX = re.compile(rb"[0-9A-Fa-f]{64}")  # as base64 it would be 48 bytes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Key:
    """32 bytes and their name. Hides the bytes in repr and str."""

    __slots__ = ("material", "name")

    def __init__(self, material: bytes, name: str | None = None) -> None:
        self.material = material
        # 64 bits of a hash of 256 random bits: tells keys apart and says nothing about them.
        self.name = name or sha256(b"tfy-secret key name\0" + material).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"Key({self.name})"

    @classmethod
    def generate(cls) -> Self:
        return cls(token_bytes(KEY_BYTES))


class Keyring:
    """The keys of one file, the current one first. Never empty."""

    __slots__ = ("_by_name", "current")

    def __init__(self, keys: list[Key]) -> None:
        self.current = keys[0]
        self._by_name = {key.name: key for key in keys}

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._by_name)})"

    def get(self, name: str) -> Key | None:
        return self._by_name.get(name)

    @property
    def keys(self) -> list[Key]:
        return list(self._by_name.values())

    def with_current(self, key: Key) -> "Keyring":
        return Keyring([key, *(old for old in self.keys if old.name != key.name)])

    def only(self, names: set[str]) -> "Keyring":
        """The current key and those named."""
        return Keyring([key for key in self.keys if key is self.current or key.name in names])


def load_keyring(file: Path) -> Keyring:
    """Raises Misconfigured, which names the file and the line; FileNotFoundError if there is no such file."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Misconfigured(f"key file {file}: cannot be read: {error.strerror}. To fix: let the broker's user read it") from error
    if len(content) > MAX_FILE_BYTES:
        raise Misconfigured(f"key file {file}: longer than {MAX_FILE_BYTES} bytes; allowed: {LINE_FORM}")
    return _parse(content, file)


def _parse(content: bytes, file: Path) -> Keyring:
    if len(content) == KEY_BYTES and not _is_text(content):
        return Keyring([Key(content)])
    keys: list[Key] = []
    for number, line in enumerate(content.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        key = _key(words)
        if key is None:
            raise Misconfigured(f"key file {file}, line {number}: not a key; allowed: {LINE_FORM}. To fix: restore it from its backup")
        if any(key.name == other.name for other in keys):
            raise Misconfigured(f"key file {file}, line {number}: the name '{key.name}' is given twice. To fix: remove one of the lines")
        keys.append(key)
    if not keys:
        raise Misconfigured(f"key file {file}: holds no key; allowed: {LINE_FORM}. To fix: restore it from its backup")
    return Keyring(keys)


def _is_text(content: bytes) -> bool:
    """What random bytes are not, but for one in a hundred million; a passphrase, which would be a weak key, always is."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _key(words: list[bytes]) -> Key | None:
    try:
        material = bytes.fromhex(words[-1].decode()) if _HEX.fullmatch(words[-1]) else binascii.a2b_base64(words[-1], strict_mode=True)
    except binascii.Error:
        return None
    if len(words) > 2 or len(material) != KEY_BYTES:
        return None
    name = words[0].decode("ascii", "replace") if len(words) == 2 else None
    return Key(material, name) if name is None or _NAME.fullmatch(name) else None


def create_keyring(file: Path) -> Keyring:
    """A new file with one new key, for its owner alone. Raises FileExistsError if another process was quicker."""
    ring = Keyring([Key.generate()])
    aside = _write_aside(file, ring)
    try:
        os.link(aside, file)  # unlike a rename, never replaces a file; and the name never shows half a key
    except FileExistsError:
        raise
    except OSError as error:
        raise _not_writable(file, error) from error
    finally:
        aside.unlink()
    _sync_folder(file)
    return ring


def replace_keyring(file: Path, ring: Keyring) -> None:
    """The file holds the old keys or the new ones, whenever we are killed."""
    aside = _write_aside(file, ring)
    try:
        aside.replace(file)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise _not_writable(file, error) from error
    _sync_folder(file)


@contextmanager
def rotating(file: Path) -> Iterator[None]:
    """One rotation at a time: a second one would write its own idea of the file over ours. Ends with the process."""
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _not_writable(file, error) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Misconfigured(f"key file {file}: another rotation is running. To fix: wait for it to end") from error
    finally:
        os.close(folder)


def _write_aside(file: Path, ring: Keyring) -> Path:
    aside = file.with_name(f".{file.name}.new")
    text = "".join(f"{key.name} {binascii.b2a_base64(key.material, newline=False).decode()}\n" for key in ring.keys)
    try:
        aside.unlink(missing_ok=True)  # left over by a kill
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise _not_writable(file, error) from error
    return aside


def _sync_folder(file: Path) -> None:
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _not_writable(file: Path, error: OSError) -> Misconfigured:
    return Misconfigured(
        f"key file {file}: cannot be written: {error.strerror}. To fix: give it a folder that exists and that the broker's user can "
        "write; where the file is mounted read-only, put the new key before the old ones in its source and start the broker again"
    )
