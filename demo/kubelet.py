"""The kubelet's part: volumes of the admitted pod, its containers' environment and command line, where its mounts lead.

By the kubelet's own rules: entries in their order, `$(VAR)` in plain values, command and arguments alone, a `fileKeyRef` read by its
parser of env files, an empty result unset where `optional`, else an error. It knows what the demo's pod has and says so about the rest.
"""

import os
from pathlib import Path
from typing import Any

from contract.envfile import parse
from contract.keys import AUDIENCE
from demo.errors import DemoError
from webhook.expansion import expand

Container = dict[str, Any]


def make_volumes(pod: dict[str, Any], folder: Path, token: str) -> None:
    """A folder for each volume. In a cluster the API server issues the token for the audience that the volume names."""
    for volume in pod["spec"].get("volumes", ()):
        place = folder / volume["name"]
        place.mkdir(parents=True)
        if "emptyDir" in volume:
            os.chmod(place, 0o777)  # noqa: S103, PTH101 - as the kubelet makes it; the pod's containers run as anyone
        elif [s["serviceAccountToken"]["audience"] for s in volume["projected"]["sources"]] == [AUDIENCE]:
            (place / volume["projected"]["sources"][0]["serviceAccountToken"]["path"]).write_text(token)
        else:
            raise DemoError(f"volume {volume['name']}: found {', '.join(volume)}; this small kubelet knows emptyDir and our token")


def environment(container: Container, volumes: Path) -> dict[str, bytes]:
    """What the container's process gets; nothing but what the pod says."""
    made: dict[str, bytes] = {}
    for entry in container.get("env", ()):
        source = entry.get("valueFrom")
        if source is None:
            made[entry["name"]] = _expanded(entry.get("value", ""), made)
            continue
        value = _from_file(container["name"], entry["name"], source, volumes)
        if value is not None:
            made[entry["name"]] = value
    return made


def argv(container: Container, made: dict[str, bytes]) -> list[bytes]:
    """What is started: command and arguments, with the environment that was made before. The demo's image has no words of its own."""
    return [_expanded(word, made) for word in (*container["command"], *container.get("args", ()))]


def mounts(container: Container, volumes: Path) -> dict[str, Path]:
    """Mount path to the file or folder behind it."""
    return {mount["mountPath"]: volumes / mount["name"] / mount.get("subPath", "") for mount in container.get("volumeMounts", ())}


def _expanded(text: str, made: dict[str, bytes]) -> bytes:
    def lookup(name: str) -> tuple[str]:
        return (made[name].decode(errors="surrogateescape"),) if name in made else (f"$({name})",)

    return "".join(map(str, expand(text, lookup))).encode(errors="surrogateescape")


def _from_file(container: str, name: str, source: dict[str, Any], volumes: Path) -> bytes | None:
    place = f"container {container}, env {name}"
    if list(source) != ["fileKeyRef"]:
        raise DemoError(f"{place}: found {', '.join(source)}; this small kubelet knows fileKeyRef")
    reference = source["fileKeyRef"]
    file = volumes / reference["volumeName"] / reference["path"]
    try:
        value = parse(file.read_bytes(), reference["key"])
    except (OSError, ValueError) as error:
        raise DemoError(f"{place}: the env file cannot be read ({error}); a kubelet would not start the container") from None
    if not value and not reference.get("optional"):
        raise DemoError(f"{place}: key {reference['key']} not found in {file.name}; a kubelet would not start the container")
    return value or None
