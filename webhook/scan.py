"""Find the references in `env[].value`, and those where none can be delivered. Files are found by `mounting`.

`valueFrom` entries are never looked into. Nothing is changed here.
"""

from collections.abc import Iterator
from functools import lru_cache

from contract import keys
from contract.catalog import Catalog
from contract.fqn import SCHEME, FqnError, shorten
from contract.references import Template, find_references, looks_like_store_path
from webhook.injected import Injection
from webhook.pod import PodSpec
from webhook.problem import Problem, Reason, nearest
from webhook.reference import EnvReference, Found
from webhook.rollout import MAX_ENTRIES, KnownEnv, KnownEnvs
from webhook.target import Findings, Target
from webhook.variables import Variables


_KNOWN = KnownEnvs()
SHORT = 256  # characters of a value that is remembered: 4096 of them are a megabyte


def targets_of(spec: PodSpec) -> Iterator[Target]:
    """Every container that can get secrets, init containers first, in the order in which they start."""
    for kind, containers in (("initContainers", spec.initContainers), ("containers", spec.containers)):
        for index, container in enumerate(containers or ()):
            if container.name != keys.INIT_CONTAINER:
                yield Target(container, kind, index)


def find_env(target: Target, service_links: bool, catalog: Catalog, injection: Injection | None, findings: Findings) -> None:
    """Add the container's references to it, in their order."""
    entries, key = target.container.env, None
    if not entries:
        return
    if injection is None and len(entries) <= MAX_ENTRIES:
        key = (target.kind, target.index, target.container.name, service_links, catalog.store_fqns, tuple(entries))
        target.known = _KNOWN.get(key)
    known = target.known
    if known is None:
        told = len(findings.problems) + len(findings.warnings)
        known = KnownEnv.of(_read(target, service_links, catalog, injection, findings))
        if key is not None and len(findings.problems) + len(findings.warnings) == told and _KNOWN.remember(key, known):
            target.known = known
    if known.references:
        target.references = list(known.references)
        findings.count("managed", known.managed)
        findings.count("store", known.number - known.managed)
        if target.variables is None:
            target.variables = Variables(target.container, service_links, catalog.store_fqns, {})


def _read(
    target: Target, service_links: bool, catalog: Catalog, injection: Injection | None, findings: Findings
) -> tuple[EnvReference, ...]:
    start, where = target.place, f"{target.pointer}/env"
    references: list[EnvReference] = []
    delivered = _templates(target, injection)
    variables = Variables(target.container, service_links, catalog.store_fqns, delivered)
    if delivered:
        target.variables = variables
    for index, entry in enumerate(target.container.env or ()):
        value = entry.value
        if not value or (SCHEME not in value and "::" not in value) or entry.valueFrom is not None:
            continue
        try:
            found = _find(value, catalog.store_fqns)
        except FqnError as error:
            findings.tell(Problem.of_fqn(f"{start}.env[{entry.name}]", error))
            continue
        if found is None:
            findings.tell(_unknown_store(f"{start}.env[{entry.name}]", value, catalog))
            continue
        reference = EnvReference(start, where, index, entry.name, found)
        if "$" in value and any("$" in text for text in found.template.texts):
            expanded = variables.resolve(reference.place, index, found.template)
            if isinstance(expanded, Problem):
                findings.tell(expanded)
                continue
            reference = EnvReference(start, where, index, entry.name, Found.of(expanded))
        references.append(reference)
    return tuple(references)


def _find(value: str, stores: frozenset[str]) -> Found | None:
    return _find_again(value, stores) if len(value) <= SHORT else _find_once(value, stores)


def _find_once(value: str, stores: frozenset[str]) -> Found | None:
    template = find_references(value, stores)
    return None if template is None else Found.of(template)


# Pods of one Deployment hold the same values: a rollout asks for the same few names a thousand times.
_find_again = lru_cache(maxsize=4096)(_find_once)


def find_undeliverable(spec: PodSpec, findings: Findings) -> None:
    """A reference in a command, its arguments, or an ephemeral container would reach the process as a name: refuse it."""
    kinds = (("initContainers", spec.initContainers), ("containers", spec.containers), ("ephemeralContainers", spec.ephemeralContainers))
    for kind, containers in kinds:
        for index, container in enumerate(containers or ()):
            place = f"spec.{kind}[{container.name or index}]"
            for field, _, words in container.words():
                for word in words:
                    if SCHEME in word and not findings.full:
                        findings.tell(Problem.in_command_line(f"{place}.{field}", word))
            for entry in (container.env or ()) if kind == "ephemeralContainers" else ():
                if entry.value and SCHEME in entry.value and not findings.full:
                    fix = "put the reference in a container of the pod, and debug with --share-processes"
                    found = f"'{shorten(entry.value)}'"
                    findings.tell(
                        Problem(f"{place}.env[{entry.name}]", Reason.NOT_DELIVERABLE, found, "no reference in an ephemeral container", fix)
                    )


def _unknown_store(place: str, value: str, catalog: Catalog) -> str | None:
    store = looks_like_store_path(value, catalog.tenant)
    if store is None:
        return None
    near = nearest(store, catalog.store_fqns)
    hint = f"; did you mean {near}?" if near else "."
    told = f"{place}: '{shorten(store, 80)}::...' looks like a store's path, but no SecretStore has that FQN"
    return f"{told}{hint} The value is passed on as it is."


def _templates(target: Target, injection: Injection | None) -> dict[str, Template]:
    """The variables of the container that an earlier call delivered."""
    for container in injection.plan.containers if injection else ():
        if container.name == target.container.name:
            return {env.name: Template(env.parts[::2], env.fqns) for env in container.env}
    return {}
