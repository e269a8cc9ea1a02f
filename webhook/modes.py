"""Delivery modes of variables. A mode is one object with one job: to rewrite one container's entries so that the values arrive.

auto     envfile where the API server and every node can, else refused with the reason (mode `exec` comes with its issue)
envfile  the entry becomes `valueFrom.fileKeyRef`: the kubelet reads the file that the init container wrote
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from contract import keys
from contract.references import Template
from webhook.patch import Op, replace
from webhook.problem import Problem, Reason

ENVFILE_SINCE = (1, 35)  # the feature EnvFiles is on by default since then; an older kubelet starts the app with an empty variable


@dataclass(frozen=True, slots=True)
class EnvReference:
    """One env entry that holds references: where it stands in the pod, and what it is to become."""

    pointer: str  # of the entry
    place: str  # for messages
    name: str
    template: Template
    parts: tuple[str, ...]  # text, FQN, text, ...: as the plan has it


class Mode(Protocol):
    """How the variables of one container arrive."""

    name: str

    def rewrite(self, reference: EnvReference, volume: str, path: str) -> Iterable[Op]:
        """The operations that make the entry take its value from `path` in `volume`."""
        ...


class Envfile:
    """`valueFrom.fileKeyRef`: no command rewrite; probes, hooks, `kubectl exec` and `$(VAR)` see the variable too."""

    name = "envfile"

    def rewrite(self, reference: EnvReference, volume: str, path: str) -> Iterable[Op]:
        source: dict[str, str | bool] = {"volumeName": volume, "path": path, "key": keys.ENVFILE_KEY}
        template = reference.template
        if not any(template.texts) and all(fqn.optional for fqn in template.fqns):
            source["optional"] = True  # all absent is a file without the key: the variable is then left unset
        return [replace(reference.pointer, {"name": reference.name, "valueFrom": {"fileKeyRef": source}})]


ENVFILE = Envfile()


class Versions(Protocol):
    """What is known of the cluster's versions: a watch (`nodes.Nodes`), or settings (`nodes.FixedNodes`)."""

    @property
    def server(self) -> tuple[int, int] | None: ...
    @property
    def lowest(self) -> tuple[int, int] | None: ...
    @property
    def lowest_node(self) -> str | None: ...


def choose_mode(wish: str, place: str, versions: Versions) -> Mode | Problem:
    """The mode object for a pod. `wish` is `auto` or a mode's name, `place` who said so.

    API server | lowest kubelet  | result
    ---------- | --------------- | ---------------------------------------------------
    >= 1.35    | >= 1.35 or none | envfile
    older      | any             | Problem: it would drop the field
    any        | older           | Problem: the app would start with an empty variable
    """
    if versions.server is None:
        return _unavailable(place, wish, "a cluster whose version is not known yet", "try again in a moment")
    if versions.server < ENVFILE_SINCE:
        return _unavailable(place, wish, f"an API server of version {_shown(versions.server)}", "upgrade the cluster to 1.35 or newer")
    if versions.lowest is not None and versions.lowest < ENVFILE_SINCE:
        found = f"node {versions.lowest_node} with kubelet {_shown(versions.lowest)}"
        return _unavailable(
            place, wish, found, "upgrade that node, or deliver the secret as a file (tfy-secret.dev/files), which any kubelet can"
        )
    return ENVFILE


def _unavailable(place: str, wish: str, found: str, fix: str) -> Problem:
    allowed = f"mode '{wish}' where the API server and every kubelet are {_shown(ENVFILE_SINCE)} or newer"
    return Problem(place, Reason.MODE_UNAVAILABLE, found, allowed, fix)


def _shown(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
