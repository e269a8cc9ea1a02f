"""Seal what a browser keeps for us, with keys that every replica derives from the TLS private key they share. No state, no other secret.

A renewed private key gives a new sealing key. Replicas see the new file at different times (the kubelet takes up to a minute or so), so
each goes on sealing with the former key until the others must have the new one, and opens what either has sealed. What was
sealed before the last two keys, or before a restart with a new key, cannot be opened: those people log in again.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from broker.errors import Unavailable

NONCE = 12  # bytes, as AES-GCM has it; random ones are safe for 2**32 seals, which no page makes
LOOK_SECONDS = 2.0
SETTLE_SECONDS = 180.0  # the kubelet brings a changed Secret to every pod within its sync period (60 s) and its cache's age


class Unsealed(ValueError):
    """Not sealed by us for this purpose, or with a key that is gone, or altered."""


@dataclass(frozen=True, slots=True)
class _Key:
    since: float
    key: bytes = field(repr=False)


class SessionKeys:
    """Keys from `tls.key` of a folder, looked at again when it changes. `clock` is monotonic, in seconds."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = folder / "tls.key", clock
        self._keys: list[_Key] = []  # newest first, two at most
        self._seen: tuple[int, int, int] | None = None
        self._looked = -LOOK_SECONDS

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Raises Unavailable while no key was ever there."""
        nonce = os.urandom(NONCE)
        return nonce + AESGCM(self._sealing()).encrypt(nonce, content, purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Raises Unsealed, or Unavailable as above."""
        for key in self._current():
            try:
                return AESGCM(key.key).decrypt(sealed[:NONCE], sealed[NONCE:], purpose.encode())
            except (InvalidTag, ValueError):
                continue
        raise Unsealed

    def _sealing(self) -> bytes:
        newest, *former = self._current()
        settled = self._clock() - newest.since >= SETTLE_SECONDS
        return newest.key if settled or not former else former[0].key

    def _current(self) -> list[_Key]:
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look(now)
        if not self._keys:
            raise Unavailable("sessions cannot be sealed: tls.key is not readable yet")
        return self._keys

    def _look(self, now: float) -> None:
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen == self._seen:
                return
            derived = _derive(self._path.read_bytes())
        except OSError:
            return  # the keys in use stay; the file comes back
        self._seen = seen
        if not self._keys or derived != self._keys[0].key:
            self._keys = [_Key(now, derived), *self._keys[:1]]


def _derive(private_key: bytes) -> bytes:
    """The PEM text is the input: it holds all of the private key, and both replicas have the same file."""
    return HKDF(algorithm=SHA256(), length=32, salt=b"tfy-secret.dev", info=b"page sessions v1").derive(private_key.strip())
