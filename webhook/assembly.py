"""Put it together: the plan of the whole pod, and the patch that makes the pod fit it.

On a later call for the same pod what is new is added to the plan that is there; paths given before stay as they are. All
operations that name an index come before those that shift one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from contract import keys
from contract.plan import MAX_BYTES, FileDelivery, Plan, encode_plan
from webhook.draft import Draft
from webhook.injected import Injection, init_container, init_mount, tmpfs_volume, token_volume, volume_name, volume_size
from webhook.modes import Mode
from webhook.owner import init_user
from webhook.patch import Op, add, append, insert, move, pointer, replace
from webhook.pod import PodSpec
from webhook.position import wanted_index
from webhook.problem import Problem, Reason
from webhook.settings import InitSettings
from webhook.target import Findings, Target
from webhook.templates import WantedTemplate, source_mount


_encode = msgspec.json.Encoder().encode


def _dumps(document: object) -> str:
    return _encode(document).decode()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the assembly takes from the settings."""

    broker_url: str
    broker_ca: str
    init: InitSettings


def assemble(
    spec: PodSpec,
    wanted: list[Target],
    injection: Injection | None,
    position: tuple[str, str],
    modes: Mapping[str, Mode],
    around: Surroundings,
    findings: Findings,
) -> list[Op]:
    """The operations, none when all is in place already. `modes` has one for each container that gets variables.

    A plan that is too large is a problem in `findings`.
    """
    drafts = {plan.name: Draft.of(plan) for plan in injection.plan.containers} if injection else {}
    fresh = [volume_name(target.container.name) for target in wanted if target.container.name not in drafts]
    operations: list[Op] = []
    for target in wanted:
        name = target.container.name
        draft = drafts.setdefault(name, Draft(name, volume_name(name)))
        if name in modes:
            operations += modes[name].deliver(target, draft)
        _deliver_files(target, draft)
        operations += _grow(spec, target, draft, around.init)
        operations += append(f"{target.pointer}/volumeMounts", target.container.volumeMounts, draft.mounts)
    plan = _plan(list(drafts.values()), injection, around)
    if (size := len(plan.encode())) > MAX_BYTES:
        found, fix = f"a plan of {size} bytes", "split the pod, or shorten the text around the references"
        findings.tell(Problem("spec", Reason.PLAN_TOO_LARGE, found, f"at most {MAX_BYTES} bytes, the kernel's limit for one variable", fix))
        return []
    sources = _new_sources(wanted, injection)
    volumes = [tmpfs_volume(draft.volume, around.init, len(draft.templates)) for draft in drafts.values() if draft.volume in fresh]
    volumes += [template.volume() for template in sources.values()]
    mounts = [*map(init_mount, fresh), *map(source_mount, sources)]
    index = wanted_index(spec, position)
    if injection is None:
        operations += append("/spec/volumes", spec.volumes, [token_volume(), *volumes])
        shared = spec.resources.names if spec.resources else frozenset()
        container = init_container(plan, mounts, around.init, init_user(spec, wanted, around.init, findings), shared)
        return [*operations, insert("/spec/initContainers", spec.initContainers, index, container)]
    operations += append("/spec/volumes", spec.volumes, volumes)
    there = (spec.initContainers or [])[injection.index].volumeMounts
    return [*operations, *_renew(injection, plan, append(f"{_ours(injection)}/volumeMounts", there, mounts), index)]


def _plan(drafts: list[Draft], injection: Injection | None, around: Surroundings) -> str:
    """As a sibling in the rollout had it, where its one container gets nothing else."""
    known = drafts[0].known if len(drafts) == 1 and injection is None and not drafts[0].files and not drafts[0].templates else None
    if known is not None and known.plan is not None and known.plan[:2] == (around.broker_url, around.broker_ca):
        return known.plan[2]
    text = encode_plan(Plan(around.broker_url, around.broker_ca, tuple(draft.finished() for draft in drafts)), _dumps)
    if known is not None:
        known.plan = (around.broker_url, around.broker_ca, text)
    return text


def _deliver_files(target: Target, draft: Draft) -> None:
    for file, fqn in target.files:
        path = f"{keys.FILES_FOLDER}/{len(draft.files)}"
        draft.files.append(FileDelivery(file.mount_path, path, str(fqn), file.mode))
        draft.mounts.append({"name": draft.volume, "mountPath": file.mount_path, "subPath": path, "readOnly": True})

    for template in target.templates:
        path = f"{keys.TEMPLATES_FOLDER}/{len(draft.templates)}"
        draft.templates.append(template.delivery(path))
        draft.mounts.append({"name": draft.volume, "mountPath": template.mount_path, "subPath": path, "readOnly": True})


def _grow(spec: PodSpec, target: Target, draft: Draft, settings: InitSettings) -> list[Op]:
    """Room for templates that are new in a volume that an earlier call made."""
    if not (target.templates and settings.volume_size):
        return []
    size = volume_size(settings, len(draft.templates))
    volumes = enumerate(spec.volumes or ())
    return [add(f"/spec/volumes/{i}/emptyDir/sizeLimit", size) for i, volume in volumes if volume.name == draft.volume and volume.emptyDir]


def _new_sources(wanted: list[Target], injection: Injection | None) -> dict[str, WantedTemplate]:
    """The ConfigMaps' keys that no earlier call has made a volume of."""
    known = {template.source for plan in injection.plan.containers for template in plan.templates} if injection else set()
    return {template.source: template for target in wanted for template in target.templates if template.source not in known}


def _renew(injection: Injection, plan: str, mounts: list[Op], index: int) -> list[Op]:
    """Bring an earlier call's init container up to date, and back to its place."""
    where = _ours(injection)
    operations = [] if plan == injection.text else [replace(f"{where}/env/{injection.env_index}/value", plan)]
    operations += mounts
    if index != injection.index:
        operations.append(move(where, pointer("spec", "initContainers", index)))
    return operations


def _ours(injection: Injection) -> str:
    return pointer("spec", "initContainers", injection.index)
