import asyncio
from contextlib import asynccontextmanager

import pytest

from service.kube import Kube
from tests.service.apiserver import ApiServer, until
from service.nodes import FixedNodes, KubeletVersions, NodeRows, Nodes, parse_version

NODES = "/api/v1/nodes"


def node(name, version):
    return {"metadata": {"name": name}, "status": {"nodeInfo": {"kubeletVersion": version}}}


@asynccontextmanager
async def cluster(**versions):
    async with ApiServer() as api, Kube(api.url) as kube:
        api.objects[NODES] = {}
        for name, version in versions.items():
            api.put(NODES, node(name, version))
        nodes = Nodes(kube)
        await nodes.start()
        await until(lambda: nodes.synced and api.watchers)
        yield api, nodes
        await nodes.close()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.36.3", (1, 36)),
        ("v1.34.4-gke.100", (1, 34)),
        ("v1.35.0-eks-abc", (1, 35)),
        ("v1.36.0+k3s1", (1, 36)),
        ("1.35", (1, 35)),
        ("v2.0.0-alpha.1", (2, 0)),
        ("", (0, 0)),
        ("unknown", (0, 0)),
        ("v1", (0, 0)),
        ("v1.x", (0, 0)),
        ("v1.99999", (0, 0)),
    ],
)
def test_versions_as_distributions_write_them(text, version):
    """What cannot be read counts as the oldest."""
    assert parse_version(text) == version


async def test_the_lowest_kubelet_is_followed():
    """A node that joins, is upgraded or leaves changes the answer at once; the node is named."""
    async with cluster(a="v1.36.3", b="v1.36.1") as (api, nodes):
        assert nodes.lowest == (1, 36) and nodes.lowest_node == "a" and nodes.server == (1, 36)
        api.put(NODES, node("c", "v1.34.8-gke.1"))
        await until(lambda: nodes.lowest == (1, 34))
        assert nodes.lowest_node == "c"
        api.put(NODES, node("c", "v1.35.0"))
        await until(lambda: nodes.lowest == (1, 35))
        api.remove(NODES, "c")
        await until(lambda: nodes.lowest == (1, 36))


async def test_a_node_whose_version_cannot_be_read_is_the_oldest():
    async with cluster(a="v1.36.3", b="") as (_, nodes):
        assert nodes.lowest == (0, 0) and nodes.lowest_node == "b"


async def test_bookmarks_are_not_nodes():
    """The API server fills a bookmark's row with blanks, which would read as the oldest."""
    async with cluster(a="v1.36.3") as (api, nodes):
        api.bookmark()
        api.put(NODES, node("b", "v1.36.0"))
        await until(lambda: len(nodes._kubelets) == 2)
        assert nodes.lowest == (1, 36)


async def test_a_cluster_without_nodes_has_no_lowest():
    async with cluster() as (_, nodes):
        assert nodes.synced and nodes.lowest is None and nodes.lowest_node is None


async def test_the_api_servers_version_is_asked_again_after_a_reconnect():
    """An upgrade of the control plane ends the watch."""
    async with cluster(a="v1.34.0") as (api, nodes):
        api.git_version = "v1.37.0"
        api.end_watches()
        await until(lambda: nodes.server == (1, 37))


async def test_not_synced_before_both_are_known():
    async with ApiServer() as api, Kube(api.url) as kube:
        api.objects[NODES] = {}
        api.refuse("GET", NODES, 503)
        nodes = Nodes(kube)
        await nodes.start()
        await until(lambda: nodes.server)
        assert not nodes.synced
        await until(lambda: nodes.synced)
        await nodes.close()


async def test_only_table_rows_are_asked_for():
    """No object comes with a row: ten thousand nodes send heartbeats."""
    async with cluster(a="v1.36.3") as (api, _):
        assert all(query["includeObject"] == "None" for _, path, query in api.requests if path == NODES)


async def test_whole_nodes_are_read_where_tables_are_not_known(monkeypatch):
    """A list without rows must not pass for a cluster without nodes: `auto` would take envfile on old kubelets."""
    monkeypatch.setattr("tests.service.apiserver.TABLE", "never")
    monkeypatch.setattr("service.watch.PAGE", 2)
    async with cluster(a="v1.36.3", b="v1.36.3", c="v1.34.1") as (api, nodes):
        assert nodes.lowest == (1, 34) and nodes.lowest_node == "c" and len(nodes._kubelets) == 3
        api.bookmark()
        api.put(NODES, node("c", "v1.36.3"))
        await until(lambda: nodes.lowest == (1, 36))
        api.put(NODES, node("d", "v1.33.0"))
        await until(lambda: nodes.lowest == (1, 33))
        api.remove(NODES, "d")
        await until(lambda: nodes.lowest == (1, 36))


@pytest.mark.parametrize("body", [b'{"kind": "Status", "metadata": {}}', b'{"metadata": {}}', b'{"kind": "Pod", "metadata": {}}', b"{}"])
def test_what_are_no_nodes_is_not_read_as_none(body):
    """The watch begins again, and says so."""
    with pytest.raises(ValueError):
        NodeRows().page(body)


@pytest.mark.parametrize("body", [b'{"kind": "NodeList", "metadata": {}, "items": []}', b'{"kind": "Table", "metadata": {}, "rows": null}'])
def test_no_nodes(body):
    assert NodeRows().page(body).items == []


def test_ten_thousand_nodes_and_their_heartbeats_keep_little():
    """A heartbeat of a known version changes nothing; names are all that grows."""
    kubelets = KubeletVersions()
    for _ in range(2):
        for index in range(10_000):
            kubelets.put(f"node-{index}", parse_version("v1.36.3"))
    kubelets.put("old", (1, 33))
    assert len(kubelets) == 10_001 and kubelets.lowest == (1, 33) and len(kubelets._names) == 2
    kubelets.remove("old")
    kubelets.remove("never-there")
    assert kubelets.lowest == (1, 36) and len(kubelets._names) == 1


def test_the_lowest_node_is_searched_once_a_change(monkeypatch):
    """Every review in a mixed cluster names it; heartbeats are no change."""
    kubelets, searched = KubeletVersions(), []
    monkeypatch.setattr("service.nodes.min", lambda *names, **rest: searched.append(names) or min(*names, **rest), raising=False)
    for name in "cab":
        kubelets.put(name, (1, 34))
    assert kubelets.lowest_node == "a"
    before = len(searched)
    kubelets.put("a", (1, 34))
    kubelets.remove("never-there")
    assert [kubelets.lowest_node for _ in range(3)] == ["a"] * 3
    assert [names for names in searched[before:] if isinstance(names[0], set)] == []
    kubelets.remove("a")
    assert kubelets.lowest_node == "b"
    kubelets.put("z", (1, 33))
    assert kubelets.lowest_node == "z"
    kubelets.remove("z")
    kubelets.put("b", (1, 36))
    assert kubelets.lowest_node == "c"


@pytest.mark.parametrize("steps", range(6))
async def test_it_can_be_closed_at_any_moment(steps):
    """Also in a step between the watch's connecting and our waking from it: a cancellation must not be lost."""
    async with ApiServer() as api, Kube(api.url) as kube:
        api.objects[NODES] = {}
        nodes = Nodes(kube)
        await nodes.start()
        await until(lambda: nodes.synced and nodes._watch.stale_since is None and nodes._due._waiters)
        nodes._due.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        nodes._task.cancel()
        await asyncio.wait({nodes._task}, timeout=1)
        assert nodes._task.cancelled()
        await nodes.close()


async def test_off_cluster_the_setting_speaks_for_all():
    nodes = FixedNodes("1.36")
    await nodes.start()
    assert nodes.synced and nodes.lowest == nodes.server == (1, 36) and nodes.lowest_node is None
    await nodes.close()
