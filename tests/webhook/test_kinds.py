"""Pods in which our init container cannot run, and pods that may not find the broker."""

import pytest

from tests.webhook.pods import KEY, Json, app, cluster, container, env, file, files, injected, ours, pod, refused, skipped, warned

MIRROR = {"kubernetes.io/config.mirror": "hash"}
_MIRROR = (
    "metadata.annotations: found a static pod with references; allowed: pods that the API server admits before they run.\n"
    "To fix: run it as a DaemonSet or a Deployment."
)
_WINDOWS = "spec.os: found a Windows pod with references; allowed: Linux pods: a Windows node has no tmpfs.\nTo fix: run it on Linux nodes."
_EPHEMERAL = (
    "spec.ephemeralContainers[debug].env[A]: found '{}'; allowed: no reference in an ephemeral container.\n"
    "To fix: put the reference in a container of the pod, and debug with --share-processes."
)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        pytest.param(pod(container(env=env(A=KEY)), annotations=MIRROR), _MIRROR, id="mirror-pod"),
        pytest.param(pod(container(), annotations=files(file(), **MIRROR)), _MIRROR, id="mirror-pod-with-files"),
        pytest.param(pod(container(env=env(A=KEY)), os={"name": "windows"}), _WINDOWS, id="windows-by-os"),
        pytest.param(pod(container(env=env(A=KEY)), nodeSelector={"kubernetes.io/os": "windows"}), _WINDOWS, id="windows-by-node-selector"),
        pytest.param(
            pod(container(env=env(A=KEY)), securityContext={"windowsOptions": {"hostProcess": True}}), _WINDOWS, id="host-process"
        ),
        pytest.param(
            pod(container(env=env(A=KEY), securityContext={"windowsOptions": {"hostProcess": True}})), _WINDOWS, id="host-process-container"
        ),
        pytest.param(
            pod(container(), ephemeralContainers=[container("debug", env=env(A=KEY))]), _EPHEMERAL.format(KEY), id="ephemeral-container"
        ),
    ],
)
def test_refused_with_references(manifest: Json, message: str) -> None:
    """Such a pod would run with names in place of values, or not at all."""
    assert refused(manifest) == [message]


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(pod(container(), annotations=MIRROR), id="mirror-pod"),
        pytest.param(pod(container(env=env(A="x")), os={"name": "windows"}), id="windows"),
        pytest.param(pod(container(), ephemeralContainers=[container("debug", env=env(A="x"))]), id="ephemeral-container"),
    ],
)
def test_left_alone_without(manifest: Json) -> None:
    """What wants nothing from us is none of our business."""
    assert skipped(manifest) == "nothing_to_do"


@pytest.mark.parametrize(
    "spec",
    [
        {"os": {"name": "linux"}},
        {"os": {}},
        {"nodeSelector": {"kubernetes.io/os": "linux"}},
        {"nodeSelector": {}},
        {"securityContext": {"windowsOptions": None}},
        {"securityContext": {"windowsOptions": {"hostProcess": False}}},
    ],
)
def test_linux(spec: Json) -> None:
    """Saying Linux, or nothing, is fine."""
    assert ours(injected(pod(container(env=env(A=KEY)), **spec)))


_HOST = "tfy-secret-broker.tfy-secret.svc"


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        pytest.param({}, None, id="default"),
        pytest.param({"dnsPolicy": "ClusterFirst"}, None, id="ClusterFirst"),
        pytest.param({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, None, id="ClusterFirstWithHostNet"),
        pytest.param({"dnsPolicy": "Default"}, "'Default'", id="Default"),
        pytest.param({"dnsPolicy": "None"}, "'None'", id="None"),
        pytest.param({"hostNetwork": True}, "'ClusterFirst' and hostNetwork", id="host-network"),
        pytest.param({"hostNetwork": True, "dnsPolicy": "ClusterFirst"}, "'ClusterFirst' and hostNetwork", id="host-network-explicit"),
    ],
)
def test_cluster_dns(spec: Json, warning: str | None) -> None:
    """A pod that may not resolve the broker's name is told so, and starts: it may have another way."""
    manifest = pod(container(env=env(A=KEY)), **spec)
    expected = f"spec.dnsPolicy: with {warning} the pod may not resolve {_HOST}; to fix: dnsPolicy: ClusterFirstWithHostNet"
    assert warned(manifest) == ((expected,) if warning else ())
    assert ours(injected(manifest))


def test_a_broker_outside_needs_no_cluster_dns() -> None:
    """Its name is anybody's."""
    where = cluster()
    outside = type(where)(where.catalog, where.versions, type(where.around)("https://broker.example", "CA", where.around.init))
    assert warned(app(A=KEY) | {"spec": app(A=KEY)["spec"] | {"dnsPolicy": "Default"}}, outside) == ()
