"""The injected container under each security context that a pod may have: it runs, reads its token and writes readable files."""

from typing import Any

import pytest

from tests.webhook.pods import KEY, Json, app, cluster, container, env, file, files, injected, ours, pod, warned

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(None, id="says-nothing"),
        pytest.param({"runAsUser": 0}, id="root"),
        pytest.param({"runAsUser": 0, "runAsNonRoot": False, "runAsGroup": 0}, id="root-in-full"),
        pytest.param({"runAsUser": 1000, "runAsGroup": 1000}, id="given-user"),
        pytest.param({"fsGroup": 2000, "supplementalGroups": [3000]}, id="fsGroup"),
        pytest.param({"runAsNonRoot": True, "seccompProfile": {"type": "Localhost", "localhostProfile": "x"}}, id="own-seccomp"),
    ],
)
def test_container_says_everything_itself(context: Json | None) -> None:
    """Whatever the pod says, Pod Security "restricted" accepts ours, and the pod's own context stays."""
    manifest = pod(container(env=env(A=KEY)), securityContext=context)
    patched = injected(manifest)
    assert ours(patched)["securityContext"] == RESTRICTED
    assert patched["spec"]["securityContext"] == context


def test_the_whole_container() -> None:
    """Image, resources of which requests equal limits, the plan as its only variable; no command, no ports, no probes."""
    found = ours(injected(app(A=KEY)))
    assert {k: v for k, v in found.items() if k not in ("env", "securityContext", "volumeMounts")} == {
        "name": "tfy-secret-init",
        "image": "registry.example/tfy-secret-init:1",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    assert [entry["name"] for entry in found["env"]] == ["TFY_SECRET_PLAN"]


@pytest.mark.parametrize(
    ("init", "path", "gone"),
    [
        pytest.param({"pull_policy": ""}, (), "imagePullPolicy", id="pull-policy"),
        pytest.param({"user": None}, ("securityContext",), "runAsUser", id="user"),
        pytest.param({"group": None}, ("securityContext",), "runAsGroup", id="group"),
        pytest.param({"seccomp": ""}, ("securityContext",), "seccompProfile", id="seccomp"),
        pytest.param({"cpu": ""}, ("resources", "limits"), "cpu", id="cpu"),
        pytest.param({"memory": ""}, ("resources", "requests"), "memory", id="memory"),
        pytest.param({"cpu": "", "memory": ""}, (), "resources", id="resources"),
    ],
)
def test_settings_leave_fields_out(init: Json, path: tuple[str, ...], gone: str) -> None:
    """An empty setting leaves its field out, for platforms that fill it in or forbid it."""
    with_it: Any = ours(injected(app(A=KEY)))
    without: Any = ours(injected(app(A=KEY), cluster(**init)))
    for part in path:
        with_it, without = with_it[part], without[part]
    assert (gone in with_it, gone in without) == (True, False)


@pytest.mark.parametrize(
    ("resources", "left"),
    [
        pytest.param({"limits": {"cpu": "50m", "memory": "32Mi"}, "requests": {"cpu": "50m", "memory": "32Mi"}}, None, id="both"),
        pytest.param({"limits": {"memory": "1Gi"}}, {"cpu": "100m"}, id="memory"),
        pytest.param({"requests": {"cpu": 1}, "limits": None}, {"memory": "64Mi"}, id="cpu-as-a-request"),
        pytest.param({"limits": {"hugepages-2Mi": "4Mi"}}, {"cpu": "100m", "memory": "64Mi"}, id="something-else"),
        pytest.param({}, {"cpu": "100m", "memory": "64Mi"}, id="nothing"),
        pytest.param(None, {"cpu": "100m", "memory": "64Mi"}, id="null"),
    ],
)
def test_resources_of_the_whole_pod(resources: Json | None, left: Json | None) -> None:
    """The API server refuses a pod whose containers ask for more than `spec.resources` gives all of them; QoS goes by that alone."""
    found = ours(injected(pod(container(env=env(A=KEY)), resources=resources)))
    assert found.get("resources") == (None if left is None else {"limits": left, "requests": left})


def test_no_size_limit() -> None:
    """The tmpfs may be left without a limit of its own."""
    assert injected(app(A=KEY), cluster(volume_size=""))["spec"]["volumes"][1] == {
        "name": "tfy-secrets-app",
        "emptyDir": {"medium": "Memory"},
    }


def test_token_whatever_the_pod_says() -> None:
    """`automountServiceAccountToken: false` is about the default token, which we neither need nor mount."""
    patched = injected(pod(container(env=env(A=KEY)), automountServiceAccountToken=False))
    assert patched["spec"]["automountServiceAccountToken"] is False
    assert ours(patched)["volumeMounts"][0] == {"name": "tfy-secret-token", "mountPath": "/tfy-secret/token", "readOnly": True}


def _user(*containers: Json, mode: str = "0400", init: Json | None = None, **context: Any) -> tuple[int | None, tuple[str, ...]]:
    manifest = pod(*containers, annotations=files(file(mode=mode)), securityContext=context or None)
    where = cluster(**(init or {}))
    return ours(injected(manifest, where))["securityContext"].get("runAsUser"), warned(manifest, where)


_DOUBT = (
    "metadata.annotations[tfy-secret.dev/files][0].mode: the file belongs to user 65532, and the containers that get such files do not all say one "
    "runAsUser; to fix: set securityContext.runAsUser, or fsGroup and a mode that lets the group read, or a mode that others can read"
)


@pytest.mark.parametrize(
    ("containers", "mode", "context", "user", "warnings"),
    [
        pytest.param([container()], "0444", {"runAsUser": 1000}, 65532, (), id="others-may-read"),
        pytest.param([container()], "0400", {"runAsUser": 1000}, 1000, (), id="owner-only-with-the-pods-user"),
        pytest.param(
            [container(securityContext={"runAsUser": 2000})], "0400", {"runAsUser": 1000}, 2000, (), id="the-containers-user-over-the-pods"
        ),
        pytest.param([container(securityContext={"runAsUser": 2000})], "0600", {}, 2000, (), id="only-the-containers-user"),
        pytest.param([container()], "0400", {"runAsUser": 0}, 65532, (), id="root-reads-any-file"),
        pytest.param(
            [container(securityContext={"capabilities": {"drop": ["ALL"]}})],
            "0400",
            {"runAsUser": 0},
            65532,
            (_DOUBT,),
            id="root-without-override",
        ),
        pytest.param(
            [container(securityContext={"capabilities": {"drop": ["ALL"]}})],
            "0400",
            {"runAsUser": 5},
            5,
            (),
            id="a-user-without-capabilities",
        ),
        pytest.param([container()], "0400", {}, 65532, (_DOUBT,), id="user-of-the-image-is-not-known"),
        pytest.param([container()], "0440", {"fsGroup": 2000}, 65532, (), id="group-reads-by-fsGroup"),
        pytest.param([container()], "0440", {}, 65532, (_DOUBT,), id="group-without-fsGroup"),
        pytest.param([container()], "0400", {"fsGroup": 2000}, 65532, (_DOUBT,), id="fsGroup-does-not-help-the-owner"),
        pytest.param(
            [container(securityContext={"runAsUser": 1}), container("b", securityContext={"runAsUser": 2})],
            "0400",
            {},
            65532,
            (_DOUBT,),
            id="two-users",
        ),
        pytest.param(
            [container(securityContext={"runAsUser": 1}), container("b", securityContext={"runAsUser": 0})],
            "0400",
            {},
            1,
            (),
            id="a-user-and-root",
        ),
        pytest.param([container(securityContext={"runAsUser": None})], "0400", {"runAsUser": 7}, 7, (), id="null-is-not-said"),
    ],
)
def test_owner_of_files(containers: list[Json], mode: str, context: Json, user: int, warnings: tuple[str, ...]) -> None:
    """A file that only its owner can read belongs to the user who is to read it, where the pod says who that is."""
    assert _user(*containers, mode=mode, **context) == (user, warnings)


def test_platform_assigns_the_user() -> None:
    """Where the setting leaves the user out, nothing is said for files either."""
    assert _user(container(), init={"user": None}, runAsUser=1000) == (None, ())
