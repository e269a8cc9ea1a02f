"""Undo, repair by two replicas, slow authors: what is pending is finished once, by whoever may, and nobody finishes what was taken back."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from broker.errors import Conflict, Denied, InvalidRequest, Misconfigured, NotFound, StoreFailed, StoreRefused, Unavailable, Unsupported
from broker.groups import checks
from broker.groups.changes import UNDO_FOR
from broker.groups.model import Collaborator, NewGroup
from contract.keys import PENDING
from contract.values import SecretValue
from tests.broker.groups.conftest import until
from tests.broker.world import ORIGIN, PATH, group, person

ADMIN, EDITOR, MAKER = person("admin"), person("editor"), person("maker")
VALUE = SecretValue(b"CANARY-value")
FRESH = "/tfy-secret/acme/payments/FRESH"
STRIPE = "/tfy-secret/acme/payments/STRIPE_KEY"


class Now:
    """A clock that a test moves."""

    def __init__(self):
        self.moved = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.moved


def spec(cluster, name="payments"):
    return cluster.api.objects["secretgroups"][name]["spec"]


def pending(cluster, name="payments"):
    return json.loads(cluster.api.objects["secretgroups"][name]["metadata"].get("annotations", {}).get(PENDING, "[]"))


def leave(cluster, *intents, keys=("DB_PASSWORD",), age=3600):
    """As a broker that is gone left it."""
    made = group("payments", keys, [("admin", "user:admin")])
    at = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    found = [{"id": f"i{n}", "at": at, "by": "ann"} | intent for n, intent in enumerate(intents)]
    made["metadata"]["annotations"] = {PENDING: json.dumps(found)}
    cluster.api.put(made)


async def test_a_deletion_is_undone(cluster):
    one, two = await cluster.replica(), await cluster.replica()
    deleted = await one.groups.delete_key(EDITOR, "payments", "DB_PASSWORD", ORIGIN, undo=True)
    assert deleted.key == "DB_PASSWORD"
    assert "DB_PASSWORD" not in spec(cluster)["keys"]
    assert len(cluster.store.values[PATH]) == 2, "the value waits"
    await until(lambda: two.parts.index.held("payments").pending)
    view = await two.groups.get(ADMIN, "payments", ORIGIN)
    assert [(d.key, d.until, d.by) for d in view.deleted_keys] == [("DB_PASSWORD", deleted.until, "editor")]
    assert await two.parts.repair.round() == 0
    with pytest.raises(Denied):
        await two.groups.undo_delete(person("viewer"), "payments", "DB_PASSWORD", ORIGIN)
    view = await two.groups.undo_delete(ADMIN, "payments", "DB_PASSWORD", ORIGIN)
    assert "DB_PASSWORD" in [key.key for key in view.keys]
    assert (pending(cluster), view.deleted_keys) == ([], ())
    assert (await one.groups.reveal(ADMIN, "payments", "DB_PASSWORD", ORIGIN)).value.reveal() == b"new"


async def test_a_deletion_whose_time_is_over(cluster):
    now = Now()
    one, two = await cluster.replica(now=now), await cluster.replica(now=now)
    await one.groups.delete_key(EDITOR, "payments", "DB_PASSWORD", ORIGIN, undo=True)
    await until(lambda: two.parts.index.held("payments").pending)
    now.moved = UNDO_FOR + timedelta(seconds=61)
    with pytest.raises(NotFound, match="cannot be undone any more"):
        await one.groups.undo_delete(EDITOR, "payments", "DB_PASSWORD", ORIGIN)
    settled = await asyncio.gather(one.parts.repair.round(), two.parts.repair.round())
    assert sum(settled) >= 1
    assert PATH not in cluster.store.values
    assert pending(cluster) == []


async def test_a_key_comes_again_while_its_deletion_could_be_undone(cluster):
    """The old value goes first, so that nobody finds it among the new key's versions."""
    one = await cluster.replica()
    await one.groups.delete_key(EDITOR, "payments", "DB_PASSWORD", ORIGIN, undo=True)
    assert (await one.groups.put_key(ADMIN, "payments", "DB_PASSWORD", VALUE, ORIGIN)).created
    assert cluster.store.values[PATH] == [b"CANARY-value"]
    assert pending(cluster) == []


@pytest.mark.parametrize("age", [3600, 5])
async def test_repair_by_two_replicas_at_once(cluster, age):
    """Every kind of thing that a broker can leave; what is young may have an author and is left alone."""
    cluster.store.values |= {FRESH: [b"x"], STRIPE: [b"x"], "/tfy-secret/acme/payments/KEPT": [b"before"]}
    leave(
        cluster,
        {"step": "create", "keys": ["FRESH"]},
        {"step": "create", "keys": ["KEPT"], "kept": ["KEPT"]},
        {"step": "delete", "keys": ["STRIPE_KEY"]},
        {"step": "undo", "keys": ["NEVER"]},
        age=age,
    )
    replicas = [await cluster.replica(), await cluster.replica()]
    for _ in range(2):  # what one of two lost to the other, it finds done the next time
        await asyncio.gather(*(replica.parts.repair.round() for replica in replicas))
    if age < 60:
        assert len(pending(cluster)) == 4
        assert FRESH in cluster.store.values
        return
    assert pending(cluster) == []
    assert spec(cluster)["keys"] == ["DB_PASSWORD"]
    assert set(cluster.store.values) == {PATH, "/tfy-secret/acme/payments/KEPT"}


async def test_a_slow_author_cannot_finish_what_was_taken_back(cluster):
    now = Now()
    one, two = await cluster.replica(now=now), await cluster.replica(now=now)
    written, go = asyncio.Event(), asyncio.Event()
    real = cluster.store.write

    async def slow(path, value):
        made = await real(path, value)
        written.set()
        await go.wait()
        return made

    cluster.store.write = slow
    task = asyncio.create_task(one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN))
    await written.wait()
    await until(lambda: two.parts.index.held("payments").pending)
    with pytest.raises(Conflict, match="key 'FRESH' is being added by admin right now"):
        await two.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    now.moved = timedelta(seconds=61)
    assert await one.parts.repair.round() == 0, "it is its own"
    assert await two.parts.repair.round() == 1
    assert FRESH not in cluster.store.values
    go.set()
    with pytest.raises(Unavailable, match="took so long that it was taken back"):
        await task
    assert "FRESH" not in spec(cluster)["keys"]


async def test_a_store_that_is_down_keeps_a_deletion_pending(cluster):
    """The key is gone for everyone at once; its value goes when the store is back."""
    one = await cluster.replica()
    real = cluster.store.delete

    async def down(*_):
        raise Unavailable("no answer")

    cluster.store.delete = down
    with pytest.raises(StoreFailed, match="What was deleted cannot be used any more; the broker goes on trying"):
        await one.groups.delete_key(ADMIN, "payments", "DB_PASSWORD", ORIGIN)
    assert await one.groups.delete_key(ADMIN, "payments", "STRIPE_KEY", ORIGIN, force=True) is None
    assert not {"DB_PASSWORD", "STRIPE_KEY"} & set(spec(cluster)["keys"])
    one.parts.changes.pending.now = lambda: datetime.now(UTC) + timedelta(seconds=61)
    assert await one.parts.repair.round() == 0
    cluster.store.delete = real
    assert await one.parts.repair.round() == 2
    assert PATH not in cluster.store.values


@pytest.mark.parametrize("kind", [StoreRefused, Unsupported], ids=["no-right", "read-only"])
async def test_a_store_that_refuses_a_deletion_keeps_the_key(cluster, kind):
    one = await cluster.replica()

    async def refuse(*_):
        raise kind("no right to delete")

    cluster.store.delete = refuse
    cluster.store.values[STRIPE] = [b"x"]
    before = sorted(spec(cluster)["keys"])
    with pytest.raises(StoreFailed, match="no right to delete. Nothing is deleted"):
        await one.groups.delete_key(ADMIN, "payments", "DB_PASSWORD", ORIGIN)
    assert sorted(spec(cluster)["keys"]) == before
    with pytest.raises(StoreFailed, match="Nothing is deleted"):
        await one.groups.delete_group(ADMIN, "payments", ORIGIN)
    assert pending(cluster) == []
    assert set(spec(cluster)["keys"]) == {"DB_PASSWORD", "STRIPE_KEY"}, "those that have a value"
    await one.groups.delete_group(ADMIN, "payments", ORIGIN, force=True)
    assert "payments" not in cluster.api.objects["secretgroups"]
    lines = [json.loads(line) for line in one.audit_path.read_text().splitlines()]
    assert {(line["fqn"], line["code"]) for line in lines[-2:]} == {
        ("tfy-secret://acme:payments:DB_PASSWORD", kind.code),
        ("tfy-secret://acme:payments:STRIPE_KEY", kind.code),
    }


async def test_a_group_on_its_way_is_nobodys(cluster):
    """Neither listed nor found while its first values are written, nor while it is deleted."""
    one = await cluster.replica()
    go = asyncio.Event()
    real = cluster.store.write

    async def slow(path, value):
        await go.wait()
        return await real(path, value)

    cluster.store.write = slow
    task = asyncio.create_task(one.groups.create(MAKER, NewGroup("billing", "main", (), {"A": VALUE}), ORIGIN))
    await until(lambda: one.parts.index.held("billing"))
    assert (await one.groups.list(MAKER, ORIGIN)).total == 0
    with pytest.raises(Denied):
        await one.groups.get(MAKER, "billing", ORIGIN)
    with pytest.raises(Conflict, match="already"):
        await one.groups.create(MAKER, NewGroup("billing", "main"), ORIGIN)
    go.set()
    await task
    assert (await one.groups.list(MAKER, ORIGIN)).total == 1


async def test_a_store_that_is_gone(cluster):
    one = await cluster.replica()
    for change in (
        one.groups.put_key(ADMIN, "lost", "KEY", VALUE, ORIGIN),
        one.groups.put_key(ADMIN, "lost", "NEW", VALUE, ORIGIN),
        one.groups.update(ADMIN, "lost", {"KEY": VALUE}, ORIGIN),
    ):
        with pytest.raises(Misconfigured, match="SecretStore 'gone'"):
            await change
    assert (await one.groups.get(ADMIN, "lost", ORIGIN)).problems == ("SecretStore 'gone' does not exist or cannot be used",)


async def test_an_admin_must_stay(cluster):
    one = await cluster.replica()
    only_viewers = [Collaborator("user:viewer", "secret-group-viewer")]
    with pytest.raises(InvalidRequest, match="nobody would be secret-group-admin"):
        await one.groups.set_collaborators(ADMIN, "payments", only_viewers, ORIGIN)
    view = await one.groups.set_collaborators(ADMIN, "payments", only_viewers, ORIGIN, keep_admins=True)
    assert [(c.subject, c.role) for c in view.collaborators] == [
        ("user:admin", "secret-group-admin"),
        ("user:viewer", "secret-group-viewer"),
    ]
    assert (await one.groups.activity(ADMIN, "payments", ORIGIN))[0].detail.startswith("user:editor is no longer secret-group-editor")


async def test_restoring_shows_nothing(cluster):
    one = await cluster.replica()
    made = await one.groups.restore_version(EDITOR, "payments", "DB_PASSWORD", "1", ORIGIN)
    assert (made.version, cluster.store.values[PATH]) == ("3", [b"old", b"new", b"old"])
    assert "old" not in repr(made)
    with pytest.raises(NotFound):
        await one.groups.restore_version(EDITOR, "payments", "DB_PASSWORD", "77", ORIGIN)
    with pytest.raises(Denied):
        await one.groups.restore_version(person("viewer"), "payments", "DB_PASSWORD", "1", ORIGIN)
    assert (await one.groups.activity(ADMIN, "payments", ORIGIN))[0].detail == "from version 1"


@pytest.mark.parametrize("text", ["no json", "[1]", '[{"id": 1}]', "[" * 5000, '{"a": 1}'])
async def test_what_is_pending_and_not_ours_is_left_out(cluster, text, logs):
    made = group("payments", ["DB_PASSWORD"], [("admin", "user:admin")])
    made["metadata"]["annotations"] = {PENDING: text}
    cluster.api.put(made)
    one = await cluster.replica()
    assert [key.key for key in (await one.groups.get(ADMIN, "payments", ORIGIN)).keys] == ["DB_PASSWORD"]
    assert "pending_unreadable" in [event["event"] for event in logs]


async def test_stores_and_their_health(cluster):
    one = await cluster.replica()
    (seen,) = await one.groups.stores(MAKER, ORIGIN)
    assert (seen.name, seen.healthy, seen.may_create) == ("main", True, True)
    (seen,) = await one.groups.stores(person("viewer"), ORIGIN)
    assert (seen.name, seen.may_create, seen.problem) == ("main", False, None)
    assert await one.groups.stores(person("none"), ORIGIN) == ()


async def test_what_is_wrong_with_a_store_is_told_to_those_who_may_act(cluster):
    async def refused():
        raise StoreRefused("SecretStore main: no rights")

    cluster.store.healthy = refused
    one = await cluster.replica()
    (seen,) = await one.groups.stores(MAKER, ORIGIN)
    assert (seen.healthy, seen.problem) == (
        False,
        "SecretStore main: no rights. Who acts: whoever gives the broker its rights in the store",
    )
    (seen,) = await one.groups.stores(person("viewer"), ORIGIN)
    assert (seen.healthy, seen.problem) == (False, None)


async def test_a_deletion_that_waits_for_its_store_can_be_forced(cluster):
    """By those who might have deleted the group, also while another broker still tries; for everyone else it is gone."""
    one, two = await cluster.replica(), await cluster.replica()
    delete = cluster.store.delete
    tried = asyncio.Event()

    async def down(path, version=None):
        tried.set()
        raise Unavailable("SecretStore main: does not answer")

    cluster.store.delete = down
    with pytest.raises(StoreFailed, match="cannot be used any more"):
        await one.groups.delete_group(ADMIN, "payments", ORIGIN)
    await until(lambda: two.parts.index.held("payments").half_made)
    for replica in (one, two):
        with pytest.raises(Denied):
            await replica.groups.get(ADMIN, "payments", ORIGIN)
        with pytest.raises(Denied):
            await replica.groups.delete_group(EDITOR, "payments", ORIGIN, force=True)
    with pytest.raises(StoreFailed):
        await two.groups.delete_group(ADMIN, "payments", ORIGIN)
    await two.groups.delete_group(ADMIN, "payments", ORIGIN, force=True)
    assert "payments" not in cluster.api.objects["secretgroups"]
    last = [json.loads(line) for line in two.audit_path.read_text().splitlines()][-1]
    assert (last["event"], last["action"], last["code"]) == ("result", "delete", "unavailable")
    cluster.store.delete = delete


async def test_a_store_that_finds_nothing_where_it_should_write_has_failed(cluster):
    """404 is what the caller may know of a key; what is wrong with the store's address is not about the key."""
    one = await cluster.replica()

    async def nowhere(path, value):
        raise NotFound("SecretStore main: no such mount")

    cluster.store.write = nowhere
    with pytest.raises(StoreFailed, match="no such mount"):
        await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert ("FRESH" in spec(cluster)["keys"], pending(cluster)) == (False, [])


async def test_a_value_that_was_saved_on_another_replica_is_a_conflict(cluster):
    one, two = await cluster.replica(), await cluster.replica()
    looked = await one.groups.get(EDITOR, "payments", ORIGIN)
    secrets = dict.fromkeys((key.key for key in looked.keys), None)
    made = await one.groups.update(EDITOR, "payments", secrets | {"DB_PASSWORD": VALUE}, ORIGIN, expected=looked.version)
    with pytest.raises(Conflict, match="version 3 of 'DB_PASSWORD' was saved by editor"):
        await two.groups.update(ADMIN, "payments", secrets | {"DB_PASSWORD": SecretValue(b"x")}, ORIGIN, expected=looked.version)
    await two.groups.update(ADMIN, "payments", secrets | {"DB_PASSWORD": SecretValue(b"x")}, ORIGIN, expected=made.version)
    assert cluster.store.values[PATH] == [b"old", b"new", VALUE.reveal(), b"x"]


async def test_an_author_that_finishes_while_it_is_taken_back(cluster):
    """Repair makes the change its own before it deletes a value: its author cannot list a key whose value is on its way out."""
    now = Now()
    one, two = await cluster.replica(now=now), await cluster.replica(now=now)
    written, go = asyncio.Event(), asyncio.Event()
    write, delete = cluster.store.write, cluster.store.delete

    async def slow(path, value):
        made = await write(path, value)
        written.set()
        await go.wait()
        return made

    async def meanwhile(path, version=None):
        cluster.store.delete = delete
        go.set()
        await asyncio.wait([task])
        await delete(path, version)

    cluster.store.write, cluster.store.delete = slow, meanwhile
    task = asyncio.create_task(one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN))
    await written.wait()
    await until(lambda: two.parts.index.held("payments").pending)
    now.moved = timedelta(seconds=61)
    await two.parts.repair.round()
    assert isinstance(task.exception(), Unavailable)
    assert ("FRESH" in spec(cluster)["keys"], FRESH in cluster.store.values, pending(cluster)) == (False, False, [])


async def test_an_undo_while_the_value_is_on_its_way_out(cluster):
    now = Now()
    one, two = await cluster.replica(now=now), await cluster.replica()
    delete, outcomes = cluster.store.delete, []
    await one.groups.delete_key(EDITOR, "payments", "DB_PASSWORD", ORIGIN, undo=True)

    async def meanwhile(path, version=None):
        outcomes.extend(await asyncio.gather(two.groups.undo_delete(EDITOR, "payments", "DB_PASSWORD", ORIGIN), return_exceptions=True))
        await delete(path, version)

    cluster.store.delete = meanwhile
    now.moved = UNDO_FOR + timedelta(seconds=61)  # by the clock of the one that repairs; the other's still has ten minutes
    await one.parts.repair.round()
    assert [type(outcome) for outcome in outcomes] == [NotFound]
    assert "DB_PASSWORD" not in spec(cluster)["keys"]


async def test_a_full_group_is_replaced_whole_and_never_overfull(cluster, monkeypatch):
    """As many keys as a group takes: all may be others at once, and one that was deleted comes back when there is room."""
    monkeypatch.setattr(checks, "MAX_KEYS", 8)
    one = await cluster.replica()
    await one.groups.update(ADMIN, "payments", {f"A{n}": VALUE for n in range(8)}, ORIGIN)
    view = await one.groups.update(ADMIN, "payments", {f"B{n}": VALUE for n in range(8)}, ORIGIN)
    assert (len(view.keys), pending(cluster)) == (8, [])
    await one.groups.delete_key(ADMIN, "payments", "B7", ORIGIN, undo=True)
    await one.groups.put_key(ADMIN, "payments", "C", VALUE, ORIGIN)
    with pytest.raises(InvalidRequest, match="the group would have 9 keys; allowed: at most 8"):
        await one.groups.undo_delete(ADMIN, "payments", "B7", ORIGIN)
    await one.groups.delete_key(ADMIN, "payments", "C", ORIGIN)
    assert len((await one.groups.undo_delete(ADMIN, "payments", "B7", ORIGIN)).keys) == 8


async def test_what_stays_of_an_update_that_fails_is_in_the_trail(cluster):
    """One value is saved, another is not: the audit log and the group's admins learn which, and so does who edits next."""
    one = await cluster.replica()
    real = cluster.store.write

    async def write(path, value):
        if path != PATH:
            raise StoreRefused("no right to this one")
        return await real(path, value)

    cluster.store.write = write
    seen = await one.groups.get(ADMIN, "payments", ORIGIN)
    keys = {"DB_PASSWORD": VALUE, "STRIPE_KEY": VALUE, "JSON": None, "NEVER_SET": None, "FRESH": VALUE}
    with pytest.raises(StoreFailed):
        await one.groups.update(ADMIN, "payments", keys, ORIGIN)
    (entry,) = await one.groups.activity(ADMIN, "payments", ORIGIN)
    assert (entry.who, entry.action, entry.key, entry.version) == ("admin", "edit", "DB_PASSWORD", "3")
    lines = [json.loads(line) for line in one.audit_path.read_text().splitlines()]
    results = {line["fqn"].rpartition(":")[2]: (line["code"], line.get("version")) for line in lines if line["event"] == "result"}
    assert results["DB_PASSWORD"] == ("ok", "3")
    assert results["STRIPE_KEY"][0] == results["FRESH"][0] != "ok"
    with pytest.raises(Conflict, match="version 3 of 'DB_PASSWORD' was saved by admin"):
        await one.groups.update(ADMIN, "payments", keys | {"DB_PASSWORD": SecretValue(b"mine")}, ORIGIN, expected=seen.version)
