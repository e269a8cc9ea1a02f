"""How variables arrive: which mode a pod gets, from the cluster's versions and its author's wish."""

import pytest

from contract import keys
from tests.webhook.pods import KEY, Versions, app, cluster, container, decide, env, file, files, injected, planned, pod, refused
from webhook.modes import ENVFILE, choose_mode
from webhook.planning import Inject
from webhook.problem import Problem, Reason

_ALLOWED = "mode '{}' where the API server and every kubelet are 1.35 or newer"
_OLD_NODE = (
    "node old-1 with kubelet 1.34",
    "upgrade that node, or deliver the secret as a file (tfy-secret.dev/files), which any kubelet can",
)


@pytest.mark.parametrize("wish", ["auto", "envfile"])
@pytest.mark.parametrize(
    ("server", "lowest", "outcome"),
    [
        pytest.param((1, 36), (1, 36), None, id="all-new"),
        pytest.param((1, 35), (1, 35), None, id="just-new-enough"),
        pytest.param((1, 36), (1, 35), None, id="a-kubelet-behind-but-new-enough"),
        pytest.param((1, 36), None, None, id="no-nodes-yet"),
        pytest.param((2, 0), (2, 0), None, id="another-major"),
        pytest.param(
            (1, 34),
            (1, 34),
            ("an API server of version 1.34", "upgrade the cluster to 1.35 or newer"),
            id="old-server-would-drop-the-field",
        ),
        pytest.param((1, 36), (1, 34), _OLD_NODE, id="old-kubelet-would-start-the-app-with-nothing"),
        pytest.param((1, 36), (0, 0), ("node old-1 with kubelet 0.0", _OLD_NODE[1]), id="unreadable-version-counts-as-oldest"),
        pytest.param(None, (1, 36), ("a cluster whose version is not known yet", "try again in a moment"), id="nothing-known-yet"),
    ],
)
def test_choice(wish: str, server: tuple[int, int] | None, lowest: tuple[int, int] | None, outcome: tuple[str, str] | None) -> None:
    """envfile where all can; what cannot be delivered is refused with the reason, also for those who ask for it by name."""
    chosen = choose_mode(wish, "spec", Versions(server, lowest, "old-1"))
    if outcome is None:
        assert chosen is ENVFILE
        return
    assert chosen == Problem("spec", Reason.MODE_UNAVAILABLE, outcome[0], _ALLOWED.format(wish), outcome[1])


@pytest.mark.parametrize(
    ("annotation", "setting", "place", "wish"),
    [
        pytest.param(None, "auto", "spec", "auto", id="nobody-says"),
        pytest.param(None, "envfile", "spec", "envfile", id="the-setting-says"),
        pytest.param("envfile", "auto", f"metadata.annotations[{keys.MODE}]", "envfile", id="the-author-says"),
        pytest.param("auto", "envfile", f"metadata.annotations[{keys.MODE}]", "auto", id="the-author-over-the-setting"),
    ],
)
def test_who_chooses(annotation: str | None, setting: str, place: str, wish: str) -> None:
    """The annotation, else the setting; the message names the one that said it."""
    manifest = pod(container(env=env(A=KEY)), annotations={keys.MODE: annotation} if annotation else {})
    where = cluster(versions=Versions((1, 34)), mode=setting)
    assert refused(manifest, where) == [
        f"{place}: found an API server of version 1.34; allowed: {_ALLOWED.format(wish)}.\nTo fix: upgrade the cluster to 1.35 or newer."
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
    assert "node old-1 with kubelet 1.34" in refused(app(A=KEY), where)[0]
