"""Delivery modes in a request: which ones this broker knows, and which pods may use them."""

from broker.errors import InvalidRequest
from broker.identity import Caller
from contract.fqn import shorten

KNOWN_MODES = ("envfile", "files")  # files: a container that gets no variables


def check_modes(modes: tuple[str, ...], caller: Caller) -> None:
    """Refuse a request whose plan could not be delivered as it says.

    The one place for rules about a mode and the pod that asks (`caller.pod.node`), such as: an envfile plan on a node whose
    kubelet is older than 1.35, which would start the app with empty variables.
    """
    del caller  # no rule looks at the pod yet
    for mode in modes:
        if mode not in KNOWN_MODES:
            raise InvalidRequest(f"request.modes: found '{shorten(mode, 40)}'; allowed: {', '.join(KNOWN_MODES)}. Update the broker first")
