"""How the embedded store encrypts one value: AES-256-GCM, the row's place bound to it, so that a ciphertext opens nowhere else.

    sealed = nonce (12 random bytes) + ciphertext + tag (16)
    associated data = label, then store, path, version, time and key's name, each behind its length in 8 bytes

The lengths make the encoding unambiguous: no two different rows give the same bytes. Nonces are random: under one key 2^32
writes keep the chance of a repeated nonce below 2^-32 (NIST SP 800-38D, 8.3), which is 136 years of one write a second; rotate
the key before. What is not hidden: paths, versions, times and lengths. What is not noticed: that a row was removed, or that
the whole file was replaced by an older copy of it.
"""

from dataclasses import dataclass
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.keyring import Key

NONCE_BYTES = 12
_LABEL = b"tfy-secret embedded store, row, 1\0"
_PROOF = b"tfy-secret embedded store, key check, 1\0"


class UnsealableError(Exception):
    """Another key, another row, or damage: they cannot be told apart. The store's message names the row."""


@dataclass(frozen=True, slots=True)
class Row:
    """Where a value stands."""

    store: str
    path: str
    version: int
    created: str

    def bound_to(self, key: Key) -> bytes:
        parts = (self.store, self.path, str(self.version), self.created, key.name)
        return _LABEL + b"".join(_counted(part.encode()) for part in parts)


def seal(key: Key, row: Row, value: bytes) -> bytes:
    nonce = token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key.material).encrypt(nonce, value, row.bound_to(key))


def unseal(key: Key, row: Row, sealed: bytes) -> bytes:
    return _decrypt(key, sealed, row.bound_to(key))


def prove(key: Key) -> bytes:
    """What the database remembers of a key, so that a wrong key is told at opening and not at the first read."""
    nonce = token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key.material).encrypt(nonce, b"", _PROOF + key.name.encode())


def is_proof(key: Key, proof: bytes) -> bool:
    try:
        return _decrypt(key, proof, _PROOF + key.name.encode()) == b""
    except UnsealableError:
        return False


def _decrypt(key: Key, sealed: bytes, bound: bytes) -> bytes:
    if len(sealed) < NONCE_BYTES:
        raise UnsealableError
    try:
        return AESGCM(key.material).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except InvalidTag:
        raise UnsealableError from None


def _counted(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part
