import json
import os

import pytest
import yaml

from contract.catalog import GROUP, STORE
from service.catalog import ApiCatalog, FolderCatalog, open_catalog
from service.kube import Kube
from tests.service.apiserver import ApiServer, until

STORES = "/apis/tfy-secret.dev/v1alpha1/secretstores"
GROUPS = "/apis/tfy-secret.dev/v1alpha1/secretgroups"


def store(name="local"):
    return manifest(STORE, name, {"fqn": f"acme/embedded/{name}", "provider": {"embedded": {}}})


def group(name="payments", keys=("DB_PASSWORD",)):
    return manifest(GROUP, name, {"store": "local", "keys": list(keys)})


def manifest(kind, name, spec):
    return {"apiVersion": "tfy-secret.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def write(path, *documents):
    path.write_text("---\n".join(yaml.safe_dump(document) for document in documents))


def settled(live):
    """Two looks: the second sees a file that did not change any more."""
    live._look(settle=True)
    live._look(settle=True)


@pytest.fixture
async def folder(tmp_path):
    """A function that opens the folder as it is; looks are made by the tests."""
    opened = []

    async def start():
        live = FolderCatalog("acme", tmp_path, every=3600)
        await live.start()
        opened.append(live)
        return live

    yield tmp_path, start
    for live in opened:
        await live.close()


async def test_from_the_api_a_change_is_seen_at_once():
    """Listed, then followed; each change calls back; the catalog stays the same object."""
    async with ApiServer() as api, Kube(api.url) as kube:
        api.put(STORES, store())
        api.put(GROUPS, group())
        live, calls = open_catalog("acme", None, kube), []
        catalog = live.catalog
        live.on_change(lambda: calls.append(len(live.catalog.groups)))
        async with live:
            await until(lambda: live.synced and len(api.watchers) == 2)
            assert catalog.groups["payments"].keys == ("DB_PASSWORD",) and "acme/embedded/local" in catalog.stores_by_fqn
            api.put(GROUPS, group(keys=("DB_PASSWORD", "STRIPE_KEY")))
            await until(lambda: catalog.groups["payments"].keys == ("DB_PASSWORD", "STRIPE_KEY"))
            api.remove(GROUPS, "payments")
            await until(lambda: not catalog.groups)
            assert live.catalog is catalog and calls[-1] == 0


async def test_from_the_api_a_new_list_forgets_what_is_gone():
    async with ApiServer() as api, Kube(api.url) as kube:
        api.put(STORES, store())
        api.put(GROUPS, group("one"))
        api.put(GROUPS, group("two"))
        async with ApiCatalog("acme", kube) as live:
            await until(lambda: live.synced and len(api.watchers) == 2)
            del api.objects[GROUPS]["one"]
            api.version = api.oldest = api.version + 10
            api.end_watches()
            await until(lambda: set(live.catalog.groups) == {"two"})


async def test_from_the_api_an_unusable_object_is_a_problem_until_it_is_mended():
    async with ApiServer() as api, Kube(api.url) as kube:
        api.put(STORES, store())
        api.put(GROUPS, manifest(GROUP, "payments", {"store": 7}))
        async with ApiCatalog("acme", kube) as live:
            await until(lambda: live.synced and len(api.watchers) == 2)
            assert (GROUP, "payments") in live.catalog.problems
            api.put(GROUPS, group())
            await until(lambda: "payments" in live.catalog.groups and not live.catalog.problems)


async def test_without_the_crds_it_is_not_synced_and_keeps_trying():
    async with ApiServer() as api, Kube(api.url) as kube:
        api.put(STORES, store())
        api.missing.add(GROUPS)
        async with ApiCatalog("acme", kube) as live:
            await until(lambda: len(api.calls("GET", GROUPS)) >= 2)
            assert not live.synced
            api.missing.clear()
            api.put(GROUPS, group())
            await until(lambda: live.synced)


def test_one_source_is_needed():
    with pytest.raises(ValueError, match="is needed"):
        open_catalog("acme", None, None)


async def test_a_folder_is_read_in_all_its_forms(folder):
    """Several documents, Lists, JSON, both suffixes; other kinds, other API groups and other files are not ours."""
    path, start = folder
    write(path / "a.yaml", store(), {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}}, None, group("one"))
    (path / "b.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [group("two"), {"kind": "Secret"}]}))
    write(path / "c.yml", group("three"), {"apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": {"name": "theirs"}})
    write(path / "d.txt", group("four"))
    (path / "sub").mkdir()
    write(path / "sub" / "e.yaml", group("five"))
    live = await start()
    assert live.synced and set(live.catalog.groups) == {"one", "two", "three"} and set(live.catalog.stores) == {"local"}
    assert not live.catalog.problems


async def test_a_folder_is_followed(folder):
    """Changed, new and removed files act; callbacks run once a look that changed something."""
    path, start = folder
    write(path / "a.yaml", group("one"))
    live, calls = await start(), []
    live.on_change(lambda: calls.append(1))
    write(path / "a.yaml", group("one", keys=("A", "B")))
    write(path / "b.yaml", group("two"))
    settled(live)
    assert live.catalog.groups["one"].keys == ("A", "B") and "two" in live.catalog.groups and len(calls) == 1
    (path / "a.yaml").unlink()
    settled(live)
    assert set(live.catalog.groups) == {"two"} and len(calls) == 2
    settled(live)
    assert len(calls) == 2


async def test_the_folder_is_looked_at_by_itself(tmp_path):
    async with FolderCatalog("acme", tmp_path, every=0.01) as live:
        assert live.synced and not live.catalog.groups
        write(tmp_path / "a.yaml", group("one"))
        await until(lambda: "one" in live.catalog.groups)


async def test_half_a_write_is_not_taken_for_the_whole(folder):
    """A file is read when two looks saw it the same: an editor empties a file before it fills it."""
    path, start = folder
    write(path / "a.yaml", group("one"))
    live = await start()
    (path / "a.yaml").write_text("")
    live._look(settle=True)
    assert "one" in live.catalog.groups
    write(path / "a.yaml", group("two"))
    settled(live)
    assert set(live.catalog.groups) == {"two"}


async def test_a_file_that_is_replaced_by_way_of_nothing_does_not_flicker(folder):
    """Some tools remove a file and write it again."""
    path, start = folder
    write(path / "a.yaml", group("one"))
    live = await start()
    (path / "a.yaml").unlink()
    live._look(settle=True)
    assert "one" in live.catalog.groups
    write(path / "a.yaml", group("one", keys=("B",)))
    settled(live)
    assert live.catalog.groups["one"].keys == ("B",)


BROKEN = {
    "syntax": (b"a: 1\nb: [canary\nc: 2\n", 3),
    "a-tag": (b"a: 1\nb: !!python/object/apply:os.system [canary]\n", 2),
    "an-alias": (b"a: *canary\n", 1),
    "a-tab": (b"a:\n\tcanary: 1\n", 2),
    "not-utf-8": (b"a: \xff\xfe canary\n", None),
    "a-control-character": (b"a: \x01 canary\n", None),
    "no-date": (b"a: 2024-13-45\nb: canary\n", None),
    "too-deep": (b"a: 1\nb:\n" + b"[" * 200_000, 3),
    "no-metadata": (b"kind: SecretGroup\nmetadata: canary\n", None),
    "too-large": (b"# canary\n" * 600_000, None),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_file_is_told_and_its_last_content_stays(folder, broken, capsys):
    """File and line, never content; the other files are followed on."""
    path, start = folder
    write(path / "a.yaml", group("one"))
    live = await start()
    content, line = BROKEN[broken]
    (path / "a.yaml").write_bytes(content)
    write(path / "b.yaml", group("two"))
    settled(live)
    settled(live)
    assert set(live.catalog.groups) == {"one", "two"}
    logged = capsys.readouterr().out
    assert logged.count("manifest_broken") == 1 and "a.yaml" in logged and "canary" not in logged
    assert line is None or f"line={line}" in logged
    write(path / "a.yaml", group("three"))
    settled(live)
    assert set(live.catalog.groups) == {"two", "three"}


async def test_a_configmap_volume_is_read_and_its_swap_seen(folder):
    """The kubelet points `..data` at a new folder; the files are links through it."""
    path, start = folder
    for stamp, keys in (("..1", ("A",)), ("..2", ("B",))):
        (path / stamp).mkdir()
        write(path / stamp / "groups.yaml", group("one", keys=keys))
    (path / "..data").symlink_to("..1")
    (path / "groups.yaml").symlink_to("..data/groups.yaml")
    live = await start()
    assert live.catalog.groups["one"].keys == ("A",)
    (path / "..tmp").symlink_to("..2")
    os.rename(path / "..tmp", path / "..data")
    settled(live)
    assert live.catalog.groups["one"].keys == ("B",)


async def test_links_out_of_the_folder_are_not_followed(folder, tmp_path_factory):
    path, start = folder
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere / "x.yaml", group("theirs"))
    (path / "a.yaml").symlink_to(elsewhere / "x.yaml")
    (path / "b.yaml").symlink_to(path / "nowhere.yaml")
    (path / "c.yaml").symlink_to("c.yaml")
    live = await start()
    assert live.synced and not live.catalog.groups


async def test_a_name_that_two_files_claim_is_used_by_neither(folder):
    """Either could be the wrong one; the problem names both, and goes with the second."""
    path, start = folder
    write(path / "a.yaml", group("one"), store())
    write(path / "b.yaml", group("one", keys=("X",)), store())
    live = await start()
    assert not live.catalog.groups and not live.catalog.stores
    assert live.catalog.problems == {
        (GROUP, "one"): ("metadata.name: SecretGroup 'one' is defined 2 times (in a.yaml, b.yaml); keep one",),
        (STORE, "local"): ("metadata.name: SecretStore 'local' is defined 2 times (in a.yaml, b.yaml); keep one",),
    }
    (path / "b.yaml").unlink()
    settled(live)
    assert set(live.catalog.groups) == {"one"} and set(live.catalog.stores) == {"local"} and not live.catalog.problems


async def test_a_folder_that_is_not_there_is_not_synced_until_it_is(tmp_path, capsys):
    live = FolderCatalog("acme", tmp_path / "later", every=3600)
    await live.start()
    live._look(settle=True)
    assert not live.synced and capsys.readouterr().out.count("manifests_unreadable") == 1
    (tmp_path / "later").mkdir()
    write(tmp_path / "later" / "a.yaml", group("one"))
    settled(live)
    assert live.synced and set(live.catalog.groups) == {"one"}
    await live.close()


async def test_a_folder_that_vanishes_leaves_what_was_known(folder):
    path, start = folder
    write(path / "a.yaml", group("one"))
    live = await start()
    os.rename(path, path.with_name("gone"))
    settled(live)
    assert set(live.catalog.groups) == {"one"}
    os.rename(path.with_name("gone"), path)
