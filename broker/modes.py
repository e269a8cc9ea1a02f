"""Delivery modes in a request: which ones this broker knows, and which pods may use them."""

from typing import Protocol

from broker.errors import InvalidRequest, NodeTooOld, Unavailable
from broker.identity import Caller
from contract.fqn import shorten

KNOWN_MODES = ("envfile", "exec", "files")  # files: a container that gets no variables
ENVFILE_SINCE = (1, 35)  # an older kubelet sets the variable to the empty string and starts the app


class Kubelets(Protocol):
    """The versions of the nodes' kubelets, by a watch (`service.nodes`)."""

    def version_of(self, node: str) -> tuple[int, int] | None: ...


def check_modes(modes: tuple[str, ...], caller: Caller, kubelets: Kubelets | None) -> None:
    """Refuse a request whose plan could not be delivered as it says. Off-cluster there are no `kubelets`.

    The webhook chose envfile for the nodes that it knew. A pod may still land on an old node that joined since; its token says
    where it is, and without values it does not start.
    """
    for mode in modes:
        if mode not in KNOWN_MODES:
            raise InvalidRequest(f"request.modes: found '{shorten(mode, 40)}'; allowed: {', '.join(KNOWN_MODES)}. Update the broker first")
    if "envfile" in modes and kubelets is not None:
        _check_node(caller.pod.node if caller.pod else None, kubelets)


def _check_node(node: str | None, kubelets: Kubelets) -> None:
    if node is None:
        raise NodeTooOld("the pod's token does not name its node, so mode envfile is not safe. To fix: set tfy-secret.dev/mode: exec")
    version = kubelets.version_of(node)
    if version is None:
        raise Unavailable(f"the kubelet of node {shorten(node, 80)} is not known yet")
    if version < ENVFILE_SINCE:
        raise NodeTooOld(
            f"node {shorten(node, 80)} has kubelet {version[0]}.{version[1]}, which would start the app with empty variables; "
            "mode envfile needs 1.35 or newer. To fix: delete the pod, so that it is admitted again (mode auto now takes exec), "
            "or keep it off that node, or upgrade the node"
        )
