"""Which keys the embedded store's database is encrypted under, and how it moves to another one in place.

step of `rotate_key`                       | killed after it: what stands, and what the next opening does
------------------------------------------ | ------------------------------------------------------------------
1. key file := new key, old keys           | rows under the old key; the opening re-encrypts them
2. all rows re-encrypted, one transaction  | rows under the new key; an old key too many in the file, no harm
3. key file := new key                     | done

The new key is in the file before any row needs it, and an old one leaves it after no row does; a running broker that meets an
unknown key's name reads the file again. `adopt_keys` is step 2 and every opening: so a key put first in a read-only mounted file
is taken over at the next start. A row that does not open keeps its old key, which then stays in the file. Old backups need old keys.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from broker.errors import Malformed, Misconfigured
from broker.keyring import Key, Keyring, create_keyring, load_keyring, replace_keyring, rotating
from broker.stores.checks import shown
from broker.stores.database import connect, sqlite_errors, transaction
from broker.stores.sealing import Row, UnsealableError, is_proof, prove, seal, unseal

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new key's name, and how many versions are now encrypted under it."""

    key_name: str
    versions: int


def rotate_key(db: Path, key_file: Path, reached: Callable[[str], None] = lambda _step: None) -> Rotated:
    """Make a new key and re-encrypt everything under it, beside a running broker. Blocking.

    Raises Misconfigured with nothing changed, or Malformed after all but the damaged rows are done. `reached` is told each step.
    """
    with rotating(key_file):
        connection = connect(db)
        try:
            with sqlite_errors(db):
                return _rotate(connection, db, key_file, reached)
        finally:
            connection.close()


def _rotate(connection: sqlite3.Connection, db: Path, key_file: Path, reached: Callable[[str], None]) -> Rotated:
    with transaction(connection):
        ring, _ = adopt_keys(connection, db, key_file)  # a wrong key file is told before it is written to
    ring = ring.with_current(Key.generate())
    replace_keyring(key_file, ring)
    reached("new key in the file")
    with transaction(connection):
        _, damaged = adopt_keys(connection, db, key_file)
        reached("rows re-encrypted")
    reached("transaction committed")
    replace_keyring(key_file, ring.only(_in_use(connection)))
    reached("old key dropped")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # rows under the old key leave the write-ahead log too
    if damaged:
        raise Malformed(
            f"embedded store {db}: all rows but {len(damaged)} are re-encrypted; damaged: {', '.join(damaged[:10])}. "
            "To fix: delete these versions or restore them from a backup, then rotate again"
        )
    (versions,) = connection.execute("SELECT count(*) FROM secrets").fetchone()
    return Rotated(ring.current.name, versions)


def adopt_keys(connection: sqlite3.Connection, db: Path, key_file: Path) -> tuple[Keyring, list[str]]:
    """Inside a transaction: check the key file against the database, and make its first key the one that rows are under.

    Returns the keys and the places of rows that did not open. The file is read inside the transaction: a file read before
    another process's rotation could bring back a key that is about to be dropped.
    """
    needed = _in_use(connection)
    ring = read_keys(connection, db, key_file, needed)
    known = {name for (name,) in connection.execute("SELECT name FROM keys")}
    for stale in [name for name in known if name not in needed]:
        connection.execute("DELETE FROM keys WHERE name = ?", (stale,))
    connection.execute("UPDATE keys SET current = 0 WHERE current <> 0 AND name <> ?", (ring.current.name,))
    connection.execute(
        "INSERT INTO keys (name, proof, current) VALUES (?, ?, 1) ON CONFLICT (name) DO UPDATE SET current = 1",
        (ring.current.name, prove(ring.current)),
    )
    damaged = _reencrypt(connection, ring)
    needed = _in_use(connection) | {ring.current.name}
    connection.execute(f"DELETE FROM keys WHERE name NOT IN ({', '.join('?' * len(needed))})", tuple(needed))  # noqa: S608 - marks alone
    return ring, damaged


def read_keys(connection: sqlite3.Connection, db: Path, key_file: Path, needed: set[str] | None = None) -> Keyring:
    """The key file's keys, each checked against what the database remembers of it; `needed` are those that rows are under."""
    needed = _in_use(connection) if needed is None else needed
    ring = _load_or_create(db, key_file, may_create=not needed)
    for name, proof in connection.execute("SELECT name, proof FROM keys").fetchall():
        key = ring.get(name)
        if name in needed and key is None:
            raise Misconfigured(
                f"key file {key_file}: lacks the key '{shown(name)}', which database {db} is encrypted under. To fix: put that key back"
            )
        if name in needed and key is not None and not is_proof(key, proof):
            raise Misconfigured(
                f"key file {key_file}: its key '{shown(name)}' is not the one that database {db} is encrypted under. "
                "To fix: restore the key file from its backup"
            )
    return ring


def _load_or_create(db: Path, key_file: Path, *, may_create: bool) -> Keyring:
    try:
        return load_keyring(key_file)
    except FileNotFoundError:
        pass
    if not may_create:
        raise Misconfigured(f"key file {key_file}: there is none, and database {db} holds values. To fix: restore it from its backup")
    try:
        ring = create_keyring(key_file)
    except FileExistsError:  # by another process, a moment ago
        return load_keyring(key_file)
    _log.warning("embedded_key_created", key_file=str(key_file), advice="back this file up: without it the stored values are lost")
    return ring


def _in_use(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT DISTINCT key_name FROM secrets")}


def _reencrypt(connection: sqlite3.Connection, ring: Keyring) -> list[str]:
    """Row by row, so that memory holds one value at a time."""
    damaged = []
    rows = connection.execute("SELECT rowid FROM secrets WHERE key_name <> ?", (ring.current.name,)).fetchall()
    for (rowid,) in rows:
        store, path, version, created, key_name, sealed = connection.execute(
            "SELECT store, path, version, created, key_name, sealed FROM secrets WHERE rowid = ?", (rowid,)
        ).fetchone()
        key, row = ring.get(key_name), Row(store, path, version, created)
        try:
            value = unseal(key, row, sealed) if key else None
        except UnsealableError:
            value = None
        if value is None:
            damaged.append(f"'{shown(path)}' version {version}")
            continue
        again = seal(ring.current, row, value)
        connection.execute("UPDATE secrets SET key_name = ?, sealed = ? WHERE rowid = ?", (ring.current.name, again, rowid))
    return damaged
