"""Deletions that a store refuses when nobody waits for them any more: the key is not lost, other keys do not wait, and nothing is tried for ever."""

from datetime import timedelta

import pytest

from broker.errors import Misconfigured, StoreFailed, StoreRefused, Unavailable, Unsupported
from broker.groups.changes import UNDO_FOR
from tests.broker.groups.conftest import until
from tests.broker.groups.test_changes import ADMIN, EDITOR, FRESH, MAKER, STRIPE, VALUE, Now, leave, pending, spec
from tests.broker.world import ORIGIN, PATH, store

LATE = UNDO_FOR + timedelta(seconds=61)
REFUSALS = pytest.mark.parametrize("kind", [StoreRefused, Unsupported], ids=["no-right", "read-only"])


class Deletes:
    """What the store does with deletions: `errors` by path, else its own; `asked` is what it was asked for."""

    def __init__(self, memory):
        self.errors, self.asked, self._real = {}, [], memory.delete
        memory.delete = self

    async def __call__(self, path, version=None):
        self.asked.append(path)
        if path in self.errors:
            raise self.errors[path]
        await self._real(path, version)


@REFUSALS
async def test_the_key_comes_back_when_its_time_is_over(cluster, kind, logs):
    """As after a deletion that somebody waited for; and the group's admins see why."""
    now = Now()
    one = await cluster.replica(now=now)
    deletes = Deletes(cluster.store)
    deletes.errors[PATH] = kind("no right to delete")
    await one.groups.delete_key(EDITOR, "payments", "DB_PASSWORD", ORIGIN, undo=True)
    await until(lambda: one.parts.index.held("payments").pending)
    now.moved = LATE
    assert await one.parts.repair.round() == 1
    assert "DB_PASSWORD" in spec(cluster)["keys"]
    assert pending(cluster) == []
    newest = (await one.groups.activity(ADMIN, "payments", ORIGIN))[0]
    assert (newest.action, newest.key, newest.who) == ("not-deleted", "DB_PASSWORD", "editor")
    await until(lambda: not one.parts.index.held("payments").pending)
    assert await one.parts.repair.round() == 0
    assert deletes.asked == [PATH], "once"


async def test_a_store_that_was_down_and_then_refuses(cluster):
    """It is still known that the deletion could be undone when another round meets the refusal."""
    now = Now()
    one = await cluster.replica(now=now)
    deletes = Deletes(cluster.store)
    deletes.errors[PATH] = Unavailable("no answer")
    await one.groups.delete_key(EDITOR, "payments", "DB_PASSWORD", ORIGIN, undo=True)
    await until(lambda: one.parts.index.held("payments").pending)
    now.moved = LATE
    assert await one.parts.repair.round() == 0
    deletes.errors[PATH] = StoreRefused("no right to delete")
    now.moved = LATE * 2
    assert await one.parts.repair.round() == 1
    assert "DB_PASSWORD" in spec(cluster)["keys"]


async def test_one_that_fails_keeps_no_other_waiting(cluster):
    now = Now()
    one = await cluster.replica(now=now)
    cluster.store.values[STRIPE] = [b"x"]
    deletes = Deletes(cluster.store)
    deletes.errors[PATH] = Misconfigured("a file is missing")
    leave(cluster, *({"step": "delete", "keys": [key]} for key in ("DB_PASSWORD", "STRIPE_KEY")), keys=())
    await until(lambda: len(one.parts.index.held("payments").pending) == 2)
    assert await one.parts.repair.round() == 1
    assert STRIPE not in cluster.store.values
    assert [found["keys"] for found in pending(cluster)] == [["DB_PASSWORD"]]


async def test_what_keeps_failing_is_tried_less_and_less_often(cluster):
    """A store is not asked for the same in vain every ten seconds."""
    one = await cluster.replica()
    deletes = Deletes(cluster.store)
    deletes.errors[PATH] = StoreRefused("no right to delete")
    leave(cluster, {"step": "delete", "keys": ["DB_PASSWORD"]}, keys=())
    await until(lambda: one.parts.index.held("payments").pending)
    for _ in range(16):
        assert await one.parts.repair.round() == 0
    assert len(deletes.asked) == 5, "in rounds 1, 2, 4, 8, 16"
    assert "DB_PASSWORD" not in spec(cluster)["keys"], "its author was told that nobody can use it"
    deletes.errors.clear()
    while PATH in cluster.store.values:
        await one.parts.repair.round()
    assert pending(cluster) == []


@pytest.mark.parametrize("whole", [False, True], ids=["a-key", "the-group"])
async def test_what_a_read_only_store_can_never_do_is_given_up(cluster, whole):
    one = await cluster.replica()
    Deletes(cluster.store).errors[PATH] = Unsupported("read-only")
    leave(cluster, {"step": "delete", "keys": ["DB_PASSWORD"], "whole": whole}, keys=())
    await until(lambda: one.parts.index.held("payments").pending)
    assert await one.parts.repair.round() == 1
    assert PATH in cluster.store.values
    if whole:
        assert "payments" not in cluster.api.objects["secretgroups"]
    else:
        assert (pending(cluster), spec(cluster)["keys"]) == ([], [])


@REFUSALS
async def test_a_key_comes_again_although_its_old_value_cannot_be_deleted(cluster, kind):
    """Nor does a half-made key stand in the way of its second try."""
    one = await cluster.replica()
    Deletes(cluster.store).errors |= dict.fromkeys((PATH, FRESH), kind("no right to delete"))
    cluster.store.values[FRESH] = [b"half"]
    await one.groups.delete_key(EDITOR, "payments", "DB_PASSWORD", ORIGIN, undo=True)
    await one.groups.put_key(ADMIN, "payments", "DB_PASSWORD", VALUE, ORIGIN)
    assert "DB_PASSWORD" in spec(cluster)["keys"]
    leave(cluster, {"step": "undo", "keys": ["FRESH"]})
    await until(lambda: one.parts.index.held("payments").pending)
    await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert (pending(cluster), cluster.store.values[FRESH][-1]) == ([], VALUE.reveal())


async def test_stores_that_share_an_fqn_are_not_shown_as_well(cluster):
    """No group can be made there and no path be named: who could make one is told why."""
    one = await cluster.replica()
    cluster.api.put(store("twin"))
    await until(lambda: len(one.live.catalog.stores) == 2)
    for seen in await one.groups.stores(MAKER, ORIGIN):
        assert (seen.healthy, seen.may_create) == (False, False)
        assert seen.problem == "spec.fqn: 'acme/embedded/main' is given by several SecretStores (main, twin); give each its own"
    assert [seen.problem for seen in await one.groups.stores(ADMIN, ORIGIN)] == [None]


async def test_a_store_that_never_deletes_says_so_at_once(cluster):
    """No undo is offered for what will not be done."""
    one = await cluster.replica()
    cluster.api.put(store(provider={"truefoundry": {"baseUrl": "https://tfy.example", "tokenFile": "/run/token"}}))
    await until(lambda: one.live.catalog.stores["main"].provider == "truefoundry")
    Deletes(cluster.store).errors[PATH] = Unsupported("this store is read-only")
    with pytest.raises(StoreFailed, match="this store is read-only. Nothing is deleted"):
        await one.groups.delete_key(EDITOR, "payments", "DB_PASSWORD", ORIGIN, undo=True)
    assert "DB_PASSWORD" in spec(cluster)["keys"]
    assert pending(cluster) == []
