"""Checks of a pod that wants secrets: can it have them where it runs, may it have them, are our names free."""

from collections import Counter
from functools import lru_cache
from urllib.parse import urlsplit

from contract import keys
from contract.wire import MAX_SECRETS
from webhook.injected import Injection, volume_name
from webhook.pod import Pod, PodSpec
from webhook.problem import Problem, Reason
from webhook.target import Findings, Target
from webhook.truth import Truth

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
OS_LABEL = "kubernetes.io/os"


def check_kind(pod: Pod, spec: PodSpec, broker_url: str, findings: Findings) -> None:
    """Pods in which our init container cannot run, or may not reach the broker."""
    if MIRROR_ANNOTATION in pod.annotations:
        fix = "run it as a DaemonSet or a Deployment"
        findings.tell(
            Problem(
                "metadata.annotations",
                Reason.NOT_DELIVERABLE,
                "a static pod with references",
                "pods that the API server admits before they run",
                fix,
            )
        )
    if _is_windows(spec):
        findings.tell(
            Problem(
                "spec.os",
                Reason.NOT_DELIVERABLE,
                "a Windows pod with references",
                "Linux pods: a Windows node has no tmpfs",
                "run it on Linux nodes",
            )
        )
    host = _host(broker_url)
    policy = spec.dnsPolicy or "ClusterFirst"
    if host.endswith((".svc", ".cluster.local")) and (policy in ("Default", "None") or (spec.hostNetwork and policy == "ClusterFirst")):
        findings.tell(
            f"spec.dnsPolicy: with '{policy}'{' and hostNetwork' if spec.hostNetwork else ''} the pod may not resolve {host}; "
            "to fix: dnsPolicy: ClusterFirstWithHostNet"
        )


def _is_windows(spec: PodSpec) -> bool:
    """By what the pod says of itself; a taint or an affinity alone is not looked at."""
    if (spec.os and spec.os.name == "windows") or (spec.nodeSelector or {}).get(OS_LABEL) == "windows":
        return True
    contexts = (spec.securityContext, *(container.securityContext for container in spec.containers or ()))
    return any(context and context.windowsOptions and context.windowsOptions.hostProcess for context in contexts)


@lru_cache(maxsize=4)
def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def check_names(wanted: list[Target], spec: PodSpec, injection: Injection | None, findings: Findings) -> None:
    """Names that we are about to use must be free, and those that we read must be unique."""
    ours = {container.volume for container in injection.plan.containers} if injection else set()
    ours |= {template.source for container in injection.plan.containers for template in container.templates} if injection else set()
    taken = {volume.name for volume in spec.volumes or ()} - ours
    if injection is None and keys.TOKEN_VOLUME in taken:
        findings.tell(_taken(keys.TOKEN_VOLUME))
    # Also the names of containers that want nothing: the plan, and with it a later call, knows containers by name alone.
    names = [container.name for container in (*(spec.initContainers or ()), *(spec.containers or ()))]
    times: dict[str, int] = Counter(names) if len(set(names)) < len(names) else {}
    for target in wanted:
        name = target.container.name
        if not name or times.get(name, 1) > 1:
            what = f"a second container '{name}'" if name else "a container without a name"
            findings.tell(Problem(target.place, Reason.NAME_TAKEN, what, "a name of its own for each container", "name the container"))
            times[name] = 1  # told once
        elif volume_name(name) in taken:
            findings.tell(_taken(volume_name(name)))
        for template in target.templates:
            if template.source in taken:
                findings.tell(_taken(template.source))
        for reference in target.references:
            if not reference.name:
                findings.tell(Problem(reference.place, Reason.NAME_TAKEN, "a variable without a name", "a name", "name the variable"))


def check_truth(wanted: list[Target], truth: Truth, findings: Findings) -> None:
    """Each name against what is known: unknown, denied, or fine as far as can be told now."""
    if sum(findings.references.values()) > MAX_SECRETS and (number := _distinct(wanted)) > MAX_SECRETS:
        found, fix = f"{number} different secrets", "split the pod, or keep several values in one JSON secret and use #field"
        findings.tell(Problem("spec", Reason.PLAN_TOO_LARGE, found, f"at most {MAX_SECRETS} in one pod", fix))
        return
    for target in wanted:
        for reference in target.references:
            if truth.knows(reference.found.parts):
                continue
            absent = "the variable is left unset" if reference.template.whole else "nothing stands in its place"
            outcomes = [outcome for fqn in reference.template.fqns if (outcome := truth.check(reference.place, fqn, absent)) is not None]
            if not outcomes:
                truth.remember(reference.found.parts)
            for outcome in outcomes:
                findings.tell(outcome)
            if findings.full:
                return
        for file, fqn in target.files:
            findings.tell(truth.check(f"{file.place}.secret_fqn", fqn, "the file is empty"))


def _distinct(wanted: list[Target]) -> int:
    names: set[str] = set()
    for target in wanted:
        for reference in target.references:
            names.update(reference.found.parts[1::2])
        names.update(str(fqn) for _, fqn in target.files)
    return len(names)


def _taken(name: str) -> Problem:
    return Problem(
        f"spec.volumes[{name}]", Reason.NAME_TAKEN, f"a volume named '{name}' that is not ours", "any other name", "rename the volume"
    )
