"""Modes in a request: a plan that the pod's kubelet cannot deliver gets no values, so that no app starts with empty variables."""

import pytest

from broker.errors import InvalidRequest, NodeTooOld, Unavailable
from broker.identity import Caller, Pod
from broker.modes import check_modes
from service.nodes import KubeletVersions


class Watched:
    """Nodes as the watch has them."""

    def __init__(self, **versions: tuple[int, int]) -> None:
        self._kubelets = KubeletVersions()
        for name, version in versions.items():
            self._kubelets.put(name, version)

    def version_of(self, node: str) -> tuple[int, int] | None:
        return self._kubelets.get(node)


NODES = Watched(new=(1, 36), edge=(1, 35), old=(1, 34))


def on(node: str | None) -> Caller:
    return Caller("system:serviceaccount:shop:web", frozenset(), Pod("shop", "web", "web-0", "uid", node))


@pytest.mark.parametrize(
    ("modes", "node"),
    [
        pytest.param(("envfile",), "new", id="envfile-on-a-new-node"),
        pytest.param(("envfile", "files"), "edge", id="envfile-on-the-first-that-can"),
        pytest.param(("exec", "files"), "old", id="exec-on-an-old-node"),
        pytest.param(("exec",), None, id="exec-on-an-unknown-node"),
        pytest.param((), "old", id="no-variables"),
    ],
)
def test_modes_that_can_be_delivered(modes: tuple[str, ...], node: str | None) -> None:
    """Nothing is raised."""
    check_modes(modes, on(node), NODES)


def test_an_old_node_is_refused_with_its_name_and_the_way_out() -> None:
    with pytest.raises(NodeTooOld, match="node old has kubelet 1.34, which would start the app with empty variables.*delete the pod"):
        check_modes(("files", "envfile"), on("old"), NODES)


def test_a_token_without_a_node_is_refused() -> None:
    with pytest.raises(NodeTooOld, match="does not name its node"):
        check_modes(("envfile",), on(None), NODES)


def test_a_node_that_just_joined_is_asked_about_again() -> None:
    """Unavailable is retried by the init container; the watch knows the node by then."""
    with pytest.raises(Unavailable, match="node fresh is not known yet"):
        check_modes(("envfile",), on("fresh"), NODES)


def test_off_cluster_there_are_no_nodes() -> None:
    check_modes(("envfile",), on(None), None)


def test_an_unknown_mode_is_a_newer_program() -> None:
    with pytest.raises(InvalidRequest, match="found 'telepathy'; allowed: envfile, exec, files"):
        check_modes(("telepathy",), on("new"), NODES)
