"""Groups as SecretGroup objects: what is done here shows there and the other way round; nobody's change is lost; others' fields stay."""

import asyncio
import json

import pytest

from broker.errors import Conflict, Denied, InvalidRequest, Malformed, Misconfigured, StoreFailed, Unavailable
from broker.groups.model import Collaborator, NewGroup
from contract.access import Action
from contract.keys import CREATED_BY, PENDING
from contract.values import SecretValue
from tests.broker.groups.conftest import until
from tests.broker.world import ORIGIN, PATH, group, person

ADMIN, EDITOR, MAKER = person("admin"), person("editor"), person("maker")
VALUE = SecretValue(b"CANARY-value")


def found(cluster, name="payments"):
    return cluster.api.objects["secretgroups"][name]


async def test_what_is_done_here_shows_there(cluster):
    one = await cluster.replica()
    await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert "FRESH" in found(cluster)["spec"]["keys"]
    assert PENDING not in found(cluster)["metadata"].get("annotations", {})
    await one.groups.delete_key(ADMIN, "payments", "FRESH", ORIGIN)
    assert "FRESH" not in found(cluster)["spec"]["keys"]
    assert "CANARY" not in json.dumps(cluster.api.objects)


async def test_what_is_done_there_shows_here(cluster):
    """Within a second, says the e2e suite; here: by itself."""
    one = await cluster.replica()
    cluster.api.put(group("payments", ["DB_PASSWORD", "ADDED"], [("viewer", "user:new")]))
    await until(lambda: one.groups.may(person("new"), Action.LIST, "payments"))
    view = await one.groups.get(person("new"), "payments", ORIGIN)
    assert [key.key for key in view.keys] == ["ADDED", "DB_PASSWORD"]


async def test_a_group_is_made_with_its_values(cluster):
    one, two = await cluster.replica(), await cluster.replica()
    people = (Collaborator("team:payments", "secret-group-viewer"),)
    view = await one.groups.create(MAKER, NewGroup("billing", "main", people, {"A": VALUE}), ORIGIN)
    made = found(cluster, "billing")
    assert made["metadata"]["annotations"] == {CREATED_BY: "maker"}
    assert made["spec"] == {
        "store": "main",
        "keys": ["A"],
        "collaborators": [
            {"role": "secret-group-admin", "subject": "user:maker"},
            {"role": "secret-group-viewer", "subject": "team:payments"},
        ],
    }
    assert (view.created_by, view.store_fqn) == ("maker", "acme/embedded/main")
    await until(lambda: "billing" in two.live.catalog.groups)
    with pytest.raises(Conflict, match="there is a secret group 'billing' already"):
        await two.groups.create(MAKER, NewGroup("billing", "main"), ORIGIN)
    await one.groups.delete_group(MAKER, "billing", ORIGIN)
    assert "billing" not in cluster.api.objects["secretgroups"]
    assert not [path for path in cluster.store.values if "billing" in path]


async def test_fields_of_others_stay(cluster):
    """A group that Argo CD wrote keeps its labels, annotations and fields that we do not know; and people are told who else writes it."""
    manifest = group("payments", ["DB_PASSWORD"], [("admin", "user:admin")])
    manifest["metadata"] |= {"labels": {"team": "x"}, "annotations": {"argocd.argoproj.io/tracking-id": "a"}, "finalizers": ["keep/me"]}
    cluster.api.put(manifest)
    one = await cluster.replica()
    await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    metadata = found(cluster)["metadata"]
    assert (metadata["labels"], metadata["annotations"]) == ({"team": "x"}, {"argocd.argoproj.io/tracking-id": "a"})
    assert metadata["finalizers"] == ["keep/me"]
    assert (await one.groups.get(ADMIN, "payments", ORIGIN)).managed_by == "Argo CD"


async def test_the_second_editor_is_told_what_changed_and_by_whom(cluster):
    one, two = await cluster.replica(), await cluster.replica()
    seen = await two.groups.get(ADMIN, "payments", ORIGIN)
    await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    await one.groups.set_collaborators(ADMIN, "payments", [Collaborator("user:admin", "secret-group-admin")], ORIGIN)
    with pytest.raises(Conflict) as caught:
        await two.groups.set_collaborators(ADMIN, "payments", seen.collaborators, ORIGIN, expected=seen.version)
    changes = "\n".join(caught.value.changes)
    assert "key 'FRESH' was added by admin at" in changes
    assert "user:editor is no longer secret-group-editor by admin at" in changes
    assert caught.value.version == (await one.groups.get(ADMIN, "payments", ORIGIN)).version
    assert [c["subject"] for c in found(cluster)["spec"]["collaborators"]] == ["user:admin"], "nothing was overwritten"


async def test_a_status_write_is_no_conflict_for_people(cluster):
    """Someone looks at a value between two looks at a form: the version that people hold stays."""
    one = await cluster.replica()
    seen = await one.groups.get(ADMIN, "payments", ORIGIN)
    await one.groups.reveal(EDITOR, "payments", "DB_PASSWORD", ORIGIN)
    await one.groups.delete_key(ADMIN, "payments", "STRIPE_KEY", ORIGIN, expected=seen.version)


async def test_twenty_editors_at_once_lose_nothing(cluster):
    """Two replicas, twenty keys, no version sent: every key is there afterwards, and each with its value."""
    replicas = [await cluster.replica(), await cluster.replica()]
    keys = [f"KEY_{n}" for n in range(20)]
    await asyncio.gather(*(replicas[n % 2].groups.put_key(ADMIN, "payments", key, VALUE, ORIGIN) for n, key in enumerate(keys)))
    assert set(keys) <= set(found(cluster)["spec"]["keys"])
    assert cluster.api.conflicts > 0
    assert PENDING not in found(cluster)["metadata"].get("annotations", {})


async def test_the_same_new_key_by_two_at_once(cluster):
    """One makes it. The other is told, or makes the next version; there is no third outcome."""
    one, two = await cluster.replica(), await cluster.replica()
    outcomes = await asyncio.gather(
        one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN, expected=""),
        two.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN, expected=""),
        return_exceptions=True,
    )
    assert sorted(type(o).__name__ for o in outcomes) == ["Conflict", "Written"]


async def test_expected_versions_of_a_value(cluster):
    one = await cluster.replica()
    await one.groups.put_key(EDITOR, "payments", "DB_PASSWORD", VALUE, ORIGIN, expected="2")
    with pytest.raises(Conflict) as caught:
        await one.groups.put_key(ADMIN, "payments", "DB_PASSWORD", VALUE, ORIGIN, expected="2")
    assert caught.value.changes == ("version 3 of 'DB_PASSWORD' was saved by editor",)
    assert len(cluster.store.values[PATH]) == 3


async def test_a_role_that_was_taken_a_moment_ago(cluster):
    """Our watch has not seen it yet: the write decides from what is there."""
    one = await cluster.replica()
    await one.live.close()
    cluster.api.put(group("payments", ["DB_PASSWORD"], [("admin", "user:other")]))
    with pytest.raises(Denied):
        await one.groups.put_key(EDITOR, "payments", "DB_PASSWORD", VALUE, ORIGIN)
    with pytest.raises(Denied):
        await one.groups.delete_key(ADMIN, "payments", "DB_PASSWORD", ORIGIN)
    assert len(cluster.store.values[PATH]) == 2


async def test_a_new_key_whose_answer_is_lost_is_there_or_not(cluster):
    """The last write arrives and its answer does not: the key is listed, and that is what the author is told."""
    one = await cluster.replica()
    writes = []

    def lose_the_last(method, name):
        writes.append(method)
        cluster.api.lost_answers = 1 if writes.count("PATCH") == 2 and method == "PATCH" else 0

    cluster.api.on_write = lose_the_last
    assert (await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)).version == "1"
    assert "FRESH" in found(cluster)["spec"]["keys"]


async def test_a_store_that_fails_leaves_no_half_made_key(cluster):
    one = await cluster.replica()
    before = json.dumps(found(cluster)["spec"])
    cluster.store.error = Malformed("damaged")
    with pytest.raises(StoreFailed, match="SecretStore main: damaged"):
        await one.groups.create(MAKER, NewGroup("billing", "main", (), {"A": VALUE}), ORIGIN)
    cluster.store.error = None
    real = cluster.store.write

    async def refuse(path, value):
        await real(path, value)
        raise Malformed("no answer that can be read")

    cluster.store.write = refuse
    with pytest.raises(StoreFailed):
        await one.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    with pytest.raises(StoreFailed):
        await one.groups.create(MAKER, NewGroup("billing", "main", (), {"A": VALUE}), ORIGIN)
    del cluster.store.write
    assert json.dumps(found(cluster)["spec"]) == before
    assert PENDING not in found(cluster)["metadata"].get("annotations", {})
    assert "billing" not in cluster.api.objects["secretgroups"]
    assert not [path for path in cluster.store.values if "FRESH" in path or "billing" in path]


async def test_activity_is_seen_by_every_replica_and_bounded(cluster):
    one, two = await cluster.replica(), await cluster.replica()
    for n in range(60):
        await (one, two)[n % 2].groups.put_key(EDITOR, "payments", "DB_PASSWORD", SecretValue(b"%d" % n), ORIGIN)
        await one.groups.reveal(ADMIN, "payments", "DB_PASSWORD", ORIGIN)
    found_here, found_there = await one.groups.activity(ADMIN, "payments", ORIGIN), await two.groups.activity(ADMIN, "payments", ORIGIN)
    assert found_here == found_there
    assert len(found_here) == 100
    assert (found_here[0].who, found_here[0].action, found_here[0].version, found_here[0].source) == ("admin", "reveal", "62", "127.0.0.1")
    versions = await two.groups.versions(EDITOR, "payments", "DB_PASSWORD", ORIGIN)
    assert (versions.items[0].author, versions.items[0].current, versions.items[-1].author) == ("editor", True, None)
    for who in (EDITOR, person("viewer"), person("consumer"), person("none")):
        with pytest.raises(Denied):
            await one.groups.activity(who, "payments", ORIGIN)


async def test_activity_that_cannot_be_written_hides_nothing(cluster, logs):
    """The audit log has it, and the change is done."""
    one = await cluster.replica()

    def refuse(method, name):
        if method == "STATUS":
            raise RuntimeError("CANARY")

    cluster.api.on_write = refuse
    await one.groups.reveal(ADMIN, "payments", "DB_PASSWORD", ORIGIN)
    assert "activity_not_written" in [event["event"] for event in logs]
    assert [json.loads(line)["action"] for line in one.audit_path.read_text().splitlines()] == ["reveal"]


@pytest.mark.parametrize(
    ("status", "reason", "error", "message"),
    [
        (
            403,
            "Forbidden",
            Misconfigured,
            "the broker may not change SecretGroups .403 Forbidden.. To fix: apply the installation's RBAC again",
        ),
        (500, "InternalError", Unavailable, "the Kubernetes API does not answer .InternalError."),
        (422, "Invalid", InvalidRequest, "Kubernetes refuses the SecretGroup: .*Invalid"),
        (418, "Teapot", Unavailable, "the Kubernetes API did not change the SecretGroup .418 Teapot."),
    ],
)
async def test_what_the_api_servers_refusals_mean(cluster, status, reason, error, message):
    one = await cluster.replica()
    cluster.api.on_write = lambda *_: cluster.api._status(status, reason)
    with pytest.raises(error, match=message):
        await one.groups.set_collaborators(ADMIN, "payments", [Collaborator("user:admin", "secret-group-admin")], ORIGIN)
