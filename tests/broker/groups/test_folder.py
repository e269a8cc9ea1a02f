"""Groups in a folder of manifests: files that people edit at the same time, that cannot be written, that are links; nothing is lost."""

import asyncio
import json
import os
from datetime import UTC, datetime

import pytest
import yaml

from broker.errors import Conflict, InvalidRequest, Misconfigured, NotFound
from broker.groups import durable
from broker.groups.model import Collaborator, NewGroup
from contract.values import SecretValue
from tests.broker.world import ORIGIN, group, manifests, person, store

ADMIN, MAKER, EDITOR = person("admin"), person("maker"), person("editor")
VALUE = SecretValue(b"CANARY-value")
OWN = [Collaborator("user:admin", "secret-group-admin")]


@pytest.fixture
def world(make):
    return make(creators=frozenset({"user:maker"}))


def groups_in(world):
    found = {}
    for file in sorted(world.folder.glob("*.y*ml")):
        for document in yaml.safe_load_all(file.read_text()):
            if document and document["kind"] == "SecretGroup":
                found[document["metadata"]["name"]] = document["spec"]
    return found


async def test_a_new_group_is_a_file_of_its_own(world):
    view = await world.groups.create(MAKER, NewGroup("billing", "main", (), {"A": VALUE}), ORIGIN)
    file = world.folder / "secretgroup-billing.yaml"
    assert yaml.safe_load(file.read_text()) == {
        "apiVersion": "tfy-secret.dev/v1alpha1",
        "kind": "SecretGroup",
        "metadata": {"name": "billing"},
        "spec": {"store": "main", "keys": ["A"], "collaborators": [{"role": "secret-group-admin", "subject": "user:maker"}]},
    }
    assert (view.created_by, file.stat().st_mode & 0o777) == ("maker", 0o644)
    state = world.folder / ".secret-groups" / "billing.json"
    assert (json.loads(state.read_text()).keys(), state.stat().st_mode & 0o777) == ({"created", "created_by", "activity"}, 0o600)
    assert "CANARY" not in state.read_text() + file.read_text()
    await world.groups.delete_group(MAKER, "billing", ORIGIN)
    assert not file.exists()
    assert not state.exists()


@pytest.mark.parametrize("length", [224, 225, 253])
async def test_the_longest_name_has_files_too(world, length):
    """A file's name has at most 255 bytes, what is put around the group's among them."""
    name = "g" * length
    await world.groups.create(MAKER, NewGroup(name, "main", (), {"A": VALUE}), ORIGIN)
    await world.groups.create(MAKER, NewGroup(name[:-1] + "h", "main"), ORIGIN)
    assert set(groups_in(world)) >= {name, name[:-1] + "h"}
    assert (await world.groups.activity(MAKER, name, ORIGIN))[0].who == "maker"
    await world.groups.delete_group(MAKER, name, ORIGIN)
    assert name not in groups_in(world)


async def test_another_document_and_its_comments_are_never_lost(world):
    text = "# precious\n" + yaml.safe_dump_all([store("second", "acme/embedded/second"), group("one", ["A"], [("admin", "user:admin")])])
    text += "---\n# the other\n" + yaml.safe_dump(group("two", ["B"], [("admin", "user:admin")])) + "# the end\n"
    (world.folder / "more.yml").write_text(text)
    (world.folder / "more.yml").chmod(0o640)
    world.live.look()
    await world.groups.put_key(ADMIN, "one", "FRESH", VALUE, ORIGIN)
    after = (world.folder / "more.yml").read_text()
    assert after == text.replace("  - A\n", "  - A\n  - FRESH\n")
    assert (world.folder / "more.yml").stat().st_mode & 0o777 == 0o640
    await world.groups.delete_group(ADMIN, "one", ORIGIN)
    after = (world.folder / "more.yml").read_text()
    assert after.startswith("# precious\n")
    assert after.endswith(text[text.index("---\n# the other") :])
    assert set(world.catalog.stores) == {"main", "second"}


async def test_an_edit_by_hand_between_read_and_rename_is_kept(world, monkeypatch):
    """Somebody saves the file while we write ours: ours is made again from what they saved."""
    file = world.folder / "all.yaml"
    real, edits = durable.write, []

    def edited_meanwhile(path, content, seen, mode=0o644):
        if path == file and not edits:
            edits.append(1)
            documents = manifests()
            documents[1]["spec"]["keys"].append("BY_HAND")
            file.write_text("# by hand\n" + yaml.safe_dump_all(documents))
        real(path, content, seen, mode)

    monkeypatch.setattr(durable, "write", edited_meanwhile)
    await world.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert {"BY_HAND", "FRESH"} <= set(groups_in(world)["payments"]["keys"])
    assert file.read_text().startswith("# by hand\n")


async def test_an_edit_by_hand_is_a_conflict_for_who_saw_the_former_state(world):
    seen = await world.groups.get(ADMIN, "payments", ORIGIN)
    documents = manifests()
    documents[1]["spec"]["keys"].remove("STRIPE_KEY")
    (world.folder / "all.yaml").write_text(yaml.safe_dump_all(documents))
    with pytest.raises(Conflict) as caught:
        await world.groups.delete_key(ADMIN, "payments", "DB_PASSWORD", ORIGIN, expected=seen.version)
    assert caught.value.changes == ("key 'STRIPE_KEY' was deleted",)
    assert "DB_PASSWORD" in groups_in(world)["payments"]["keys"]


async def test_ten_writers_at_once(world):
    keys = [f"KEY_{n}" for n in range(10)]
    await asyncio.gather(*(world.groups.put_key(ADMIN, "payments", key, VALUE, ORIGIN) for key in keys))
    assert set(keys) <= set(groups_in(world)["payments"]["keys"])
    assert not [p for p in world.folder.rglob("*") if p.name.endswith(".tmp")]


async def test_what_is_written_is_seen_at_once(world):
    """Without waiting for the folder's watcher, which is not even started here."""
    await world.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert "FRESH" in world.catalog.groups["payments"].keys
    await world.groups.delete_group(ADMIN, "payments", ORIGIN)
    assert "payments" not in world.catalog.groups


async def test_a_file_that_goes_while_it_is_read(world, monkeypatch):
    """The group is not there any more: that is an answer, not a crash."""
    await world.groups.create(MAKER, NewGroup("billing", "main", (), {"A": VALUE}), ORIGIN)
    file = world.folder / "secretgroup-billing.yaml"
    held = world.parts.resources._held

    def gone(*arguments):
        file.unlink(missing_ok=True)
        return held(*arguments)

    monkeypatch.setattr(world.parts.resources, "_held", gone)
    with pytest.raises(NotFound):
        await world.groups.put_key(MAKER, "billing", "A", VALUE, ORIGIN)


async def test_a_file_in_the_middle_of_an_edit_by_hand(world):
    """It stays in force as it was, and is no base for a change."""
    file = world.folder / "all.yaml"
    file.write_text(file.read_text() + "\n--- {unfinished")
    world.live.look()
    assert (await world.groups.get(ADMIN, "payments", ORIGIN)).name == "payments"
    with pytest.raises(Misconfigured, match="its file cannot be read as it is now"):
        await world.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)


async def test_what_a_killed_writer_left_aside_goes_with_the_first_write(world):
    """By its name: files of others stay, also hidden ones."""
    state = world.folder / ".secret-groups"
    state.mkdir()
    left = [world.folder / ".all.yaml.0123abcd.tmp", state / ".payments.json.89abcdef.tmp"]
    others = [world.folder / ".notes.tmp", world.folder / "x.0123abcd.tmp", state / "x.json"]
    for file in (*left, *others):
        file.write_text("{}")
    await world.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert ([file.exists() for file in left], [file.exists() for file in others]) == ([False] * 2, [True] * 3)


async def test_a_link_is_not_written(world):
    """A ConfigMap's volume is made of links: writing one would part it from its source."""
    (world.folder / "real").mkdir()
    (world.folder / "all.yaml").rename(world.folder / "real" / "all.yaml")
    (world.folder / "all.yaml").symlink_to("real/all.yaml")
    with pytest.raises(Misconfigured, match="all.yaml: is a link, so it is not written. To fix:"):
        await world.groups.set_collaborators(ADMIN, "payments", OWN, ORIGIN)


async def test_a_folder_that_cannot_be_written(world, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(durable, "lock", refuse)
    with pytest.raises(Misconfigured, match=r"TFY_SECRET_MANIFESTS .*: cannot be written \(Permission denied\). To fix:"):
        await world.groups.set_collaborators(ADMIN, "payments", OWN, ORIGIN)
    assert (await world.groups.get(ADMIN, "payments", ORIGIN)).may


async def test_a_full_disk_leaves_the_file_as_it_was(world, monkeypatch):
    before = (world.folder / "all.yaml").read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Misconfigured, match="No space left"):
        await world.groups.set_collaborators(ADMIN, "payments", OWN, ORIGIN)
    assert (world.folder / "all.yaml").read_bytes() == before
    assert not [p for p in world.folder.rglob("*") if p.name.endswith(".tmp")]


async def test_a_name_that_two_files_claim(world):
    (world.folder / "twice.yaml").write_text(yaml.safe_dump(group("payments", [], [("admin", "user:admin")])))
    with pytest.raises(Misconfigured, match=r"defined 2 times \(all.yaml, twice.yaml\). To fix: keep one"):
        world.live.look()
        await world.parts.resources.read("payments")


async def test_a_file_that_cannot_be_changed_without_loss_is_left_alone(world):
    text = "apiVersion: tfy-secret.dev/v1alpha1\nkind: SecretGroup\nmetadata: {name: odd}\nspec:\n  store: main\n"
    text += "  keys: [A, # why\n    B]\n  collaborators: [{role: secret-group-admin, subject: user:admin}]\n"
    (world.folder / "odd.yaml").write_text(text)
    world.live.look()
    with pytest.raises(InvalidRequest, match="holds a comment inside brackets, which would be lost. To fix: change the file by hand"):
        await world.groups.put_key(ADMIN, "odd", "FRESH", VALUE, ORIGIN)
    assert (world.folder / "odd.yaml").read_text() == text
    assert not [path for path in world.store.values if "/odd/" in path], "nothing half-made either"


async def test_state_that_is_damaged_hides_nothing(world):
    await world.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    for content in (b"", b"[]", b"{", b'{"activity": 3, "pending": 4}'):
        (world.folder / ".secret-groups" / "payments.json").write_bytes(content)
        view = await world.groups.get(ADMIN, "payments", ORIGIN)
        assert "FRESH" in [key.key for key in view.keys]
        await world.groups.put_key(EDITOR, "payments", "DB_PASSWORD", VALUE, ORIGIN)


class Killed(BaseException):
    """Ends a change as a signal would: nothing is tidied up."""


@pytest.mark.parametrize("operation", ["new", "deleted"])
async def test_what_is_pending_is_on_the_disk_around_every_write_of_the_manifest(world, monkeypatch, operation):
    """Killed right before or after the manifest's rename: what has to be finished is still known."""
    real, folder = durable.write, world.folder
    for when in ("before", "after"):

        def killed(path, content, seen, mode=0o644, when=when):
            if path.suffix == ".yaml" and when == "before":
                raise Killed
            real(path, content, seen, mode)
            if path.suffix == ".yaml":
                raise Killed

        monkeypatch.setattr(durable, "write", killed)
        change = (
            world.groups.put_key(ADMIN, "payments", f"FRESH_{when}", VALUE, ORIGIN)
            if operation == "new"
            else world.groups.delete_key(ADMIN, "payments", "DB_PASSWORD" if when == "before" else "JSON", ORIGIN)
        )
        with pytest.raises(Killed):
            await change
        monkeypatch.setattr(durable, "write", real)
        pending = json.loads(json.loads((folder / ".secret-groups" / "payments.json").read_text())["pending"])
        assert [i["step"] for i in pending] == ["create" if operation == "new" else "delete"]
        world.live.look()
        world.parts.changes.pending._running.clear()
        assert await world.parts.repair.round() == 1
        keys = groups_in(world)["payments"]["keys"]
        if operation == "new":
            assert (f"FRESH_{when}" in keys, f"/tfy-secret/acme/payments/FRESH_{when}" in world.store.values) == (when == "after",) * 2
        else:
            assert ("DB_PASSWORD" in keys, "JSON" in keys) == (True, when == "before")
    assert len(world.store.values["/tfy-secret/acme/payments/DB_PASSWORD"]) == 2


async def test_a_group_made_by_hand_has_its_files_time(world):
    """In lists as in what is read for one; and keeps it, though what is done with the group moves the file's time."""
    file = world.folder / "all.yaml"
    os.utime(file, (1_700_000_000, 1_700_000_000))
    world.live.look()
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    assert {(v.created, v.updated) for v in (await world.groups.list(ADMIN, ORIGIN)).items} == {(at, at)}
    await world.groups.set_collaborators(ADMIN, "payments", OWN, ORIGIN)
    after = {v.name: v for v in (await world.groups.list(ADMIN, ORIGIN)).items}
    assert file.stat().st_mtime > 1_700_000_000
    assert after["payments"].created == (await world.groups.get(ADMIN, "payments", ORIGIN)).created == at
    assert after["payments"].updated > at


@pytest.mark.parametrize("length", [8, 253])
async def test_an_undo_of_any_groups_key_outlives_repairs(world, length):
    """What is kept of a group with a long name is in a file of a shorter one, and is not taken for a group's that is gone."""
    name = "g" * length
    await world.groups.create(MAKER, NewGroup(name, "main", (), {"A": VALUE}), ORIGIN)
    await world.groups.delete_key(MAKER, name, "A", ORIGIN, undo=True)
    assert await world.parts.repair.round() == 0
    assert list(world.parts.resources.pending()) == [name]
    assert [key.key for key in (await world.groups.undo_delete(MAKER, name, "A", ORIGIN)).keys] == ["A"]


async def test_what_a_later_version_left_in_the_folder_stays(world):
    state = world.folder / ".secret-groups" / "payments.json"
    state.parent.mkdir()
    newer = {"id": "n", "step": "rotate", "keys": ["STRIPE_KEY"]}
    state.write_text(json.dumps({"pending": json.dumps([newer])}))
    await world.groups.put_key(ADMIN, "payments", "FRESH", VALUE, ORIGIN)
    assert json.loads(json.loads(state.read_text())["pending"]) == [newer]
