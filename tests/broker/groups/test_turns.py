"""Two people save one value at the same moment, through two replicas: the second is told, or comes after; no one is overwritten unseen."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.errors import Conflict, NotFound, StoreFailed, Unsupported
from contract.values import SecretValue
from tests.broker.groups.conftest import until
from tests.broker.groups.test_changes import ADMIN, EDITOR, Now, leave, pending, spec
from tests.broker.world import FQN, ORIGIN, PATH, make_world

ROUNDS = 5  # of a race that the former code lost in each


def value(text):
    return SecretValue(text.encode())


async def put(replica, who, seen, text):
    await replica.groups.put_key(who, "payments", "DB_PASSWORD", value(text), ORIGIN, expected=seen)


async def update(replica, who, seen, text):
    keys = dict.fromkeys(("DB_PASSWORD", "STRIPE_KEY", "JSON", "NEVER_SET")) | {"DB_PASSWORD": value(text)}
    await replica.groups.update(who, "payments", keys, ORIGIN, expected=seen)


@pytest.mark.parametrize(
    ("save", "versions"),
    [
        pytest.param(put, True, id="value"),
        pytest.param(update, True, id="list"),
        pytest.param(put, False, id="value-no-versions"),
        pytest.param(update, False, id="list-no-versions"),
    ],
)
async def test_the_second_of_two_savers_is_told(cluster, save, versions):
    """Also where the store counts no versions: then the group's activity tells."""
    one, two = await cluster.replica(), await cluster.replica()
    if not versions:

        async def unsupported(path):
            raise Unsupported("no versions")

        cluster.store.versions = unsupported
        real = cluster.store.read

        async def read(path, version=None):
            return replace(await real(path, version), version=version)

        cluster.store.read = read
    for n in range(ROUNDS):
        before = len(cluster.store.values[PATH])
        seen = (await one.groups.get(ADMIN, "payments", ORIGIN)).version if save is update or not versions else str(before)
        outcomes = await asyncio.gather(save(one, ADMIN, seen, f"one-{n}"), save(two, EDITOR, seen, f"two-{n}"), return_exceptions=True)
        told = [outcome for outcome in outcomes if outcome is not None]
        assert [type(outcome) for outcome in told] == [Conflict], outcomes
        assert f"version {before + 1} of 'DB_PASSWORD' was saved by {'editor' if outcomes[0] else 'admin'}" in told[0].message
        assert len(cluster.store.values[PATH]) == before + 1
        await until(lambda: one.parts.index.held("payments").shown == two.parts.index.held("payments").shown)
    assert pending(cluster) == []


async def test_who_expects_nothing_comes_after_who_does(cluster, monkeypatch):
    """One that sends no version is the last writer, but not between another's look and save."""
    one, two = await cluster.replica(), await cluster.replica()
    real, read = cluster.store.write, two.parts.resources.read
    looks, waiting = [], []

    async def look(name):
        looks.append(name)
        return await read(name)

    async def write(path, given):
        if not waiting:
            waiting.append(asyncio.create_task(put(two, EDITOR, None, "second")))
            await until(lambda: len(looks) > 2 or len(cluster.store.values[PATH]) > 2)
        return await real(path, given)

    monkeypatch.setattr(two.parts.resources, "read", look)

    cluster.store.write = write
    await put(one, ADMIN, "2", "first")
    await waiting[0]
    assert cluster.store.values[PATH][2:] == [b"first", b"second"]


@pytest.mark.parametrize("keys", [["DB_PASSWORD"], []], ids=["key", "all"])
async def test_a_turn_that_a_killed_replica_left(cluster, keys):
    """It is waited for as long as its owner may be alive; then it is passed over, and repair removes it. No value goes."""
    now = Now()
    one = await cluster.replica(now=now)
    leave(cluster, {"step": "edit", "keys": keys}, {"step": "delete", "keys": ["OTHER"], "due": "2999-01-01T00:00:00+00:00"}, age=5)
    await until(lambda: one.parts.index.held("payments").pending)
    one.parts.changes.turns.wait_seconds = 0.0
    with pytest.raises(Conflict, match="values of secret group 'payments' are being saved by ann right now; try again in a moment"):
        await put(one, ADMIN, "2", "x")
    with pytest.raises(Conflict, match="is being saved by ann right now; try again in a moment"):
        await one.groups.delete_key(ADMIN, "payments", "DB_PASSWORD", ORIGIN)
    with pytest.raises(Conflict, match="is being saved by ann right now; try again in a moment"):
        await one.groups.delete_group(ADMIN, "payments", ORIGIN)
    assert await one.parts.repair.round() == 0
    now.moved = timedelta(minutes=2)
    await put(one, ADMIN, "2", "mine")
    assert [intent["step"] for intent in pending(cluster)] == ["delete"]
    leave(cluster, {"step": "edit", "keys": keys})
    await until(lambda: any(intent.id == "i0" and not intent.due for intent in one.parts.index.held("payments").pending))
    assert await one.parts.repair.round() == 1
    assert (pending(cluster), cluster.store.values[PATH][-1], spec(cluster)["keys"]) == ([], b"mine", ["DB_PASSWORD"])


async def test_a_key_is_not_deleted_while_it_is_saved(tmp_path):
    """Off-cluster too, where one broker keeps turns in memory: else the value would be there again, of a key that is not."""
    world = make_world(tmp_path)
    real, saving, go_on = world.store.write, asyncio.Event(), asyncio.Event()

    async def write(path, given):
        saving.set()
        await go_on.wait()
        return await real(path, given)

    world.store.write = write
    task = asyncio.create_task(world.groups.put_key(ADMIN, "payments", "DB_PASSWORD", value("new"), ORIGIN))
    await saving.wait()
    for deletion in (
        world.groups.delete_key(ADMIN, "payments", "DB_PASSWORD", ORIGIN),
        world.groups.delete_key(ADMIN, "payments", "DB_PASSWORD", ORIGIN, undo=True),
        world.groups.delete_group(ADMIN, "payments", ORIGIN),
    ):
        with pytest.raises(Conflict, match="key 'DB_PASSWORD' is being saved by admin right now; try again in a moment"):
            await deletion
    await world.groups.delete_key(ADMIN, "payments", "JSON", ORIGIN)
    go_on.set()
    assert (await task).fqn == FQN
    await world.groups.delete_key(ADMIN, "payments", "DB_PASSWORD", ORIGIN)
    assert PATH not in world.store.values
    await world.close()


async def test_a_save_that_fails_ends_its_turn(cluster):
    one, two = await cluster.replica(), await cluster.replica()
    real = cluster.store.write

    async def refuse(path, given):
        raise Unsupported("read-only")

    cluster.store.write = refuse
    with pytest.raises((StoreFailed, Unsupported)):
        await put(one, ADMIN, None, "x")
    assert pending(cluster) == []
    cluster.store.write = real
    await put(two, ADMIN, None, "y")


async def test_a_group_that_goes_while_a_value_is_saved(cluster):
    """With kubectl: no crash, and nothing that waits for it."""
    one = await cluster.replica()
    real = cluster.store.write

    async def write(path, given):
        cluster.api.remove("secretgroups", "payments")
        return await real(path, given)

    cluster.store.write = write
    await put(one, ADMIN, None, "x")
    with pytest.raises(NotFound):
        await one.parts.changes.pending.fresh("payments")
