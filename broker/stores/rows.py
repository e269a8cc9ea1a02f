"""The embedded store's rows: sealed values by store, path and version, in blocking calls for one thread.

Which key is the current one is said by the database, not by this process's memory: a write after another process has rotated
reads the key file again and goes on. Versions are "1", "2", ... for each path and are not used again after a delete.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from broker.errors import Malformed, Misconfigured, NotFound
from broker.keyring import Key, Keyring
from broker.stores.checks import shown
from broker.stores.database import connect, sqlite_errors, transaction
from broker.stores.rotation import adopt_keys, read_keys
from broker.stores.sealing import Row, UnsealableError, seal, unseal

_VERSION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)  # within SQLite's 64 bits
_ROTATIONS_DURING_A_READ = 3  # each one makes a read look again; more than this in a millisecond is no rotation

Clock = Callable[[], datetime]
_log = structlog.get_logger()


def utc_now() -> datetime:
    return datetime.now(UTC)


class Rows:
    """An open database and its keys. Raises broker.errors alone."""

    def __init__(self, file: Path, key_file: Path, clock: Clock = utc_now) -> None:
        self._file, self._key_file, self._clock = file, key_file, clock
        self._connection = connect(file)
        try:
            self._ring = self._adopt()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def read(self, store: str, path: str, version: str | None) -> tuple[bytes, str]:
        """The value and its version's name."""
        for _ in range(_ROTATIONS_DURING_A_READ):
            row, key_name, sealed = self._find(store, path, version)
            key = self._ring.get(key_name)
            if key is not None:
                return self._opened(key, row, sealed), str(row.version)
            self._ring = self._reread()
        raise Misconfigured(
            f"embedded store, {_place(path, row.version)}: encrypted under the key '{shown(key_name)}', which key file {self._key_file} "
            "does not have. To fix: put that key back, below the current one"
        )

    def write(self, store: str, path: str, value: bytes) -> str:
        with sqlite_errors(self._file), transaction(self._connection):
            key = self._current()
            row = Row(store, path, self._next_version(store, path), self._clock().astimezone(UTC).isoformat(timespec="microseconds"))
            self._connection.execute(
                "INSERT INTO secrets (store, path, version, created, key_name, sealed) VALUES (?, ?, ?, ?, ?, ?)",
                (store, path, row.version, row.created, key.name, seal(key, row, value)),
            )
        return str(row.version)

    def delete(self, store: str, path: str, version: str | None) -> None:
        where, values = _where(store, path, version)
        with sqlite_errors(self._file), transaction(self._connection):
            gone = self._connection.execute(f"DELETE FROM secrets WHERE {where}", values).rowcount  # noqa: S608 - our own text
        if not gone:
            raise _not_found(store, path, version)

    def versions(self, store: str, path: str) -> list[tuple[str, datetime]]:
        where, values = _where(store, path, None)
        with sqlite_errors(self._file):
            found = self._connection.execute(f"SELECT version, created FROM secrets WHERE {where} ORDER BY version", values).fetchall()  # noqa: S608 - as above
        if not found:
            raise _not_found(store, path, None)
        return [(str(version), _time(path, version, created)) for version, created in found]

    def paths(self, store: str, prefix: str) -> list[str]:
        query = "SELECT DISTINCT path FROM secrets WHERE store = ? AND substr(path, 1, length(?)) = ? ORDER BY path"
        with sqlite_errors(self._file):
            return [path for (path,) in self._connection.execute(query, (store, prefix, prefix))]

    def check(self) -> None:
        """What a read meets, without reading: the file answers, and its current key is in the key file."""
        with sqlite_errors(self._file):
            self._current()

    def _find(self, store: str, path: str, version: str | None) -> tuple[Row, str, bytes]:
        where, values = _where(store, path, version)
        query = f"SELECT version, created, key_name, sealed FROM secrets WHERE {where} ORDER BY version DESC LIMIT 1"  # noqa: S608 - our own text
        with sqlite_errors(self._file):
            found = self._connection.execute(query, values).fetchone()
        if found is None:
            raise _not_found(store, path, version)
        number, created, key_name, sealed = found
        return Row(store, path, number, created), key_name, sealed

    def _opened(self, key: Key, row: Row, sealed: bytes) -> bytes:
        try:
            return unseal(key, row, sealed)
        except UnsealableError:
            raise Malformed(
                f"embedded store, {_place(row.path, row.version)}: does not open under its key: damaged, or moved from another row. "
                "To fix: restore the database from a backup, or delete this version and write the value again"
            ) from None

    def _next_version(self, store: str, path: str) -> int:
        (last,) = self._connection.execute(
            "SELECT max(ifnull((SELECT last FROM counters WHERE store = :s AND path = :p), 0), "
            "ifnull((SELECT max(version) FROM secrets WHERE store = :s AND path = :p), 0))",
            {"s": store, "p": path},
        ).fetchone()
        self._connection.execute("INSERT OR REPLACE INTO counters (store, path, last) VALUES (?, ?, ?)", (store, path, last + 1))
        return int(last) + 1

    def _current(self) -> Key:
        found = self._connection.execute("SELECT name FROM keys WHERE current = 1").fetchone()
        if found is None:
            raise Malformed(f"embedded store {self._file}: damaged: it does not say which key is current. To fix: restore a backup")
        key = self._ring.get(found[0])
        if key is None:
            self._ring = self._reread()
            key = self._ring.get(found[0])
        if key is None:
            raise Misconfigured(
                f"key file {self._key_file}: lacks the key '{shown(found[0])}', which database {self._file} is encrypted under. "
                "To fix: put that key back as the first line"
            )
        return key

    def _reread(self) -> Keyring:
        with sqlite_errors(self._file):
            return read_keys(self._connection, self._file, self._key_file)

    def _adopt(self) -> Keyring:
        with sqlite_errors(self._file), transaction(self._connection):
            ring, damaged = adopt_keys(self._connection, self._file, self._key_file)
        for path in damaged:
            _log.error("embedded_row_damaged", path=path, database=str(self._file))
        return ring


def _where(store: str, path: str, version: str | None) -> tuple[str, tuple[str | int, ...]]:
    if version is None:
        return "store = ? AND path = ?", (store, path)
    if not _VERSION.fullmatch(version):
        raise _not_found(store, path, version)
    return "store = ? AND path = ? AND version = ?", (store, path, int(version))


def _not_found(store: str, path: str, version: str | None) -> NotFound:
    return NotFound(f"embedded store {store}: nothing at {_place(path, version)}. To fix: write it, or correct the name")


def _place(path: str, version: str | int | None) -> str:
    return f"path '{shown(path)}'" + ("" if version is None else f" version '{shown(str(version))}'")


def _time(path: str, version: int, text: str) -> datetime:
    try:
        created = datetime.fromisoformat(text)
    except ValueError:
        created = None
    if created is None or created.tzinfo is None:
        raise Malformed(f"embedded store, {_place(path, version)}: its time is damaged. To fix: restore the database from a backup")
    return created.astimezone(UTC)
