"""Pods of mode exec, for the topics `exec_*`. Where a node's kubelet is older than 1.35 they all go there, else anywhere.

So a cluster of new nodes shows that the mode works there, and a mixed one that it does where mode envfile does not.
"""

import re
from functools import cache

import pytest

from contract.keys import EXEC_ENV, EXEC_LAUNCHER, EXEC_MOUNT
from initcontainer.launch import encode
from tests.e2e import pods
from tests.e2e.kubectl import Object, every
from tests.e2e.values import digest

EXEC = {"tfy-secret.dev/mode": "exec"}
LAUNCHER, VARIABLES = f"{EXEC_MOUNT}/{EXEC_LAUNCHER}", f"{EXEC_MOUNT}/{EXEC_ENV}"
ENVFILE_SINCE = (1, 35)


def executed(thing: Object, **annotations: str) -> Object:
    """The pod, or pod template, with the mode's annotation, and others of ours."""
    metadata = thing["metadata"]
    more = {f"tfy-secret.dev/{name.replace('_', '.', 1)}": value for name, value in annotations.items()}
    metadata["annotations"] = metadata.get("annotations", {}) | EXEC | more
    return thing


def on_node(thing: Object, node: str) -> Object:
    spec = thing["spec"].get("template", thing)["spec"]
    spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return thing


def start(things: dict[str, Object]) -> None:
    old = old_node()
    for thing in things.values():
        if old:
            on_node(thing, old)
    pods.start(things)


@cache
def nodes() -> dict[str, tuple[int, int]]:
    """Node -> version of its kubelet."""
    found = {thing["metadata"]["name"]: thing["status"]["nodeInfo"]["kubeletVersion"] for thing in every("nodes")}
    return {name: _version(version) for name, version in found.items()}


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"v(\d+)\.(\d+)", text)
    assert found, text
    return int(found[1]), int(found[2])


def old_node() -> str | None:
    return next((name for name, version in nodes().items() if version < ENVFILE_SINCE), None)


def new_node() -> str | None:
    return next((name for name, version in nodes().items() if version >= ENVFILE_SINCE), None)


def mixed() -> tuple[str, str]:
    """An old node and a new one; skips where there are not both."""
    old, new = old_node(), new_node()
    if old is None or new is None:
        pytest.skip(f"needs a node with a kubelet older than 1.35 beside a newer one; kubelets here: {sorted(set(nodes().values()))}")
    return old, new


def digest_of_file(**variables: str | bytes | None) -> str:
    """What an app tells of the file that the launcher reads, if it holds exactly these variables."""
    content = {name: value.encode() if isinstance(value, str) else value for name, value in variables.items()}
    return digest(encode(list(content.items())))
