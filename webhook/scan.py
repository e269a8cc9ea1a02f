"""Find what a pod wants: references in `env[].value`, files of the annotation; and references where none can be delivered.

`valueFrom` entries are never looked into. Nothing is changed here.
"""

from collections.abc import Iterator
from difflib import get_close_matches

from contract import keys
from contract.catalog import Catalog
from contract.fqn import SCHEME, FqnError, ManagedSecret, shorten
from contract.plan import FileDelivery
from contract.references import Template, find_references, looks_like_store_path
from webhook.expansion import Environment, UnknownVariable
from webhook.files import WantedFile, mount_problem, read_fqn
from webhook.injected import Injection
from webhook.modes import EnvReference
from webhook.patch import pointer
from webhook.pod import PodSpec
from webhook.problem import Problem, Reason
from webhook.target import Findings, Target


def targets_of(spec: PodSpec) -> Iterator[Target]:
    """Every container that can get secrets, init containers first, in the order in which they start."""
    for kind, containers in (("initContainers", spec.initContainers), ("containers", spec.containers)):
        for index, container in enumerate(containers or ()):
            if container.name != keys.INIT_CONTAINER:
                yield Target(container, kind, index)


def find_env(target: Target, service_links: bool, catalog: Catalog, findings: Findings) -> None:
    """Add the container's references to it, in their order."""
    for index, entry in enumerate(target.container.env or ()):
        value = entry.value
        if not value or (SCHEME not in value and "::" not in value) or entry.valueFrom is not None:
            continue
        place = f"{target.place}.env[{entry.name}]"
        try:
            template = find_references(value, catalog.store_fqns)
        except FqnError as error:
            findings.tell(Problem.of_fqn(place, error))
            continue
        if template is None:
            findings.tell(_unknown_store(place, value, catalog))
            continue
        if any("$" in text for text in template.texts):
            expanded = _expanded(place, target, index, template, service_links, catalog)
            if isinstance(expanded, Problem):
                findings.tell(expanded)
                continue
            template = expanded
        where = pointer("spec", target.kind, target.index, "env", index)
        target.references.append(EnvReference(where, place, entry.name, template))
        findings.count("managed", sum(isinstance(fqn.secret, ManagedSecret) for fqn in template.fqns))
        findings.count("store", sum(not isinstance(fqn.secret, ManagedSecret) for fqn in template.fqns))


def find_files(
    targets: list[Target], files: tuple[WantedFile, ...], injection: Injection | None, spec: PodSpec, catalog: Catalog, findings: Findings
) -> None:
    """Add the annotation's files to the containers that are to have them, unless an earlier call did."""
    names = [target.container.name for target in targets]
    for file in files:
        fqn = read_fqn(file, catalog.store_fqns, findings.problems)
        for name in file.containers or ():
            if name not in names:
                near = get_close_matches(name, names, 1)
                fix = f"did you mean {near[0]}?" if near else "correct the name"
                findings.tell(
                    Problem(f"{file.place}.containers", Reason.BAD_ANNOTATION, f"the unknown container '{name}'", ", ".join(names), fix)
                )
        for target in targets if fqn is not None else ():
            if not file.wanted_by(target.container.name, target.is_app) or _delivered(file, str(fqn), target, injection):
                continue
            outcome = _clash(file, target) or mount_problem(file, target.container, spec)
            findings.tell(outcome)
            if fqn is not None and not isinstance(outcome, Problem):
                target.files.append((file, fqn))
                findings.count("file")


def find_undeliverable(spec: PodSpec, findings: Findings) -> None:
    """A reference in a command, its arguments, or an ephemeral container would reach the process as a name: refuse it."""
    kinds = (("initContainers", spec.initContainers), ("containers", spec.containers), ("ephemeralContainers", spec.ephemeralContainers))
    for kind, containers in kinds:
        for index, container in enumerate(containers or ()):
            place = f"spec.{kind}[{container.name or index}]"
            for field, words in (("command", container.command), ("args", container.args)):
                for word in words or ():
                    if SCHEME in word:
                        fix = "put the reference in an env variable and write $(NAME) here"
                        findings.tell(
                            Problem(f"{place}.{field}", Reason.NOT_DELIVERABLE, f"'{shorten(word)}'", "no reference in a command line", fix)
                        )
            for entry in (container.env or ()) if kind == "ephemeralContainers" else ():
                if entry.value and SCHEME in entry.value:
                    fix = "put the reference in a container of the pod, and debug with --share-processes"
                    found = f"'{shorten(entry.value)}'"
                    findings.tell(
                        Problem(f"{place}.env[{entry.name}]", Reason.NOT_DELIVERABLE, found, "no reference in an ephemeral container", fix)
                    )


def _expanded(place: str, target: Target, index: int, template: Template, service_links: bool, catalog: Catalog) -> Template | Problem:
    """The template with `$(VAR)` put in, since the kubelet will not do it for a value from a file."""
    environment = Environment(service_links)
    try:
        for entry in (target.container.env or [])[:index]:
            literal = None if entry.valueFrom is not None else entry.value or ""
            environment.declare(entry.name, literal if literal is None else _read(literal, catalog))
        return environment.resolve(template)
    except UnknownVariable as error:
        found = f"'$({shorten(error.name, 60)})' beside a reference, and {error.why}"
        allowed = "$(NAME) of an earlier variable that has a plain value or a reference"
        fix = "set the reference in a variable of its own, and combine the two in the app or in args"
        return Problem(place, Reason.EXPANSION_UNKNOWN, found, allowed, fix)


def _read(value: str, catalog: Catalog) -> str | Template | None:
    try:
        return find_references(value, catalog.store_fqns) or value
    except FqnError:
        return None  # a problem of its own, told where it stands


def _unknown_store(place: str, value: str, catalog: Catalog) -> str | None:
    store = looks_like_store_path(value, catalog.tenant)
    if store is None:
        return None
    near = get_close_matches(store, catalog.store_fqns, 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    told = f"{place}: '{shorten(store, 80)}::...' looks like a store's path, but no SecretStore has that FQN"
    return f"{told}{hint} The value is passed on as it is."


def _delivered(file: WantedFile, fqn: str, target: Target, injection: Injection | None) -> bool:
    for container in injection.plan.containers if injection else ():
        if container.name == target.container.name:
            return any(_same(file, fqn, done) for done in container.files)
    return False


def _same(file: WantedFile, fqn: str, done: FileDelivery) -> bool:
    return (file.mount_path, fqn, file.mode) == (done.mount_path, done.fqn, done.mode)


def _clash(file: WantedFile, target: Target) -> Problem | None:
    for other, _ in target.files:
        one, two = sorted((file.mount_path, other.mount_path), key=len)
        if one == two or two.startswith(one + "/"):
            found = f"'{file.mount_path}' beside '{other.mount_path}' in container '{target.container.name}'"
            return Problem(
                f"{file.place}.mount_path",
                Reason.MOUNT_IMPOSSIBLE,
                found,
                "one file for each path, none inside another",
                "change one of the paths",
            )
    return None
