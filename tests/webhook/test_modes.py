"""How variables arrive: which mode a container gets, from the cluster's versions and its author's wish."""

import pytest

from contract import keys
from tests.webhook.pods import KEY, Versions, app, cluster, container, decide, env, file, files, injected, planned, pod, refused, warned
from webhook.planning import Inject

OLD = Versions((1, 36), (1, 34), "old-1")
_MIXED = "node old-1 has kubelet 1.34, and envfile needs 1.35"


@pytest.mark.parametrize(
    ("versions", "auto", "envfile"),
    [
        pytest.param(Versions((1, 36), (1, 36)), "envfile", "envfile", id="all-new"),
        pytest.param(Versions((1, 35), (1, 35)), "envfile", "envfile", id="just-new-enough"),
        pytest.param(Versions((1, 36), (1, 35)), "envfile", "envfile", id="a-kubelet-behind-but-new-enough"),
        pytest.param(Versions((1, 36), None), "envfile", "envfile", id="no-nodes-yet"),
        pytest.param(Versions((2, 0), (2, 0)), "envfile", "envfile", id="another-major"),
        pytest.param(OLD, "exec", "envfile", id="one-old-kubelet"),
        pytest.param(Versions((1, 36), (0, 0), "odd-1"), "exec", "envfile", id="unreadable-version-counts-as-oldest"),
        pytest.param(Versions((1, 34), (1, 34), "old-1"), "exec", None, id="old-server-would-drop-the-field"),
        pytest.param(Versions(None, (1, 36)), None, None, id="nothing-known-yet"),
    ],
)
def test_choice(versions: Versions, auto: str | None, envfile: str | None) -> None:
    """`auto` takes envfile where all can, else exec; exec works everywhere; envfile by name is the author's word, within what can be."""
    pods = {"auto": auto, "envfile": envfile, "exec": "exec"}
    for wish, outcome in pods.items():
        manifest = pod(container(command=["/app"], env=env(A=KEY)), annotations={keys.MODE: wish})
        decision = decide(manifest, cluster(versions=versions))
        if outcome is None:
            assert "found" in refused(manifest, cluster(versions=versions))[0]
        else:
            assert isinstance(decision, Inject), wish
            assert planned(injected(manifest, cluster(versions=versions))).mode == outcome


def test_a_mixed_cluster_is_told_with_the_node() -> None:
    """While one node is behind, a warning names it, whoever chose."""
    manifest = pod(container(command=["/app"], env=env(A=KEY)))
    assert warned(manifest, cluster(versions=OLD)) == (f"spec: mode exec is used: {_MIXED} on every node",)
    manifest["metadata"]["annotations"] = {keys.MODE: "envfile"}
    assert warned(manifest, cluster(versions=OLD)) == (
        (
            f"metadata.annotations[{keys.MODE}]: {_MIXED}; on such a node the broker refuses the pod, "
            "so keep it away from there (nodeSelector), or use auto or exec"
        ),
    )
    manifest["metadata"]["annotations"] = {keys.MODE: "exec"}
    assert warned(manifest, cluster(versions=OLD)) == ()


def test_an_old_api_server_would_drop_the_field() -> None:
    manifest = pod(container(env=env(A=KEY)), annotations={keys.MODE: "envfile"})
    assert refused(manifest, cluster(versions=Versions((1, 34), (1, 34)))) == [
        (
            f"metadata.annotations[{keys.MODE}]: found an API server of version 1.34; allowed: mode 'envfile' where the API server is 1.35 or newer.\n"
            "To fix: use mode exec or auto, or upgrade the cluster."
        )
    ]


@pytest.mark.parametrize(
    ("annotations", "setting", "app_mode", "worker_mode"),
    [
        pytest.param({}, "auto", "envfile", "envfile", id="nobody-says"),
        pytest.param({}, "exec", "exec", "exec", id="the-setting-says"),
        pytest.param({keys.MODE: "exec"}, "envfile", "exec", "exec", id="the-author-over-the-setting"),
        pytest.param({keys.MODE_OF + "worker": "exec"}, "auto", "envfile", "exec", id="one-container"),
        pytest.param({keys.MODE: "exec", keys.MODE_OF + "worker": "auto"}, "auto", "exec", "envfile", id="all-but-one"),
    ],
)
def test_who_chooses(annotations: dict[str, str], setting: str, app_mode: str, worker_mode: str) -> None:
    """The container's annotation, else the pod's, else the setting."""
    manifest = pod(
        container(command=["/app"], env=env(A=KEY)), container("worker", command=["/app"], env=env(A=KEY)), annotations=annotations
    )
    patched = injected(manifest, cluster(mode=setting))
    assert (planned(patched).mode, planned(patched, "worker").mode) == (app_mode, worker_mode)


def test_a_mode_for_a_container_that_is_not_there() -> None:
    manifest = pod(container(env=env(A=KEY)), annotations={keys.MODE_OF + "ap": "exec"})
    assert refused(manifest) == [
        "metadata.annotations[tfy-secret.dev/mode.ap]: found the unknown container 'ap'; allowed: app.\nTo fix: did you mean tfy-secret.dev/mode.app?"
    ]


def test_files_need_no_mode() -> None:
    """Any kubelet can mount a file, so a pod with files alone starts on old nodes too."""
    patched = injected(pod(container(), annotations=files(file())), cluster(versions=Versions((1, 30), (1, 28), "old-1")))
    assert planned(patched).mode == "files"


def test_a_mixed_pod_names_the_mode_for_each_container() -> None:
    """Only a container with variables has a mode of delivering them."""
    manifest = pod(container(env=env(A=KEY)), container("worker"), annotations=files(file(containers=["worker"])))
    patched = injected(manifest)
    assert (planned(patched).mode, planned(patched, "worker").mode) == ("envfile", "files")


def test_nodes_that_join_are_seen() -> None:
    """Versions are asked for each pod."""
    versions = Versions()
    where = cluster(versions=versions)
    assert isinstance(decide(app(A=KEY), where), Inject)
    versions.lowest, versions.lowest_node = (1, 34), "old-1"
    assert "command" in refused(app(A=KEY), where)[0]
