"""Where our init container stands among the pod's: before every one that uses secrets."""

from contract import keys
from webhook.injected import Injection
from webhook.pod import PodSpec
from webhook.problem import Problem, Reason, nearest
from webhook.target import Findings, Target

_PLACE = f"metadata.annotations[{keys.INIT_POSITION}]"


def wanted_index(spec: PodSpec, position: tuple[str, str]) -> int:
    """The index among the init containers without ours; `after` a container that is not there counts as first."""
    names = _names(spec)
    if position[0] == "last":
        return len(names)
    return names.index(position[1]) + 1 if position[0] == "after" and position[1] in names else 0


def check_position(
    targets: list[Target], spec: PodSpec, position: tuple[str, str], injection: Injection | None, findings: Findings
) -> None:
    """A container that uses secrets and starts before ours would wait for files that nobody has written."""
    names = _names(spec)
    if position[0] == "after" and position[1] not in names:
        near = nearest(position[1], names)
        fix = f"did you mean after:{near}?" if near else "name one of the pod's init containers"
        findings.tell(
            Problem(_PLACE, Reason.BAD_ANNOTATION, f"the unknown init container '{position[1]}'", ", ".join(names) or "none", fix)
        )
        return
    served = {plan.name for plan in injection.plan.containers} if injection else set()
    before = set(names[: wanted_index(spec, position)])
    for target in targets:
        if not target.is_app and target.container.name in before and (target.wants or target.container.name in served):
            fix = f"remove {keys.INIT_POSITION}, or place tfy-secret-init before '{target.container.name}'"
            found = "an init container that uses secrets and starts before tfy-secret-init"
            findings.tell(Problem(target.place, Reason.NOT_DELIVERABLE, found, "secrets in containers that start after it", fix))


def _names(spec: PodSpec) -> list[str]:
    return [container.name for container in spec.initContainers or () if container.name != keys.INIT_CONTAINER]
