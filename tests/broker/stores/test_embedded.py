"""The embedded store: exactness for any bytes, damage and wrong keys told, two stores and two processes in one file."""

import asyncio
import errno
import os
import sqlite3
import stat
import threading
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from broker.errors import BrokerError, Malformed, Misconfigured, NotFound, Unavailable
from broker.stores import database
from broker.stores.embedded import Embedded
from broker.stores.rows import Rows
from contract.values import SecretValue

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
Open = Callable[..., Embedded]


def edit(db: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(db)
    with connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


def column(db: Path, name: str) -> object:
    connection = sqlite3.connect(db)
    ((found,),) = connection.execute(f"SELECT {name} FROM secrets").fetchall()
    connection.close()
    return found


@settings(max_examples=15, deadline=None)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=20))
def test_any_bytes_are_kept_exactly(values: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        rows = Rows(Path(folder) / "db", Path(folder) / "key")
        versions = [rows.write("s", PATH, value) for value in values]
        found = [rows.read("s", PATH, version) == (value, version) for version, value in zip(versions, values)]
        rows.close()
    assert all(found)
    assert versions == [str(number + 1) for number in range(len(values))]


async def test_values_and_keys_are_not_in_the_files(embedded: Embedded, db: Path) -> None:
    canary = b"canary-value-5512"
    await embedded.write(PATH, SecretValue(canary * 100))
    files = [file for file in db.parent.iterdir() if file.is_file()]
    assert {file.name for file in files} == {"secrets.db", "secrets.db-wal", "secrets.db-shm"}
    assert not any(canary in file.read_bytes() for file in files)


async def test_what_is_deleted_is_overwritten(embedded: Embedded, db: Path) -> None:
    await embedded.write("/kept", SecretValue(b"x"))
    await embedded.write(PATH, SecretValue(b"y" * 20000))
    connection = sqlite3.connect(db)
    ((sealed,),) = connection.execute("SELECT sealed FROM secrets WHERE path = ?", (PATH,)).fetchall()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert sealed[9000:9064] in db.read_bytes()
    await embedded.delete(PATH)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    assert sealed[9000:9064] not in db.read_bytes()


async def test_files_are_for_their_owner_alone(embedded: Embedded, db: Path, key_file: Path) -> None:
    await embedded.write(PATH, SecretValue(b"x"))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (db.parent, key_file, *db.parent.iterdir())}
    assert modes == {"data": 0o700, "key": 0o600, "secrets.db": 0o600, "secrets.db-wal": 0o600, "secrets.db-shm": 0o600}


async def test_a_file_left_open_to_others_is_closed_to_them(open_embedded: Open, db: Path) -> None:
    await open_embedded().close()
    db.chmod(0o664)
    open_embedded()
    assert stat.S_IMODE(db.stat().st_mode) == 0o600


async def test_a_read_only_file_system_is_told(open_embedded: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    await open_embedded().close()

    def refuses(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "chmod", refuses)
    with pytest.raises(Misconfigured, match="Read-only file system. To fix: a file in a folder that the broker's user can write"):
        open_embedded()


async def test_times_are_utc_and_from_the_clock(open_embedded: Open) -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
    store = open_embedded(clock=lambda: now)
    await store.write(PATH, SecretValue(b"x"))
    ((version,),) = ((v,) for v in await store.versions(PATH))
    assert (version.version, version.created) == ("1", now)
    assert version.created is not None and version.created.tzinfo == UTC


async def test_what_was_written_is_there_after_opening_again(open_embedded: Open) -> None:
    first = open_embedded()
    await first.write(PATH, SecretValue(b"one"))
    await first.write(PATH, SecretValue(b"two"))
    await first.delete(PATH)
    await first.write("/other", SecretValue(b"kept"))
    await first.close()
    second = open_embedded()
    assert (await second.read("/other")).value == SecretValue(b"kept")
    assert await second.write(PATH, SecretValue(b"three")) == "3", "a version's name is used once"


async def test_two_stores_in_one_file_do_not_see_each_other(open_embedded: Open) -> None:
    one, two = open_embedded("acme/embedded/one"), open_embedded("acme/embedded/two")
    await one.write(PATH, SecretValue(b"of one"))
    with pytest.raises(NotFound):
        await two.read(PATH)
    assert await two.paths() == []
    assert await two.write(PATH, SecretValue(b"of two")) == "1"
    await two.delete(PATH)
    assert (await one.read(PATH)).value == SecretValue(b"of one")


async def test_paths_are_listed_by_prefix(embedded: Embedded) -> None:
    for path in ("/a/b", "/a/b", "/a/c", "/a%", "/ab", "/gone", "/A/b"):
        await embedded.write(path, SecretValue(b"x"))
    await embedded.delete("/gone")
    assert await embedded.paths() == ["/A/b", "/a%", "/a/b", "/a/c", "/ab"]
    assert await embedded.paths("/a/") == ["/a/b", "/a/c"]
    assert await embedded.paths("/a%") == ["/a%"]


# --- keys --------------------------------------------------------------------------------------------------------


async def test_a_first_key_is_made_and_its_back_up_asked_for(open_embedded: Open, key_file: Path) -> None:
    with capture_logs() as events:
        open_embedded()
    (event,) = events
    assert (event["event"], event["log_level"], event["key_file"]) == ("embedded_key_created", "warning", str(key_file))
    assert "back this file up" in event["advice"]
    assert key_file.read_text().split()[1] not in str(event)
    with capture_logs() as events:
        open_embedded()
    assert events == []


async def test_a_lost_key_file_is_told_and_not_replaced(open_embedded: Open, key_file: Path) -> None:
    store = open_embedded()
    await store.write(PATH, SecretValue(b"x"))
    await store.close()
    key_file.unlink()
    with pytest.raises(Misconfigured, match=r"key file .*key: there is none, and database .*secrets.db holds values"):
        open_embedded()
    assert not key_file.exists()


@pytest.mark.parametrize("named", [True, False], ids=["under-the-same-name", "under-its-own-name"])
async def test_a_wrong_key_is_told_at_opening(open_embedded: Open, key_file: Path, named: bool) -> None:
    store = open_embedded()
    await store.write(PATH, SecretValue(b"x"))
    await store.close()
    good = key_file.read_text()
    name = good.split()[0] + " " if named else ""
    key_file.write_text(name + b64encode(b"\x07" * 32).decode())
    with pytest.raises(Misconfigured, match="key file .*To fix") as caught:
        open_embedded()
    assert b64encode(b"\x07" * 32).decode() not in caught.value.message
    key_file.write_text(good)
    assert (await open_embedded().read(PATH)).value == SecretValue(b"x")


async def test_a_store_made_before_its_key_is_there_works_once_it_is(db: Path, key_file: Path) -> None:
    """Made in the event loop without touching the disk; each call says what is wrong until it is mended."""
    key_file.write_text("not a key\n")
    store = Embedded(db, key_file, "s")
    for _ in range(2):
        with pytest.raises(Misconfigured, match="line 1: not a key"):
            await store.healthy()
    key_file.write_text(b64encode(b"\x01" * 32).decode() + "\n")
    assert await store.write(PATH, SecretValue(b"x")) == "1"
    await store.close()


async def test_the_key_file_needs_its_folder(db: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="a folder that exists"):
        Embedded.open(db, tmp_path / "missing" / "key", "s")


# --- damage ------------------------------------------------------------------------------------------------------


async def test_every_flipped_byte_of_a_row_is_an_error(open_embedded: Open, db: Path) -> None:
    """Never another value: 16 bytes of plain text, then each byte of the sealed text and of each column."""
    store = open_embedded()
    await store.write(PATH, SecretValue(b"sixteen-byte-val"))
    for name in ("sealed", "path", "store", "key_name", "created"):
        original = column(db, name)
        raw = original.encode() if isinstance(original, str) else bytes(original)
        for index in range(len(raw)):
            flipped = raw[:index] + bytes([raw[index] ^ 1]) + raw[index + 1 :]
            edit(db, f"UPDATE secrets SET {name} = ?", flipped.decode() if isinstance(original, str) else flipped)
            with pytest.raises((Malformed, Misconfigured, NotFound)) as caught:
                await store.read(PATH)
            assert PATH in caught.value.message
        edit(db, f"UPDATE secrets SET {name} = ?", original)
    edit(db, "UPDATE secrets SET version = 2")
    with pytest.raises(Malformed, match="version '2': does not open"):
        await store.read(PATH)
    edit(db, "UPDATE secrets SET version = 1")
    assert (await store.read(PATH)).value == SecretValue(b"sixteen-byte-val")


@pytest.mark.parametrize("length", [0, 5, 12, 20])
async def test_a_row_cut_short_is_an_error(embedded: Embedded, db: Path, length: int) -> None:
    await embedded.write(PATH, SecretValue(b"value"))
    edit(db, "UPDATE secrets SET sealed = substr(sealed, 1, ?)", length)
    with pytest.raises(Malformed, match="does not open under its key"):
        await embedded.read(PATH)


async def test_a_row_moved_to_another_path_does_not_open(embedded: Embedded, db: Path) -> None:
    await embedded.write("/a", SecretValue(b"x"))
    edit(db, "UPDATE secrets SET path = '/b'")
    with pytest.raises(Malformed, match="path '/b' version '1': does not open"):
        await embedded.read("/b")


async def test_a_row_moved_to_another_store_does_not_open(open_embedded: Open, db: Path) -> None:
    one, two = open_embedded("s1"), open_embedded("s2")
    await one.write("/a", SecretValue(b"x"))
    edit(db, "UPDATE secrets SET store = 's2'")
    with pytest.raises(Malformed, match="path '/a' version '1': does not open"):
        await two.read("/a")


async def test_versions_that_change_places_do_not_open(embedded: Embedded, db: Path) -> None:
    await embedded.write(PATH, SecretValue(b"old"))
    await embedded.write(PATH, SecretValue(b"new"))
    edit(db, "UPDATE secrets SET version = 3 - version + 10")
    edit(db, "UPDATE secrets SET version = version - 10")
    for version in ("1", "2", None):
        with pytest.raises(Malformed):
            await embedded.read(PATH, version)


def test_no_two_rows_are_bound_alike() -> None:
    """The lengths keep `a` + `b/1` and `a/b` + `1` apart."""
    from broker.keyring import Key
    from broker.stores.sealing import Row

    key = Key(b"\0" * 32, "k")
    rows = [
        Row("a", "b", 1, "t"),
        Row("ab", "", 1, "t"),
        Row("a", "b1", 1, "t"),
        Row("a", "b", 11, "t"),
        Row("a", "b", 1, "1t"),
        Row("", "ab", 1, "t"),
    ]
    assert len({row.bound_to(key) for row in rows}) == len(rows)


async def test_a_damaged_time_is_told(embedded: Embedded, db: Path) -> None:
    await embedded.write(PATH, SecretValue(b"x"))
    for text in ("yesterday", "2026-01-01T00:00:00"):
        edit(db, "UPDATE secrets SET created = ?", text)
        with pytest.raises(Malformed, match="its time is damaged"):
            await embedded.versions(PATH)


async def test_text_that_is_not_utf8_is_told(embedded: Embedded, db: Path) -> None:
    await embedded.write(PATH, SecretValue(b"x"))
    edit(db, "UPDATE secrets SET created = CAST(x'ff' AS TEXT)")
    with pytest.raises(Malformed, match="damaged"):
        await embedded.read(PATH)


async def test_one_damaged_row_does_not_keep_the_others_from_being_read(open_embedded: Open, db: Path) -> None:
    store = open_embedded()
    await store.write("/bad", SecretValue(b"x"))
    await store.write("/good", SecretValue(b"y"))
    await store.close()
    edit(db, "UPDATE secrets SET sealed = zeroblob(40), key_name = 'zz' WHERE path = '/bad'")
    again = open_embedded()
    assert (await again.read("/good")).value == SecretValue(b"y")
    with pytest.raises(Misconfigured, match="'/bad'"):
        await again.read("/bad")
    await again.delete("/bad")
    assert await again.write("/bad", SecretValue(b"z")) == "2"


# --- the file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"not a database, " * 100, b"SQLite format 3\0" + b"\xff" * 4080], ids=["text", "broken-header"])
async def test_a_file_that_is_no_database_is_told(db: Path, key_file: Path, content: bytes) -> None:
    db.parent.mkdir()
    db.write_bytes(content)
    with pytest.raises(Malformed, match="damaged, or not one of ours"):
        Embedded.open(db, key_file, "s")
    assert not key_file.exists()


async def test_another_programs_database_is_left_alone(db: Path, key_file: Path) -> None:
    db.parent.mkdir()
    connection = sqlite3.connect(db)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = db.read_bytes()
    with pytest.raises(Misconfigured, match="a database of another program"):
        Embedded.open(db, key_file, "s")
    assert db.read_bytes() == before


async def test_a_newer_schema_is_refused(open_embedded: Open, db: Path) -> None:
    await open_embedded().close()
    connection = sqlite3.connect(db)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(Misconfigured, match="found schema version 2; allowed: up to 1"):
        open_embedded()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, key_file: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="a folder that the broker's user can write"):
        Embedded.open(tmp_path / "file" / "db", key_file, "s")


async def test_a_database_that_others_hold_is_unavailable(open_embedded: Open, db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    store = open_embedded()
    await store.write(PATH, SecretValue(b"x"))
    other = sqlite3.connect(db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another process holds"):
        await store.write(PATH, SecretValue(b"y"))
    assert (await store.read(PATH)).value == SecretValue(b"x"), "readers do not wait for a writer"
    other.execute("ROLLBACK")
    other.close()
    assert await store.write(PATH, SecretValue(b"y")) == "2"


async def test_the_event_loop_goes_on_while_the_database_waits(open_embedded: Open, db: Path) -> None:
    store = open_embedded()
    other = sqlite3.connect(db, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    write = asyncio.create_task(store.write(PATH, SecretValue(b"x")))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not write.done()
    other.execute("ROLLBACK")
    other.close()
    assert await write == "1"


async def test_programs_that_start_together_agree_on_one_key(db: Path, key_file: Path) -> None:
    opened: list[Rows] = []
    barrier = threading.Barrier(6)

    def start() -> None:
        barrier.wait()
        rows = Rows(db, key_file)
        rows.write("s", f"/{threading.get_ident()}", b"x")
        opened.append(rows)

    await asyncio.gather(*(asyncio.to_thread(start) for _ in range(6)))
    assert len(opened) == 6
    assert len(key_file.read_text().splitlines()) == 1
    store = Embedded.open(db, key_file, "s")
    paths = await store.paths()
    assert [(await store.read(path)).value == SecretValue(b"x") for path in paths] == [True] * 6
    await store.close()


async def test_a_closed_store_says_so(open_embedded: Open) -> None:
    store = open_embedded()
    await store.close()
    await store.close()
    with pytest.raises(BrokerError, match="is closed"):
        await store.read(PATH)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("embedded-store")]
    for thread in threads:
        thread.join(2)
    assert not any(thread.is_alive() for thread in threads)
