"""ConfigMaps that a pod takes its environment from: a reference there is refused, anything else is the kubelet's."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.kube import Kube
from tests.webhook.pods import CLUSTER, KEY, Json, app, container, env, injected, pod, template, templates
from tests.webhook.reviews import review
from webhook.admission import Admission
from webhook.configmaps import ConfigMaps, sources_of
from webhook.metrics import Metrics
from webhook.pod import POD, REVIEW, PodSpec

DATA: dict[str, Any] = {
    "plain": {"data": {"A": "1", "URL": "http://h", "CPP": "std::vector"}},
    "held": {"data": {"A": "1", "DB": f"x {KEY}"}},
    "store": {"data": {"OWN": "acme/aws/ssm-prod::/own/shop/smtp"}},
    "broken": {"data": {"DB": "tfy-secret://acme"}},
    "binary": {"binaryData": {"X": "AA=="}},
    "odd": [],
    "gateway": {"data": {"config.yaml": f"a: {KEY}\nb: tfy-secret://acme:search:INDEX_KEY\n", "good": f"a: {KEY}\n"}},
}


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    asked: list[str] = []

    async def get(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        asked.append(name)
        if name == "forbidden":
            return web.json_response({"kind": "Status", "reason": "Forbidden", "message": "no"}, status=403)
        if name not in DATA:
            return web.json_response({"kind": "Status", "reason": "NotFound", "message": "no"}, status=404)
        return web.json_response(DATA[name])

    server = TestServer(web.Application())
    server.app.router.add_get("/api/v1/namespaces/shop/configmaps/{name}", get)
    await server.start_server()
    client = Kube(str(server.make_url("")), timeout=5)
    client.asked = asked  # type: ignore[attr-defined]
    yield client
    await client.close()
    await server.close()


async def answered(kube: Kube, manifest: Json) -> Json:
    """The webhook's answer to the review of a pod."""

    admission = Admission(lambda: CLUSTER, list, Metrics(lambda: None), None, ConfigMaps(kube))
    response: Json = json.loads(await admission.review(json.dumps(review(manifest)).encode()))["response"]
    return response


def from_all(name: str, **fields: Any) -> Json:
    return pod(container(envFrom=[{"configMapRef": {"name": name}}, {"secretRef": {"name": "s"}}], **fields))


def from_key(name: str, key: str) -> Json:
    return pod(container(env=env(V={"configMapKeyRef": {"name": name, "key": key}})))


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(from_all("plain"), id="plain-values"),
        pytest.param(from_key("held", "A"), id="another-key-holds-it"),
        pytest.param(from_all("missing"), id="not-there"),
        pytest.param(from_key("plain", "NONE"), id="key-not-there"),
        pytest.param(from_all("binary"), id="no-data"),
        pytest.param(from_all("odd"), id="not-an-object"),
        pytest.param(from_all("../secrets/x"), id="no-name-of-a-config-map"),
        pytest.param(pod(container(envFrom=[{"secretRef": {"name": "s"}}, {}, {"configMapRef": {}}])), id="no-config-map"),
        pytest.param(pod(container(envFrom=None)), id="null"),
    ],
)
async def test_pods_that_start(kube: Kube, manifest: Json) -> None:
    answer = await answered(kube, manifest)
    assert answer["allowed"] is True
    assert "patch" not in answer
    assert "warnings" not in answer


@pytest.mark.parametrize(
    ("manifest", "place", "key", "instead"),
    [
        pytest.param(from_all("held"), "envFrom[0]", "DB", "{name: DB, value: ...}, which wins over envFrom", id="all-keys"),
        pytest.param(from_key("held", "DB"), "env[V]", "DB", "{name: V, value: ...}, instead of valueFrom", id="one-key"),
        pytest.param(from_all("store"), "envFrom[0]", "OWN", "{name: OWN, value: ...}, which wins over envFrom", id="a-stores-path"),
        pytest.param(from_all("broken"), "envFrom[0]", "DB", "{name: DB, value: ...}, which wins over envFrom", id="malformed"),
        pytest.param(
            pod(container(envFrom=[{"prefix": "P_", "configMapRef": {"name": "held"}}], env=env(DB="x"))),
            "envFrom[0]",
            "DB",
            "{name: P_DB, value: ...}, which wins over envFrom",
            id="with-a-prefix",
        ),
        pytest.param(
            from_all("held", env=env(DB=f"{KEY}?optional=true")), "envFrom[0]", "DB", "{name: DB, value: ...}", id="an-optional-one-instead"
        ),
    ],
)
async def test_a_reference_is_refused(kube: Kube, manifest: Json, place: str, key: str, instead: str) -> None:
    """The app would get a name; the message says where it stands and what to write instead."""
    answer = await answered(kube, manifest)
    assert answer["allowed"] is False
    assert answer["status"]["message"].startswith(f"spec.containers[app].{place}: found a reference in key '{key}' of ConfigMap '")
    assert instead in answer["status"]["message"]


@pytest.mark.parametrize("prefix", ["", "P_"])
async def test_what_env_says_wins(kube: Kube, prefix: str) -> None:
    """The way out that the message names: the kubelet takes what `env` says, so nothing of the ConfigMap's reference is seen."""
    source = [{"prefix": prefix, "configMapRef": {"name": "held"}}]
    assert (await answered(kube, pod(container(envFrom=source, env=env(**{f"{prefix}DB": "plain"})))))["allowed"] is True
    manifest = pod(container(envFrom=source, env=env(**{f"{prefix}DB": KEY})))
    assert (await answered(kube, manifest))["allowed"] is True
    assert (await answered(kube, injected(manifest)))["allowed"] is True


async def test_init_containers_too(kube: Kube) -> None:
    manifest = pod(container(), initContainers=[container("first", envFrom=[{"configMapRef": {"name": "held"}}])])
    assert "spec.initContainers[first].envFrom[0]" in (await answered(kube, manifest))["status"]["message"]


async def test_what_cannot_be_read_is_a_warning(kube: Kube) -> None:
    """What it holds is not known; the pod's own references are delivered all the same."""
    answer = await answered(kube, from_all("forbidden", env=env(A=KEY)))
    assert answer["allowed"] is True
    assert "patch" in answer
    assert answer["warnings"] == [
        "spec.containers[app].envFrom[0]: ConfigMap 'forbidden' could not be read; a reference in it would reach the app as a name"
    ]


@pytest.mark.parametrize("name", ["../secrets/x", "held?x=", "held%2f..", "held#", "Held", "", ".", "a" * 254])
async def test_a_name_that_none_can_have_is_not_asked_for(kube: Kube, name: str) -> None:
    """In a path it could lead to another resource, with the webhook's own rights."""
    findings = await ConfigMaps(kube).look(POD.decode(json.dumps(from_all(name)).encode()), "shop", CLUSTER)
    held = await ConfigMaps(kube).look(POD.decode(json.dumps(from_all("held")).encode()), name, CLUSTER)
    assert (findings.problems, findings.warnings, held.problems, held.warnings) == ([], [], [], [])
    assert kube.asked == []  # type: ignore[attr-defined]


async def test_no_call_without_such_a_source(kube: Kube) -> None:
    """The pods that need none cost nothing; several uses of one ConfigMap are one call."""
    await answered(kube, app(A=KEY))
    await answered(kube, pod(container(), labels={"tfy-secret.dev/inject": "disabled"}))
    opted_out = from_all("held") | {"metadata": {"labels": {"tfy-secret.dev/inject": "disabled"}}}
    assert (await answered(kube, opted_out))["allowed"] is True
    assert kube.asked == []  # type: ignore[attr-defined]
    twice = pod(container(envFrom=[{"configMapRef": {"name": "plain"}}] * 2), container("b", envFrom=[{"configMapRef": {"name": "plain"}}]))
    await answered(kube, twice)
    assert kube.asked == ["plain"]  # type: ignore[attr-defined]


async def test_a_pod_that_is_refused_anyway_costs_no_call(kube: Kube) -> None:
    answer = await answered(kube, from_all("held", env=env(A="tfy-secret://acme")))
    assert answer["allowed"] is False
    assert kube.asked == []  # type: ignore[attr-defined]


async def test_config_files_are_looked_into(kube: Kube) -> None:
    """Refused for what a role is missing for, as if it stood in the pod; with one that may, the pod is injected."""
    answer = await answered(kube, pod(container(), annotations=templates(template())))
    assert (answer["allowed"], answer["status"]["code"]) == (False, 403)
    assert answer["status"]["message"].startswith(
        "metadata.annotations[tfy-secret.dev/templates][0] (ConfigMap 'gateway', key 'config.yaml'), line 2, column 4: "
        "found 'tfy-secret://acme:search:INDEX_KEY', denied for service account shop/web; allowed: a role in group 'search'."
    )
    answer = await answered(kube, pod(container(), annotations=templates(template(key="good"))))
    assert (answer["allowed"], "patch" in answer, "warnings" in answer) == (True, True, False)


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("missing", "the ConfigMap was not found; the pod waits for it"),
        ("forbidden", "it could not be read; its references are checked when"),
    ],
)
async def test_a_config_map_that_is_not_known_stops_nothing(kube: Kube, name: str, warning: str) -> None:
    answer = await answered(kube, pod(container(), annotations=templates(template(config_map=name))))
    assert (answer["allowed"], "patch" in answer) == (True, True)
    assert warning in answer["warnings"][0]


async def test_a_pod_that_opted_out_is_not_looked_into(kube: Kube) -> None:
    out = pod(container(), annotations=templates(template()), labels={"tfy-secret.dev/inject": "disabled"})
    assert (await answered(kube, out))["allowed"] is True
    assert kube.asked == []  # type: ignore[attr-defined]


def test_sources_are_found_in_order() -> None:
    spec = REVIEW.decode(
        json.dumps(review(from_all("plain", env=env(V={"configMapKeyRef": {"name": "held", "key": "A"}})))).encode()
    ).request.object.spec
    assert [(s.place, s.config_map, s.key) for s in sources_of(spec or PodSpec())] == [
        ("spec.containers[app].envFrom[0]", "plain", None),
        ("spec.containers[app].env[V]", "held", "A"),
    ]
