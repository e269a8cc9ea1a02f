"""Key rotation: in place, beside a running broker, and safe to be killed at every step."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.errors import Malformed, Misconfigured
from broker.keyring import Key, load_keyring, replace_keyring, rotating
from broker.stores.embedded import Embedded
from broker.stores.rotation import rotate_key
from contract.values import SecretValue

STEPS = ["new key in the file", "rows re-encrypted", "transaction committed", "old key dropped"]
Open = Callable[..., Embedded]


def names_in_use(db: Path) -> set[str]:
    connection = sqlite3.connect(db)
    found = {name for (name,) in connection.execute("SELECT key_name FROM secrets UNION SELECT name FROM keys")}
    connection.close()
    return found


async def fill(store: Embedded) -> dict[tuple[str, str], SecretValue]:
    values = {}
    for number in range(12):
        value = SecretValue(f"value {number}".encode())
        path = f"/path/{number % 5}"
        values[path, await store.write(path, value)] = value
    return values


async def all_there(store: Embedded, values: dict[tuple[str, str], SecretValue]) -> bool:
    return all([(await store.read(path, version)).value == value for (path, version), value in values.items()])


async def test_everything_moves_to_the_new_key_and_the_old_one_is_dropped(open_embedded: Open, db: Path, key_file: Path) -> None:
    store = open_embedded()
    values = await fill(store)
    old = load_keyring(key_file).current
    steps: list[str] = []
    rotated = rotate_key(db, key_file, steps.append)
    assert steps == STEPS
    ring = load_keyring(key_file)
    assert [key.name for key in ring.keys] == [rotated.key_name]
    assert rotated.key_name != old.name
    assert rotated.versions == 12
    assert names_in_use(db) == {rotated.key_name}
    await store.close()
    assert await all_there(open_embedded(), values)


async def test_a_running_store_goes_on_after_another_process_rotated(open_embedded: Open, db: Path, key_file: Path) -> None:
    store, writer, idle = open_embedded(), open_embedded(), open_embedded()
    values = await fill(store)
    for _ in range(3):
        rotate_key(db, key_file)
    assert await all_there(store, values)
    assert await writer.write("/path/0", SecretValue(b"after")) == "4"
    await idle.healthy()
    assert names_in_use(db) == {load_keyring(key_file).current.name}, "the writer took the new key"
    assert (await store.read("/path/0")).value == SecretValue(b"after")


@pytest.mark.parametrize("step", STEPS)
async def test_a_rotation_killed_at_any_step_loses_nothing(open_embedded: Open, db: Path, key_file: Path, step: str) -> None:
    """Killed by SIGKILL in a process of its own; a store that ran all along and one opened afterwards read and write everything."""
    running = open_embedded()
    values = await fill(running)
    program = (
        "import os, signal, sys; from pathlib import Path; from broker.stores.rotation import rotate_key\n"
        "rotate_key(Path(sys.argv[1]), Path(sys.argv[2]), lambda step: step == sys.argv[3] and os.kill(os.getpid(), signal.SIGKILL))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(db), str(key_file), step], cwd=Path(__file__).parents[3], timeout=30, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert await all_there(running, values)
    values["/path/0", await running.write("/path/0", SecretValue(b"between"))] = SecretValue(b"between")
    opened = open_embedded()
    assert await all_there(opened, values)
    values["/path/0", await opened.write("/path/0", SecretValue(b"then"))] = SecretValue(b"then")
    rotated = rotate_key(db, key_file)
    assert names_in_use(db) == {key.name for key in load_keyring(key_file).keys} == {rotated.key_name}
    assert await all_there(running, values)
    assert await all_there(opened, values)


async def test_a_key_put_first_by_hand_is_taken_over_at_the_next_start(open_embedded: Open, db: Path, key_file: Path) -> None:
    """The way for a key file that is mounted read-only."""
    running = open_embedded()
    values = await fill(running)
    replace_keyring(key_file, load_keyring(key_file).with_current(Key(b"\x09" * 32, "by-hand")))
    opened = open_embedded()
    assert names_in_use(db) == {"by-hand"}
    assert await all_there(opened, values)
    assert await all_there(running, values)
    await running.write("/path/0", SecretValue(b"x"))
    assert names_in_use(db) == {"by-hand"}


async def test_a_damaged_row_keeps_its_key_and_is_named(open_embedded: Open, db: Path, key_file: Path) -> None:
    store = open_embedded()
    values = await fill(store)
    connection = sqlite3.connect(db)
    with connection:
        connection.execute("UPDATE secrets SET sealed = zeroblob(60) WHERE path = '/path/0' AND version = 2")
    connection.close()
    old = load_keyring(key_file).current.name
    with pytest.raises(Malformed, match="all rows but 1 are re-encrypted; damaged: '/path/0' version 2"):
        rotate_key(db, key_file)
    assert load_keyring(key_file).get(old) is not None
    del values["/path/0", "2"]
    assert await all_there(store, values)
    await store.delete("/path/0", "2")
    rotate_key(db, key_file)
    assert load_keyring(key_file).get(old) is None
    assert await all_there(store, values)


async def test_a_wrong_or_missing_key_file_is_told_before_anything_changes(open_embedded: Open, db: Path, key_file: Path) -> None:
    store = open_embedded()
    values = await fill(store)
    good = key_file.read_text()
    key_file.unlink()
    with pytest.raises(Misconfigured, match="there is none"):
        rotate_key(db, key_file)
    assert not key_file.exists()
    key_file.write_text(good.replace(good.split()[0], "other-name"))
    with pytest.raises(Misconfigured, match="lacks the key"):
        rotate_key(db, key_file)
    key_file.write_text(good)
    assert await all_there(store, values)
    assert os.listdir(key_file.parent).count("key") == 1


async def test_a_second_rotation_at_the_same_time_is_refused(open_embedded: Open, db: Path, key_file: Path) -> None:
    open_embedded()
    before = key_file.read_text()
    with rotating(key_file), pytest.raises(Misconfigured, match="another rotation is running"):
        rotate_key(db, key_file)
    assert key_file.read_text() == before


async def test_old_ciphertext_does_not_stay_in_the_log(open_embedded: Open, db: Path, key_file: Path) -> None:
    store = open_embedded()
    await store.write("/path", SecretValue(b"x" * 5000))
    connection = sqlite3.connect(db)
    ((sealed,),) = connection.execute("SELECT sealed FROM secrets").fetchall()
    connection.close()
    rotate_key(db, key_file)
    piece = sealed[100:164]
    assert not any(piece in file.read_bytes() for file in db.parent.iterdir())
