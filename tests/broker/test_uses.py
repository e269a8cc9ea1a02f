"""Who uses a secret: what holds its name in the cluster now, as people call it; what is not known is said."""

import asyncio
import base64

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker import config_files, uses
from broker.uses import KEEP_SECONDS, STALE_SECONDS, ClusterUses, NotKnown, Used, Workload
from broker.workloads import PATHS
from contract.plan import ContainerPlan, EnvDelivery, Plan, encode_plan
from service.kube import Kube
from tests.broker.world import Clock

FQN = "tfy-secret://acme:payments:DB"


class Cluster:
    """Lists of the API server, two objects a page. `refused`: paths that the broker may not list."""

    def __init__(self):
        self.objects = {path: [] for _, path in PATHS}
        self.config_maps = {}
        self.refused, self.asked, self.limits, self.gate, self.status = set(), [], [], None, 200

    async def __aenter__(self):
        app = web.Application()
        for path in self.objects:
            app.router.add_get(path, self._list)
        app.router.add_get("/api/v1/namespaces/{namespace}/configmaps/{name}", self._config_map)
        self._server = TestServer(app)
        await self._server.start_server()
        self.kube = Kube(str(self._server.make_url("")))
        return self

    async def __aexit__(self, *_):
        await self.kube.close()
        await self._server.close()

    async def _list(self, request):
        self.asked.append(request.path)
        self.limits.append(int(request.query["limit"]))
        if self.gate is not None:
            await self.gate.wait()
        if request.path in self.refused or self.status != 200:
            return web.json_response({"kind": "Status", "reason": "Forbidden"}, status=403 if self.status == 200 else self.status)
        items, start = self.objects[request.path], int(request.query.get("continue") or 0)
        size = min(2, self.limits[-1])
        following = str(start + size) if start + size < len(items) else ""
        metadata = {"resourceVersion": "7"} | ({"continue": following} if following else {})
        return web.json_response({"kind": "List", "metadata": metadata, "items": items[start : start + size]})

    async def _config_map(self, request):
        self.asked.append(request.path)
        if request.path in self.refused:
            return web.json_response({"kind": "Status", "reason": "Forbidden"}, status=403)
        found = self.config_maps.get((request.match_info["namespace"], request.match_info["name"]))
        return web.json_response({"kind": "Status", "reason": "NotFound"} if found is None else found, status=404 if found is None else 200)

    def add(self, kind, name, spec, namespace="shop", owner=None, labels=None, annotations=None, status=None):
        metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations, "uid": "1"}
        if owner:
            metadata["ownerReferences"] = [
                {"kind": "Other", "name": "x"},
                {"kind": owner[0], "name": owner[1], "controller": True, "apiVersion": "v1"},
            ]
        path = dict(PATHS)[kind]
        self.objects[path].append({"metadata": {k: v for k, v in metadata.items() if v is not None}, "spec": spec, "status": status or {}})


def pod(*values, init=(), **named):
    def containers(of):
        return [
            {"name": f"c{n}", "image": "i", "env": [{"name": "A", "value": v}, {"name": "B", "valueFrom": {}}]} for n, v in enumerate(of)
        ]

    return {"containers": containers(values) or [{"name": "c"}], "initContainers": containers(init), "nodeName": "n"} | named


def made_of(spec, annotations=None):
    return {"replicas": 0, "template": {"metadata": {"annotations": annotations or {}}, "spec": spec}}


@pytest.fixture
async def cluster():
    async with Cluster() as made:
        yield made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def looking(cluster, clock):
    made = ClusterUses(cluster.kube, "acme", clock, quick=5.0)
    yield made
    await made.close()


async def who(looking, key="DB", group="payments"):
    used = await looking.of_key(group, key)
    assert (used.missing, used.unsure) == (None, False)
    return [f"{w.kind} {w.namespace}/{w.name}" for w in used.of(key)]


@pytest.mark.parametrize(
    "value",
    [
        FQN, f"postgres://app:${{{FQN}}}@db", f"Bearer {FQN}", f"{FQN}?version=3&optional=true#user", "acme/aws/ssm::/tfy-secret/acme/payments/DB",
        f"${{tfy-secret://acme:search:INDEX}} and ${{{FQN}}}.",
    ],
)  # fmt: skip
async def test_every_spelling_of_a_name(cluster, looking, value):
    cluster.add("Deployment", "web", made_of(pod(value)))
    assert await who(looking) == ["Deployment shop/web"]


@pytest.mark.parametrize(
    "value",
    ["tfy-secret://acme:payments:DB_PASSWORD", "tfy-secret://other:payments:DB", "tfy-secret://acme:payments2:DB", "DB", "", "::/tfy-secret/acme/payments", "x" * 100_000],
    ids=["a-longer-key", "another-tenant", "another-group", "no-name", "empty", "no-key", "large"],
)  # fmt: skip
async def test_what_is_another_name(cluster, looking, value):
    cluster.add("Deployment", "web", made_of(pod(value)))
    assert await who(looking) == []


async def test_every_kind(cluster, looking):
    spec = made_of(pod(FQN))
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        cluster.add(kind, kind.lower(), spec)
    cluster.add("CronJob", "nightly", {"jobTemplate": {"spec": spec}})
    cluster.add("Pod", "alone", pod("x", init=(FQN,)))
    assert await who(looking) == [
        "CronJob shop/nightly", "DaemonSet shop/daemonset", "Deployment shop/deployment", "Job shop/job", "Pod shop/alone", "StatefulSet shop/statefulset",
    ]  # fmt: skip


async def test_the_plan_of_a_running_pod_and_annotations(cluster, looking):
    """What the webhook made of the names, slashes escaped; and files, whose names stand in an annotation."""
    plan = Plan("https://b", "ca", (ContainerPlan("app", "v", "envfile", (EnvDelivery("A", "env/A", ("", FQN, "")),)),))
    assert FQN not in encode_plan(plan)
    cluster.add("Pod", "planned", pod(init=(encode_plan(plan),)))
    cluster.add("Pod", "files", pod(), annotations={"tfy-secret.dev/files": f"- {{mount_path: /a, secret_fqn: {FQN}}}", "other/a": None})
    cluster.add("Deployment", "rendered", made_of(pod(), {"tfy-secret.dev/files": FQN}))
    cluster.add("Pod", "chatter", pod(), annotations={"example.com/notes": FQN})
    assert await who(looking) == ["Deployment shop/rendered", "Pod shop/files", "Pod shop/planned"]


def rendering(config_map, key="f"):
    entry = f"{{config_map: {config_map}, key: {key}, mount_path: /etc/f, format: yaml}}"
    return {"tfy-secret.dev/templates": f"- {entry}\n"}


async def test_config_files_hold_names_that_no_pod_does(cluster, looking):
    """A pod names the ConfigMap alone. Of it the key that is rendered counts, and one that is bytes; each is read once."""
    cluster.config_maps["shop", "gateway"] = {"data": {"f": f"api_key: ${{{FQN}}}", "other": "tfy-secret://acme:search:INDEX"}}
    cluster.config_maps["shop", "bytes"] = {"binaryData": {"f": base64.b64encode(b"\xff" + FQN.encode()).decode()}}
    cluster.config_maps["else", "gateway"] = {"data": {"f": "nothing"}}
    cluster.add("Deployment", "gateway", made_of(pod(), rendering("gateway")))
    cluster.add("Pod", "alone", pod(), annotations=rendering("bytes"))
    cluster.add("Pod", "same", pod(), annotations=rendering("gateway"))
    cluster.add("Pod", "elsewhere", pod(), namespace="else", annotations=rendering("gateway"))
    cluster.add("Pod", "no-map", pod(), annotations=rendering("absent"))
    cluster.add("Pod", "ended", pod(), annotations=rendering("gateway"), status={"phase": "Succeeded"})
    assert await who(looking) == ["Deployment shop/gateway", "Pod shop/alone", "Pod shop/same"]
    assert await who(looking, "INDEX", "search") == []
    assert cluster.asked.count("/api/v1/namespaces/shop/configmaps/gateway") == 1


@pytest.mark.parametrize(
    "annotation", ["", "- [", "a: b", "[1, {}, {config_map: ../../secrets/x, key: f}]", "[" * 5000, "x" * 70_000, "- {? [a] : b}"]
)
async def test_an_annotation_that_no_pod_is_admitted_with(cluster, looking, annotation):
    cluster.add("Pod", "odd", pod(), annotations={"tfy-secret.dev/templates": annotation})
    cluster.add("Pod", "good", pod(FQN))
    assert await who(looking) == ["Pod shop/good"]
    assert not [path for path in cluster.asked if "configmaps" in path or "secrets" in path]


async def test_without_the_right_to_read_config_files_it_says_so(cluster, looking):
    cluster.add("Pod", "good", pod(FQN), annotations=rendering("gateway"))
    cluster.refused.add("/api/v1/namespaces/shop/configmaps/gateway")
    used = await looking.of_key("payments", "DB")
    assert used == Used({"DB": (Workload("shop", "Pod", "good"),)}, uses.MAY_NOT_READ, unsure=True)


async def test_more_config_files_than_are_looked_into(cluster, looking, monkeypatch):
    monkeypatch.setattr(uses, "MAX_CONFIG_MAPS", 1)
    cluster.add("Pod", "one", pod(), annotations=rendering("one"))
    cluster.add("Pod", "two", pod(), annotations=rendering("two"))
    assert (await looking.of_group("payments")).missing == uses.NOT_ALL


async def test_a_pod_counts_as_what_made_it(cluster, looking):
    cluster.add("Deployment", "web", made_of(pod()))
    cluster.add("Job", "nightly-123", made_of(pod()), owner=("CronJob", "nightly"))
    cluster.add("Pod", "web-5d7-x", pod(FQN), owner=("ReplicaSet", "web-5d7"), labels={"pod-template-hash": "5d7"})
    cluster.add("Pod", "canary-9-x", pod(FQN), owner=("ReplicaSet", "canary-9"), labels={"pod-template-hash": "9"})
    cluster.add("Pod", "nightly-123-x", pod(FQN), owner=("Job", "nightly-123"))
    cluster.add("Pod", "db-0", pod(FQN), owner=("StatefulSet", "db"))
    assert await who(looking) == ["CronJob shop/nightly", "Deployment shop/web", "ReplicaSet shop/canary-9", "StatefulSet shop/db"]


async def test_what_has_ended_uses_nothing(cluster, looking):
    for phase in ("Succeeded", "Failed", "Running", "Pending"):
        cluster.add("Pod", phase.lower(), pod(FQN), status={"phase": phase})
    for type_, status in (("Complete", "True"), ("Failed", "True"), ("Suspended", "True"), ("Complete", "False")):
        cluster.add("Job", f"{type_}-{status}".lower(), made_of(pod(FQN)), status={"conditions": [{"type": type_, "status": status}]})
    assert await who(looking) == ["Job shop/complete-false", "Job shop/suspended-true", "Pod shop/pending", "Pod shop/running"]


async def test_one_workload_once_and_many_pages(cluster, looking):
    for n in range(7):
        cluster.add("Pod", f"p{n}", pod(FQN, FQN), namespace=f"n{n % 2}", owner=("DaemonSet", "agent"))
    assert await who(looking) == ["DaemonSet n0/agent", "DaemonSet n1/agent"]
    assert cluster.asked.count("/api/v1/pods") == 4


async def test_a_group_with_all_its_keys(cluster, looking):
    cluster.add("Deployment", "web", made_of(pod(FQN, "tfy-secret://acme:payments:STRIPE")))
    cluster.add("Deployment", "api", made_of(pod("tfy-secret://acme:payments:STRIPE")))
    used = await looking.of_group("payments")
    assert used.workloads() == (Workload("shop", "Deployment", "api"), Workload("shop", "Deployment", "web"))
    assert {key: len(found) for key, found in used.keys.items()} == {"DB": 1, "STRIPE": 2}
    assert (await looking.of_group("other")) == Used({})


async def test_it_is_looked_up_once_for_all_who_ask_and_kept_for_a_while(cluster, looking, clock):
    await asyncio.gather(*(looking.of_group("payments") for _ in range(10)))
    assert len(cluster.asked) == len(PATHS)
    clock.now += KEEP_SECONDS - 1
    await looking.of_group("payments")
    assert len(cluster.asked) == len(PATHS)
    clock.now += 1
    cluster.add("Deployment", "web", made_of(pod(FQN)))
    await looking.of_group("payments", fresh=True)
    assert await who(looking) == ["Deployment shop/web"]


async def test_a_page_does_not_wait_for_a_slow_cluster(cluster, clock):
    """First nothing is known; later what was known before is shown at once, while it is not too old."""
    looking = ClusterUses(cluster.kube, "acme", clock)
    cluster.gate = asyncio.Event()
    assert await looking.of_group("payments") == Used(missing=uses.NOT_YET, unsure=True)
    cluster.add("Deployment", "web", made_of(pod(FQN)))
    cluster.gate.set()
    await looking._task
    assert await who(looking) == ["Deployment shop/web"]
    cluster.gate.clear()
    clock.now += KEEP_SECONDS
    assert await who(looking) == ["Deployment shop/web"]
    assert not looking._task.done(), "a newer answer is on its way"
    clock.now += STALE_SECONDS
    assert (await looking.of_group("payments")).missing == uses.NOT_YET
    await looking.close()


async def test_before_a_deletion_it_is_looked_up_anew(cluster, clock):
    """What was known five minutes ago is no reason to delete; what cannot be known in time is said."""
    looking = ClusterUses(cluster.kube, "acme", clock)
    await looking.of_group("payments", fresh=True)
    cluster.add("Deployment", "web", made_of(pod(FQN)))
    clock.now += KEEP_SECONDS
    assert (await looking.of_key("payments", "DB", fresh=True)).of("DB") == (Workload("shop", "Deployment", "web"),)
    cluster.gate = asyncio.Event()
    clock.now += KEEP_SECONDS
    looking._patient = 0.2
    assert await looking.of_key("payments", "DB", fresh=True) == Used(missing=uses.NOT_YET, unsure=True)
    await looking.close()


async def test_without_the_right_it_says_which(cluster, looking):
    cluster.refused.add("/apis/batch/v1/jobs")
    assert await looking.of_key("payments", "DB") == Used(missing=uses.MAY_NOT, unsure=True)


async def test_an_api_server_that_fails(cluster, looking, clock):
    cluster.status = 500
    assert await looking.of_group("payments") == Used(missing=uses.FAILED, unsure=True)
    cluster.status = 200
    clock.now += KEEP_SECONDS
    await looking.of_group("payments", fresh=True)
    assert await who(looking) == []


@pytest.mark.parametrize("item", [{"metadata": {"name": 7}}, {"metadata": None}, {}, "x"], ids=["a-number", "null", "nothing", "text"])
async def test_an_answer_that_is_no_list_of_workloads(cluster, looking, item):
    cluster.objects["/api/v1/pods"].append(item)
    assert (await looking.of_group("payments")).missing == uses.FAILED


async def test_a_very_large_cluster_is_not_looked_at_whole(cluster, looking, monkeypatch):
    monkeypatch.setattr(uses, "MAX_OBJECTS", 2)
    for n in range(4):
        cluster.add("Deployment", f"d{n}", made_of(pod(FQN)))
    used = await looking.of_group("payments")
    assert (used.missing, used.unsure, len(used.workloads())) == (uses.NOT_ALL, True, 2)


async def test_large_objects_are_asked_for_a_few_at_a_time(cluster, looking, monkeypatch):
    monkeypatch.setattr(uses, "PAGE_BYTES", 3000)
    for n in range(3):
        cluster.add("Deployment", f"d{n}", made_of(pod(FQN, "x" * 2000)))
    used = await looking.of_group("payments")
    assert (used.missing, len(used.workloads())) == (None, 3)
    assert set(cluster.limits[:4]) == {500, 62, 7, 1}


async def test_an_object_that_is_larger_than_any_can_be(cluster, looking, monkeypatch):
    monkeypatch.setattr(uses, "PAGE_BYTES", 1000)
    cluster.add("Deployment", "d", made_of(pod(FQN, "x" * 2000)))
    assert (await looking.of_group("payments")).missing == uses.FAILED


@pytest.mark.parametrize("place", ["env", "config-file"])
async def test_more_names_than_are_remembered(cluster, looking, monkeypatch, place):
    monkeypatch.setattr(uses, "MAX_NAMES", 5)
    text = " ".join(f"{FQN}{n}" for n in range(10))
    cluster.config_maps["shop", "many"] = {"data": {"f": text}}
    cluster.add("Deployment", "a", made_of(pod(text)) if place == "env" else made_of(pod(), rendering("many")))
    cluster.add("Deployment", "b", made_of(pod(FQN)))
    used = await looking.of_group("payments")
    assert (used.missing, used.unsure) == (uses.NOT_ALL, True)


async def test_the_broker_has_time_for_others_between_long_annotations(cluster, looking, monkeypatch):
    """Each takes a tenth of a second, and whoever may create workloads chooses how many there are in a page."""
    turns, seen = [], []
    loop = asyncio.get_running_loop()

    def sources(annotation):
        seen.append(len(turns))
        loop.call_soon(turns.append, annotation)
        return frozenset()

    monkeypatch.setattr(uses, "sources", sources)
    for n in range(2):  # a page of this cluster
        cluster.add("Deployment", f"d{n}", made_of(pod(), {"tfy-secret.dev/templates": f"- {n}"}))
    await looking.of_group("payments")
    assert seen[:2] == [0, 1]


def test_a_long_annotation_is_not_remembered():
    before = config_files._sources.cache_info().currsize
    config_files.sources("- {config_map: a, key: b}\n" + "#" * config_files.REMEMBERED)
    assert config_files._sources.cache_info().currsize == before


async def test_off_a_cluster_it_is_not_known():
    """And no reason to ask before deleting: there is nothing to be asked about."""
    for used in (await NotKnown().of_group("payments"), await NotKnown().of_key("payments", "DB")):
        assert (used.workloads(), used.missing, used.unsure) == ((), uses.OFF_CLUSTER, False)
