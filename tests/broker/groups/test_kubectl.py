"""Somebody edits a SecretGroup with kubectl in the middle of a change, or what is pending in it: nothing is lost, nothing of others goes."""

import json
from datetime import UTC, datetime

import pytest

from broker.errors import Conflict, NotFound
from broker.groups.intents import MAX_BYTES
from broker.groups.model import NewGroup
from contract.keys import PENDING
from tests.broker.groups.conftest import until
from tests.broker.groups.test_changes import ADMIN, FRESH, MAKER, STRIPE, VALUE, leave, pending, spec
from tests.broker.world import ORIGIN, PATH, group

INDEX = "/tfy-secret/acme/search/INDEX"
NEWER = {"step": "rotate", "keys": ["DB_PASSWORD"], "more": {"of": "a later version"}}
OWN = [("admin", "user:admin")]


def once_written(cluster, then):
    """Do it when a value has come to the store, before its key is listed."""
    real = cluster.store.write

    async def write(path, value):
        made = await real(path, value)
        then()
        return made

    cluster.store.write = write


async def test_a_group_that_goes_before_its_new_key_is_listed(cluster):
    one = await cluster.replica()
    once_written(cluster, lambda: cluster.api.remove("secretgroups", "payments"))
    with pytest.raises(NotFound, match="there is no secret group 'payments' any more"):
        await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert FRESH not in cluster.store.values


async def test_a_new_group_that_goes_at_once(cluster):
    one = await cluster.replica()
    once_written(cluster, lambda: "billing" in cluster.api.objects["secretgroups"] and cluster.api.remove("secretgroups", "billing"))
    with pytest.raises(NotFound):
        await one.groups.create(MAKER, NewGroup("billing", "main", (), {"A": VALUE, "B": VALUE}), ORIGIN)
    assert not [path for path in cluster.store.values if "billing" in path]


async def test_a_group_that_moves_before_its_new_key_is_listed(cluster):
    """Its value would be in a store that the group has no more: it is not listed, and what its new store has stays."""
    one = await cluster.replica()

    def move():
        moved = dict(cluster.api.objects["secretgroups"]["payments"])
        cluster.api.put(moved | {"spec": moved["spec"] | {"store": "elsewhere"}})

    once_written(cluster, move)
    with pytest.raises(Conflict, match="the group's store is 'elsewhere', not 'main' since you looked"):
        await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert (pending(cluster), "FRESH" in spec(cluster)["keys"], FRESH in cluster.store.values) == ([], False, False)


async def test_a_key_that_is_listed_by_hand_while_it_comes(cluster):
    one = await cluster.replica()

    def listed():
        there = dict(cluster.api.objects["secretgroups"]["payments"])
        cluster.api.put(there | {"spec": there["spec"] | {"keys": [*there["spec"]["keys"], "FRESH"]}})

    once_written(cluster, listed)
    assert (await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)).version == "1"
    assert (pending(cluster), spec(cluster)["keys"].count("FRESH")) == ([], 1)


async def test_what_a_later_version_wrote_stays(cluster):
    """Its entry is beside ours, is not carried out, and is there after changes, deletions and repairs of this version."""
    one = await cluster.replica()
    leave(cluster, NEWER, {"step": "delete", "keys": ["GONE"]}, keys=["DB_PASSWORD", "STRIPE_KEY"])
    await until(lambda: one.parts.index.held("payments").foreign)
    await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    await one.groups.delete_key(ADMIN, "payments", "STRIPE_KEY", ORIGIN)
    assert await one.parts.repair.round() == 1
    (left,) = pending(cluster)
    assert left.items() >= NEWER.items()
    assert set(spec(cluster)["keys"]) == {"DB_PASSWORD", "FRESH"}


@pytest.mark.parametrize("key", ["../search/INDEX", "a/../../search/INDEX", "", "..", 7, None, "%2e%2e/search/INDEX"])
async def test_pending_by_hand_reaches_no_other_group(cluster, key):
    """Who may edit one group alone could name the values of others."""
    cluster.store.values[INDEX] = [b"theirs"]
    deleted = []
    real = cluster.store.delete

    async def delete(path, version=None):
        deleted.append(path)
        await real(path, version)

    cluster.store.delete = delete
    one = await cluster.replica()
    leave(cluster, {"step": "delete", "keys": [key]}, {"step": "undo", "keys": ["X", key]}, {"step": "delete", "keys": "STRIPE_KEY"})
    await until(lambda: one.parts.index.held("payments").foreign)
    assert await one.parts.repair.round() == 0
    await one.groups.delete_group(ADMIN, "payments", ORIGIN)
    assert set(deleted) <= {PATH}
    assert cluster.store.values[INDEX] == [b"theirs"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 250_000, id="long"),
        pytest.param(json.dumps([{"id": "x" * 200_000}]), id="long-entry"),
        pytest.param('[{"a":' * 900 + "1" + "}]" * 900, id="deep"),
        pytest.param(json.dumps([{"id": "a", "step": "delete", "keys": [], "at": 5, "by": None}]), id="types"),
        pytest.param(
            json.dumps([{"id": "a", "step": "delete", "keys": ["A"], "at": "9999-12-31T23:59:59-14:00", "by": "b"}]), id="far-off"
        ),
    ],
)
async def test_garbage_stops_nobody(cluster, text):
    one = await cluster.replica()
    made = group("payments", ["DB_PASSWORD"], OWN)
    made["metadata"]["annotations"] = {PENDING: text}
    cluster.api.put(made)
    await until(lambda: one.parts.index.held("payments").keys == ("DB_PASSWORD",))
    await one.parts.repair.round()
    await one.groups.put_key(ADMIN, "payments", "A", VALUE, ORIGIN)
    await one.groups.put_key(ADMIN, "payments", "DB_PASSWORD", VALUE, ORIGIN)
    assert set(spec(cluster)["keys"]) == {"DB_PASSWORD", "A"}
    assert len(cluster.api.objects["secretgroups"]["payments"]["metadata"].get("annotations", {}).get(PENDING, "")) <= MAX_BYTES
    await one.groups.delete_group(ADMIN, "payments", ORIGIN)


async def test_a_clock_that_was_ahead_blocks_no_key(cluster):
    one = await cluster.replica()
    leave(cluster, {"step": "create", "keys": ["STRIPE_KEY"], "at": datetime(2999, 1, 1, tzinfo=UTC).isoformat()})
    cluster.store.values[STRIPE] = [b"half-made"]
    await until(lambda: one.parts.index.held("payments").pending)
    assert await one.parts.repair.round() == 1
    assert (pending(cluster), STRIPE in cluster.store.values) == ([], False)
