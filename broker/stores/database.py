"""The embedded store's SQLite file: how it is opened, its schema, its transactions, and what SQLite's errors mean to us.

WAL, so that the command line reads beside a running broker; synchronous=FULL, so that an acknowledged write survives a power
cut; every change begins with BEGIN IMMEDIATE, so that two writers wait for each other instead of failing half-way. The file is
for its owner alone (SQLite gives its -wal and -shm files the same mode). What is in the rows is decided in `rows`.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from broker.errors import BrokerError, Malformed, Misconfigured, TooLarge, Unavailable

APPLICATION_ID = 0x74667973  # "tfys": tells our file from any other SQLite file
SCHEMA_VERSION = 1
BUSY_SECONDS = 5.0  # a write takes some 10 ms; re-encrypting 10,000 values of 1 KiB about 0.3 s
_FIX = "To fix: a file in a folder that the broker's user can write"
_WAL_ATTEMPTS = 50  # switching to WAL does not wait for the busy time-out; 50 x 0.1 s is the same patience

# `counters` outlives what it counted: a version's name is never used twice. `secrets` has rowids: values of 1 MiB inside an
# index's pages would make every look-up walk over them.
_SCHEMA = f"""
CREATE TABLE counters (
  store TEXT NOT NULL, path TEXT NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (store, path)) STRICT, WITHOUT ROWID;
CREATE TABLE keys (
  name TEXT NOT NULL PRIMARY KEY, proof BLOB NOT NULL, current INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE secrets (
  store TEXT NOT NULL, path TEXT NOT NULL, version INTEGER NOT NULL, created TEXT NOT NULL,
  key_name TEXT NOT NULL, sealed BLOB NOT NULL,
  PRIMARY KEY (store, path, version)) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION}
"""


def connect(file: Path) -> sqlite3.Connection:
    """Open the file, or make it and its folder. Raises Misconfigured, Malformed, Unavailable."""
    _make_private(file)
    with sqlite_errors(file):
        connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _prepare(connection, file)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection, *, reading: bool = False) -> Iterator[None]:
    """All of it or none of it, alone among writers; `reading`: one moment's view, beside them."""
    connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def sqlite_errors(file: Path) -> Iterator[None]:
    """SQLite's exceptions stop here. Their messages may quote a row, so only the name of the error goes on."""
    try:
        yield
    except sqlite3.Error as error:
        failure = _explained(error, file)
    else:
        return
    raise failure


def _explained(error: sqlite3.Error, file: Path) -> BrokerError:
    # The module's own errors (text that is not UTF-8) have neither code nor name.
    code, name = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT), getattr(error, "sqlite_errorname", "damaged text")
    place = f"embedded store {file}: {name}"
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Unavailable(f"{place}: another process holds the database. To fix: try again, or end what hangs")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            return Unavailable(f"{place}: the disk is full or does not answer. To fix: room on the volume, or the volume")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return Misconfigured(f"{place}: cannot be opened for writing. {_FIX}")
        case sqlite3.SQLITE_TOOBIG:
            return TooLarge(f"{place}: larger than SQLite can hold")
        case _:
            return Malformed(f"{place}: the database is damaged, or not one of ours. To fix: restore it from a backup")


def _make_private(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # O_EXCL: an existing file must not be opened and closed here, which would drop this process's SQLite locks on it.
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with suppress(PermissionError):  # not ours, but open to our group, as a volume with an fsGroup is
            file.chmod(0o600)
    except OSError as error:
        raise Misconfigured(
            f"embedded store {file}: {error.strerror}. To fix: a file in a folder that the broker's user can write"
        ) from error


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    with transaction(connection, reading=True):  # another process may be making it
        _check_version(connection, file)  # before anything is changed in a file that may not be ours
    _use_wal(connection, file)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted, or sealed under an old key, is overwritten
    with transaction(connection):
        if _check_version(connection, file) == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)


def _check_version(connection: sqlite3.Connection, file: Path) -> int:
    (version,), (application,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id"))
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (version or application or tables):
        raise Misconfigured(f"embedded store {file}: a database of another program. To fix: name another file")
    if version > SCHEMA_VERSION:
        raise Misconfigured(
            f"embedded store {file}: found schema version {version}; allowed: up to {SCHEMA_VERSION}. "
            "To fix: run the newer broker that wrote it, or restore the backup made before it ran"
        )
    return int(version)


def _use_wal(connection: sqlite3.Connection, file: Path) -> None:
    for attempt in range(_WAL_ATTEMPTS):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempt == _WAL_ATTEMPTS - 1:
                raise
            time.sleep(0.1)  # in the store's own thread
            continue
        if mode != "wal":
            raise Misconfigured(f"embedded store {file}: its file system has no WAL. To fix: use a local disk or a block volume")
        return
