"""What we add to a pod: one init container, one token volume, one tmpfs volume for each container that gets secrets.

It passes Pod Security "restricted" whatever the pod's own security context says, and keeps a Guaranteed pod Guaranteed
(requests equal limits). An injection that is already there, from an earlier call for the same pod, is found by its plan.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from contract import keys
from contract.plan import Plan, PlanError, decode_plan
from contract.rendering import MAX_RENDERED
from webhook.pod import PodSpec
from webhook.problem import Problem, Reason
from webhook.settings import InitSettings

_UNITS = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
LABEL_LENGTH = 63  # characters; a volume's name is a DNS label


@dataclass(frozen=True, slots=True)
class Injection:
    """An earlier call's work: where our init container and its plan stand now."""

    index: int  # in initContainers
    env_index: int
    text: str  # the plan as it stands
    plan: Plan


def find_injection(spec: PodSpec, problems: list[Problem]) -> Injection | None:
    """The earlier injection, if there is one; somebody else's container of our name is a problem."""
    for place, containers in (("spec.containers", spec.containers), ("spec.ephemeralContainers", spec.ephemeralContainers)):
        if any(container.name == keys.INIT_CONTAINER for container in containers or []):
            problems.append(_name_taken(place))
    found: list[Injection] = []
    for index, container in enumerate(spec.initContainers or []):
        if container.name != keys.INIT_CONTAINER:
            continue
        for env_index, entry in enumerate(container.env or []):
            if entry.name == keys.PLAN_ENV and entry.value is not None:
                try:
                    found.append(Injection(index, env_index, entry.value, decode_plan(entry.value)))
                except PlanError:
                    break
                break
        if not found or found[-1].index != index or len(found) > 1:
            problems.append(_name_taken("spec.initContainers"))
    return found[0] if len(found) == 1 else None


def volume_name(container: str) -> str:
    """The container's own tmpfs volume; a long name is cut and made unique by a digest."""
    name = keys.VOLUME_PREFIX + container
    if len(name) <= LABEL_LENGTH:
        return name
    return f"{name[: LABEL_LENGTH - 9].rstrip('-')}-{sha256(container.encode()).hexdigest()[:8]}"


def tmpfs_volume(name: str, settings: InitSettings, templates: int) -> dict[str, Any]:
    source: dict[str, str] = {"medium": "Memory"}
    if settings.volume_size:
        source["sizeLimit"] = volume_size(settings, templates)
    return {"name": name, "emptyDir": source}


def volume_size(settings: InitSettings, templates: int) -> str:
    """The setting, and room for rendered files as large as they can be, twice: a run that comes again writes before it replaces."""
    match = re.fullmatch(r"(\d+)(Ki|Mi|Gi)", settings.volume_size)
    if not templates or match is None:  # in another unit it is the operator's to give room
        return settings.volume_size
    size = int(match.group(1)) * _UNITS[match.group(2)] + templates * 2 * MAX_RENDERED
    return f"{size // _UNITS['Mi']}Mi" if size % _UNITS["Mi"] == 0 else f"{size // _UNITS['Ki']}Ki"


def token_volume() -> dict[str, Any]:
    """A token made for us alone: our audience, ten minutes, whatever `automountServiceAccountToken` says."""
    token = {"audience": keys.AUDIENCE, "expirationSeconds": keys.TOKEN_SECONDS, "path": "token"}
    return {"name": keys.TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}


def init_mount(volume: str) -> dict[str, Any]:
    return {"name": volume, "mountPath": f"{keys.VOLUMES_FOLDER}/{volume}"}


def init_container(
    plan: str, mounts: list[dict[str, Any]], settings: InitSettings, user: int | None, shared: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The whole container; `mounts` are those besides the token's.

    `user` is what it runs as: the settings' user, or the app's where a file is for that user alone. `shared` are the resources
    that the pod gives to all its containers together: the API server refuses a container that asks for more than that, and the
    pod's quality of service is decided by it alone, so ours asks for nothing of its own.
    """
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
    # Said here and not left to the pod: a pod-level `runAsUser: 0` would be inherited and fail against runAsNonRoot.
    if user is not None:
        security["runAsUser"] = user
    if settings.group is not None:
        security["runAsGroup"] = settings.group
    if settings.seccomp:
        security["seccompProfile"] = {"type": settings.seccomp}
    token = {"name": keys.TOKEN_VOLUME, "mountPath": keys.TOKEN_FOLDER, "readOnly": True}
    container: dict[str, Any] = {
        "name": keys.INIT_CONTAINER,
        "image": settings.image,
        "env": [{"name": keys.PLAN_ENV, "value": plan}],
        "securityContext": security,
        "volumeMounts": [token, *mounts],
    }
    if settings.pull_policy:
        container["imagePullPolicy"] = settings.pull_policy
    amounts = {name: amount for name, amount in (("cpu", settings.cpu), ("memory", settings.memory)) if amount and name not in shared}
    if amounts:
        container["resources"] = {"limits": amounts, "requests": amounts}
    return container


def _name_taken(place: str) -> Problem:
    name = keys.INIT_CONTAINER
    return Problem(
        f"{place}[{name}]", Reason.NAME_TAKEN, f"a container named '{name}' that is not ours", "any other name", "rename the container"
    )
