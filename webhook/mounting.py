"""Find the files that a pod wants by annotation: secrets as files, and config files with references.

Each goes to the containers that are to have it, unless an earlier call has delivered it there or Kubernetes cannot mount it.
"""

from collections.abc import Iterable

from contract.catalog import Catalog
from contract.fqn import shorten
from contract.plan import ContainerPlan
from webhook.files import WantedFile, read_fqn
from webhook.injected import Injection
from webhook.mounts import WantedMount, clash, mount_problem
from webhook.pod import PodSpec
from webhook.problem import Problem, Reason, nearest
from webhook.target import Findings, Target
from webhook.templates import WantedTemplate


def find_files(
    targets: list[Target], files: Iterable[WantedFile], injection: Injection | None, spec: PodSpec, catalog: Catalog, findings: Findings
) -> None:
    plans = _plans(injection)
    for file in files:
        fqn = read_fqn(file, catalog.store_fqns, findings.problems)
        _check_containers(file, targets, findings)
        for target in targets if fqn is not None else ():
            done = {(f.mount_path, f.fqn, f.mode) for f in plans[target.container.name].files} if target.container.name in plans else ()
            if fqn is not None and (file.mount_path, str(fqn), file.mode) not in done and _fits(file, target, spec, findings):
                target.files.append((file, fqn))
                findings.count("file")


def find_templates(
    targets: list[Target], templates: Iterable[WantedTemplate], injection: Injection | None, spec: PodSpec, findings: Findings
) -> None:
    plans = _plans(injection)
    for template in templates:
        _check_containers(template, targets, findings)
        for target in targets:
            plan = plans.get(target.container.name)
            done = any(template.delivery(other.path) == other for other in plan.templates) if plan else False
            if not done and _fits(template, target, spec, findings):
                target.templates.append(template)
                findings.count("template")


def _plans(injection: Injection | None) -> dict[str, ContainerPlan]:
    """What an earlier call has delivered, by container."""
    return {plan.name: plan for plan in injection.plan.containers} if injection else {}


def _check_containers(file: WantedMount, targets: list[Target], findings: Findings) -> None:
    names = {target.container.name: None for target in targets}
    for name in file.containers or ():
        if name not in names and not findings.full:
            near = nearest(name, names)
            fix = f"did you mean {near}?" if near else "correct the name"
            found, allowed = f"the unknown container '{name}'", shorten(", ".join(names), 400) or "none"
            findings.tell(Problem(f"{file.place}.containers", Reason.BAD_ANNOTATION, found, allowed, fix))


def _fits(file: WantedMount, target: Target, spec: PodSpec, findings: Findings) -> bool:
    """Whether the container is to have it and can; why it cannot is told."""
    if not file.wanted_by(target.container.name, target.is_app):
        return False
    outcome = clash(file, target.mounted, target.container.name) or mount_problem(file, target.container, spec)
    findings.tell(outcome)
    return not isinstance(outcome, Problem)
