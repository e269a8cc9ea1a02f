"""Pods as they come: arrays that are missing, null or empty; fields that this program has never heard of."""

from itertools import product

import pytest

from tests.webhook.pods import KEY, Json, app, container, env, file, files, injected, ours, pod, skipped

_GONE = object()


def _with(holder: Json, field: str, value: object) -> Json:
    return holder if value is _GONE else holder | {field: value}


@pytest.mark.parametrize(
    ("volumes", "init"),
    list(product([_GONE, None, []], repeat=2)),
    ids=[f"volumes-{v}-init-{i}" for v, i in product(["missing", "null", "empty"], repeat=2)],
)
def test_arrays_of_the_pod(volumes: object, init: object) -> None:
    """A missing or null parent is added first, an empty one is appended to: the patch applies to each."""
    manifest = app(A=KEY)
    manifest["spec"] = _with(_with(manifest["spec"], "volumes", volumes), "initContainers", init)
    patched = injected(manifest)["spec"]
    assert [v["name"] for v in patched["volumes"]] == ["tfy-secret-token", "tfy-secrets-app"]
    assert [c["name"] for c in patched["initContainers"]] == ["tfy-secret-init"]


@pytest.mark.parametrize("mounts", [_GONE, None, []], ids=["missing", "null", "empty"])
def test_mounts_of_a_container(mounts: object) -> None:
    """The same for a container that gets files."""
    patched = injected(pod(_with(container(), "volumeMounts", mounts), annotations=files(file(), file("/etc/app/two"))))
    assert [m["mountPath"] for m in patched["spec"]["containers"][0]["volumeMounts"]] == ["/etc/app/tls.key", "/etc/app/two"]


@pytest.mark.parametrize("field", ["env", "envFrom", "command", "args", "volumeMounts", "securityContext", "resources", "ports"])
def test_null_fields_of_a_container(field: str) -> None:
    """A null is as good as nothing, and stays a null in containers that are not ours."""
    other = {"name": "other", "image": "x", field: None}
    patched = injected(pod(other, container(env=env(A=KEY))))
    assert patched["spec"]["containers"][0] == other


@pytest.mark.parametrize(
    "field",
    [
        "volumes",
        "initContainers",
        "ephemeralContainers",
        "securityContext",
        "nodeSelector",
        "os",
        "dnsPolicy",
        "hostNetwork",
        "enableServiceLinks",
    ],
)
def test_null_fields_of_a_pod(field: str) -> None:
    """So it is for a pod's own fields."""
    manifest = app(A=KEY)
    manifest["spec"][field] = None
    assert ours(injected(manifest))


@pytest.mark.parametrize("metadata", [{}, None, {"annotations": None, "labels": None}, {"annotations": {"a": None}, "labels": {"b": None}}])
def test_metadata(metadata: Json | None) -> None:
    """Metadata may be nearly nothing; what is there stays."""
    manifest = app(A=KEY) | {"metadata": metadata}
    assert injected(manifest)["metadata"] == metadata


def test_existing_entries_stay_in_front() -> None:
    """Volumes and init containers of others keep their order; ours are added."""
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "config", "configMap": {"name": "c"}}]
    patched = injected(pod(container(env=env(A=KEY)), volumes=volumes, initContainers=[container("one"), container("two")]))["spec"]
    assert patched["volumes"][:2] == volumes
    assert [c["name"] for c in patched["initContainers"]] == ["tfy-secret-init", "one", "two"]


def test_unknown_fields_survive() -> None:
    """What Kubernetes will have next year passes through, on every level, whatever its type."""
    new = {"new": {"deep": [1, 2.5, None, True, "x", {"y": []}]}, "big": 2**63, "text": "é\u2028"}
    used = container(env=[{"name": "P", "value": "x", **new}, *env(A=KEY)], **new)
    manifest = pod(used, container("other", **new), volumes=[{"name": "v", **new}], initContainers=[container("i", **new)], **new)
    manifest |= {"status": new, **new}
    patched = injected(manifest)
    assert {k: v for k, v in patched["spec"].items() if k in new} == new
    assert {k: v for k, v in patched.items() if k in (*new, "status")} == {**new, "status": new}
    assert patched["spec"]["containers"][1] == manifest["spec"]["containers"][1]
    assert patched["spec"]["volumes"][0] == manifest["spec"]["volumes"][0]
    assert patched["spec"]["initContainers"][1] == manifest["spec"]["initContainers"][0]
    assert patched["spec"]["containers"][0]["env"][0] == used["env"][0]
    assert {k: v for k, v in patched["spec"]["containers"][0].items() if k != "env"} == {k: v for k, v in used.items() if k != "env"}


def test_other_peoples_annotations_stay() -> None:
    """Only our prefix is ours."""
    annotations = {"tfy-secret.development/mode": "x", "sidecar.istio.io/inject": "true", "tfy-secret": "y"}
    assert injected(pod(container(env=env(A=KEY)), annotations=annotations))["metadata"]["annotations"] == annotations


def test_a_pod_without_containers_but_with_init_containers() -> None:
    """Kubernetes refuses it; we do what is there to be done, and leave that to it."""
    manifest = {"spec": {"initContainers": [container("i", env=env(A=KEY))]}}
    assert [c["name"] for c in injected(manifest)["spec"]["initContainers"]] == ["tfy-secret-init", "i"]
    assert skipped({"spec": {"containers": [{}]}}) == "nothing_to_do"
