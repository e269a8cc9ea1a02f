"""Decide what to do with a pod, from the pod and what is known of the cluster: `Skip | Reject | Inject`.

references | already injected | decision
---------- | ---------------- | --------------------------------------------------------------
none       | no               | Skip(NOTHING_TO_DO)
none new   | yes              | Skip(ALREADY_DONE), or Inject where our container lost its place, or a command its launcher
malformed  | any              | Reject, with every problem of the pod
good       | any              | Inject: what is new is added to what is there

Pure: no call, no clock. `scan` finds what is wanted, `checks` and `truth` say whether it can be had, `modes` how a variable
arrives, `assembly` makes the patch.
"""

from dataclasses import dataclass, field
from enum import Enum

from contract.catalog import Catalog
from webhook.annotations import Wishes, opted_out, read_wishes
from webhook.assembly import Surroundings, assemble
from webhook.checks import check_kind, check_names, check_truth
from webhook.injected import Injection, find_injection
from webhook.envfile import Envfile
from webhook.exec import Exec, Images, is_whole
from webhook.modes import Mode, Versions, choose_mode
from webhook.mounting import find_files, find_templates
from webhook.patch import Op
from webhook.pod import Pod, PodSpec
from webhook.position import check_position
from webhook.problem import Problem
from webhook.scan import find_env, find_undeliverable, targets_of
from webhook.target import Findings, Target
from webhook.truth import Truths


ENVFILE = Envfile()


class SkipReason(Enum):
    """Why a pod stays as it is; a label of the metrics."""

    NOTHING_TO_DO = "nothing_to_do"
    ALREADY_DONE = "already_done"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True, slots=True)
class Skip:
    reason: SkipReason
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inject:
    """`patch` is a JSON Patch; `references` counts them by kind, for the metrics."""

    patch: tuple[Op, ...]
    references: dict[str, int]
    warnings: tuple[str, ...] = ()


Decision = Skip | Reject | Inject


@dataclass(frozen=True, slots=True)
class Ask:
    """Look these images up and decide again: a container without a command is to be started by the launcher."""

    images: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a decision depends on besides the pod."""

    catalog: Catalog
    versions: Versions
    around: Surroundings
    mode: str = "auto"
    admins: frozenset[str] = frozenset()
    truths: Truths = field(default_factory=Truths)


def plan_injection(pod: Pod, namespace: str, cluster: Cluster, images: Images | None = None) -> Decision | Ask:
    """Decide one pod. `namespace` is the request's: a pod's own may be missing.

    `images` is what is known of the images' commands; without it none can be looked up, and Ask is never the answer.
    """
    images = images or Images(reachable=False)
    if opted_out(pod):
        return Skip(SkipReason.OPTED_OUT)
    spec, findings = pod.spec or PodSpec(), Findings()
    wishes = read_wishes(pod, findings.problems)
    injection = find_injection(spec, findings.problems)
    targets = list(targets_of(spec))
    for target in targets:
        find_env(target, spec.enableServiceLinks is not False, cluster.catalog, injection, findings)
    find_files(targets, wishes.files, injection, spec, cluster.catalog, findings)
    find_templates(targets, wishes.templates, injection, spec, findings)
    find_undeliverable(spec, findings)
    launch = Exec(wishes.commands, images, spec)
    modes = _modes(targets, wishes, cluster, injection, launch, findings)
    wanted = [target for target in targets if target.wants]
    if not wanted and injection is None:
        return _ended(findings, SkipReason.NOTHING_TO_DO)
    check_position(targets, spec, wishes.position, injection, findings)
    if wanted:
        check_kind(pod, spec, cluster.around.broker_url, findings)
        check_truth(wanted, cluster.truths.of_workload(cluster.catalog, cluster.admins, namespace, pod.service_account), findings)
        check_names(wanted, spec, injection, findings)
    if findings.problems:
        return Reject(tuple(findings.problems), tuple(findings.warnings))
    if images.wanted:
        return Ask(frozenset(images.wanted))
    patch = assemble(spec, wanted, injection, wishes.position, modes, cluster.around, findings)
    if patch and not findings.problems:
        return Inject(tuple(patch), findings.references, tuple(findings.warnings))
    return _ended(findings, SkipReason.ALREADY_DONE)


def _ended(findings: Findings, reason: SkipReason) -> Reject | Skip:
    if findings.problems:
        return Reject(tuple(findings.problems), tuple(findings.warnings))
    return Skip(reason, tuple(findings.warnings))


def _modes(
    targets: list[Target], wishes: Wishes, cluster: Cluster, injection: Injection | None, launch: Exec, findings: Findings
) -> dict[str, Mode]:
    """The mode of each container that gets variables; files need none. What an earlier call chose for a container stays."""
    earlier = {plan.name: plan.mode for plan in injection.plan.containers} if injection else {}
    modes: dict[str, Mode] = {}
    for target in targets:
        name = target.container.name
        before = earlier.get(name)
        if not target.references and before != launch.name:
            continue
        target.launched = before == launch.name
        target.lost = target.launched and not is_whole(target.container)
        fixed = next((mode for mode in (ENVFILE, launch) if mode.name == before), None)
        mode = fixed or choose_mode(*wishes.mode_of(name, cluster.mode), cluster.versions, ENVFILE, launch, findings)
        if mode is not None:
            mode.check(target, findings)
            modes[name] = mode
    return modes
