"""Delivery modes of variables, and which one a container gets. A mode is one object with one job: that the values arrive.

auto     envfile where the API server and every node can, else exec
envfile  the kubelet reads the files (`webhook.envfile`)
exec     a launcher sets the variables and becomes the app (`webhook.exec`)
"""

from typing import Protocol

from webhook.draft import Draft
from webhook.envfile import Envfile
from webhook.exec import Exec
from webhook.patch import Op
from webhook.problem import Problem, Reason
from webhook.target import Findings, Target

MODES = ("auto", "envfile", "exec")
ENVFILE_SINCE = (1, 35)  # the feature EnvFiles is on by default since then; an older kubelet starts the app with an empty variable


class Mode(Protocol):
    """How the variables of one container arrive."""

    @property
    def name(self) -> str: ...

    def check(self, target: Target, findings: Findings) -> None:
        """Tell what this mode cannot deliver to the container, before anything is put together."""
        ...

    def deliver(self, target: Target, draft: Draft) -> list[Op]:
        """Plan the container's variables, and give the operations that make it take them."""
        ...


class Versions(Protocol):
    """What is known of the cluster's versions: a watch (`nodes.Nodes`), or settings (`nodes.FixedNodes`)."""

    @property
    def server(self) -> tuple[int, int] | None: ...
    @property
    def lowest(self) -> tuple[int, int] | None: ...
    @property
    def lowest_node(self) -> str | None: ...


def choose_mode(wish: str, place: str, versions: Versions, envfile: Envfile, launch: Exec, findings: Findings) -> Mode | None:
    """The mode object for a container; None, and a problem told, where there is none. `place` is who said the wish.

    API server | lowest kubelet  | auto           | envfile
    ---------- | --------------- | -------------- | ------------------------------------------------------
    >= 1.35    | >= 1.35 or none | envfile        | envfile
    >= 1.35    | older           | exec, warning  | envfile, warning: the broker refuses it on an old node
    older      | any             | exec           | problem: the API server would drop the field
    """
    if wish == launch.name:
        return launch
    if versions.server is None:
        findings.tell(_unavailable(place, wish, "a cluster whose version is not known yet", "try again in a moment"))
        return None
    old_node = versions.lowest is not None and versions.lowest < ENVFILE_SINCE
    if versions.server >= ENVFILE_SINCE and old_node:
        findings.tell(_mixed(place, wish, versions))
    if versions.server >= ENVFILE_SINCE and (wish == envfile.name or not old_node):
        return envfile
    if wish == "auto":
        return launch
    found = f"an API server of version {_shown(versions.server)}"
    findings.tell(_unavailable(place, wish, found, "use mode exec or auto, or upgrade the cluster"))
    return None


def _mixed(place: str, wish: str, versions: Versions) -> str:
    node = f"node {versions.lowest_node} has kubelet {_shown(versions.lowest or (0, 0))}, and envfile needs {_shown(ENVFILE_SINCE)}"
    if wish == "auto":
        return f"{place}: mode exec is used: {node} on every node"
    return f"{place}: {node}; on such a node the broker refuses the pod, so keep it away from there (nodeSelector), or use auto or exec"


def _unavailable(place: str, wish: str, found: str, fix: str) -> Problem:
    allowed = f"mode '{wish}' where the API server is {_shown(ENVFILE_SINCE)} or newer"
    return Problem(place, Reason.MODE_UNAVAILABLE, found, allowed, fix)


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
