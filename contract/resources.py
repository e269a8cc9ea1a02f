"""`SecretStore` and `SecretGroup`: what their manifests may say, read from the Kubernetes API or from a folder.

The CRDs in manifests/ refuse the same faults at `kubectl apply`; this is the same check for manifests in a folder, and for
objects that an older CRD let through. All faults of an object are reported together. No value is ever in one.
"""

import re
from collections.abc import Mapping
from typing import Any

from contract.fqn import ROOT, is_part, shorten
from contract.references import STORE_FQN_FORM, is_store_fqn
from contract.keys import API_VERSION
from contract.providers import read_provider
from contract.record import record

ROLES = ("secret-group-admin", "secret-group-editor", "secret-group-viewer", "secret-group-consumer")
SUBJECT_FORM = "user:<name>, team:<name>, serviceaccount:<namespace>/<name> or namespace:<name>"

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SUBJECT = re.compile(rf"(?:user|team):\S(?:.*\S)?|serviceaccount:{_LABEL}/{_LABEL}(?:\.{_LABEL})*|namespace:{_LABEL}")


class ResourceError(ValueError):
    """A SecretStore or SecretGroup that cannot be used; `problems` are sentences that name the field."""

    def __init__(self, kind: str, name: str, problems: list[str]) -> None:
        self.kind, self.name, self.problems = kind, name, problems
        super().__init__(f"{kind} {name}: " + "; ".join(problems))


@record
class AllowRule:
    """Who may have which of a store's own paths injected. A path allows itself and what is below it."""

    subjects: frozenset[str]
    paths: tuple[str, ...]


@record
class SecretStore:
    """A configured store. `provider` is one of PROVIDERS, `settings` its object; neither holds a credential."""

    name: str
    fqn: str
    provider: str
    settings: Mapping[str, Any]
    allow: tuple[AllowRule, ...] = ()


@record
class SecretGroup:
    """A group's key names and who has which role; `roles` is subject -> roles."""

    name: str
    store: str
    keys: tuple[str, ...]
    roles: Mapping[str, frozenset[str]]


def parse_store(manifest: Mapping[str, Any]) -> SecretStore:
    """Raises ResourceError with every fault."""
    name, spec, problems = _head(manifest, {"fqn", "provider", "allow"})
    fqn = spec.get("fqn")
    if not isinstance(fqn, str) or not is_store_fqn(fqn):
        problems.append(f"spec.fqn: found {_shown(fqn)}; allowed: {STORE_FQN_FORM}")
    provider, settings = read_provider(spec.get("provider"), problems)
    allow = [_allow_rule(rule, f"spec.allow[{i}]", problems) for i, rule in enumerate(_list(spec, "allow", problems))]
    if problems:
        raise ResourceError("SecretStore", name, problems)
    return SecretStore(name, str(fqn), provider, settings, tuple(allow))


def parse_group(manifest: Mapping[str, Any]) -> SecretGroup:
    """Raises ResourceError with every fault."""
    name, spec, problems = _head(manifest, {"store", "keys", "collaborators"})
    if not is_part(name):
        problems.append("metadata.name: must be usable in an FQN: letters, digits, '.', '_' and '-'")
    store = spec.get("store")
    if not isinstance(store, str) or not store:
        problems.append(f"spec.store: found {_shown(store)}; allowed: the name of a SecretStore")
    keys = _list(spec, "keys", problems)
    for index, key in enumerate(keys):
        if not isinstance(key, str) or not is_part(key):
            problems.append(f"spec.keys[{index}]: found {_shown(key)}; allowed: letters, digits, '.', '_' and '-'")
        elif key in keys[:index]:
            problems.append(f"spec.keys[{index}]: '{key}' is listed twice")
    roles = _roles(_list(spec, "collaborators", problems), problems)
    if problems:
        raise ResourceError("SecretGroup", name, problems)
    return SecretGroup(name, str(store), tuple(keys), roles)


def _head(manifest: Mapping[str, Any], known: set[str]) -> tuple[str, Mapping[str, Any], list[str]]:
    metadata, spec = manifest.get("metadata"), manifest.get("spec")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    problems = []
    if manifest.get("apiVersion") != API_VERSION:
        problems.append(f"apiVersion: found {_shown(manifest.get('apiVersion'))}; allowed: {API_VERSION}")
    if not isinstance(name, str) or not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", name):
        problems.append(f"metadata.name: found {_shown(name)}; allowed: lower-case letters, digits, '-' and '.'")
    if not isinstance(spec, dict):
        problems.append("spec: is missing")
        spec = {}
    allowed = ", ".join(sorted(known))
    problems += [f"spec.{shorten(str(field), 40)}: unknown field; allowed: {allowed}" for field in spec if field not in known]
    return str(name), spec, problems


def _allow_rule(rule: Any, place: str, problems: list[str]) -> AllowRule:
    if not isinstance(rule, dict) or set(rule) != {"subjects", "paths"}:
        problems.append(f"{place}: subjects and paths are needed, and nothing else")
        return AllowRule(frozenset(), ())
    subjects, paths = _list(rule, "subjects", problems, place), _list(rule, "paths", problems, place)
    for index, subject in enumerate(subjects):
        _check_subject(subject, f"{place}.subjects[{index}]", problems)
    for index, path in enumerate(paths):
        if not isinstance(path, str) or not path or ".." in path.split("/"):
            problems.append(f"{place}.paths[{index}]: found {_shown(path)}; allowed: a path such as /{ROOT}/mail/")
    return AllowRule(frozenset(map(str, subjects)), tuple(map(str, paths)))


def _roles(collaborators: list[Any], problems: list[str]) -> Mapping[str, frozenset[str]]:
    roles: dict[str, frozenset[str]] = {}
    for index, collaborator in enumerate(collaborators):
        place = f"spec.collaborators[{index}]"
        if not isinstance(collaborator, dict) or set(collaborator) != {"role", "subject"}:
            problems.append(f"{place}: role and subject are needed, and nothing else")
            continue
        role, subject = collaborator["role"], collaborator["subject"]
        if role not in ROLES:
            problems.append(f"{place}.role: found {_shown(role)}; allowed: {', '.join(ROLES)}")
        _check_subject(subject, f"{place}.subject", problems)
        if not problems:
            roles[subject] = roles.get(subject, frozenset()) | {role}
    return roles


def is_subject(text: str) -> bool:
    return _SUBJECT.fullmatch(text) is not None


def _check_subject(subject: Any, place: str, problems: list[str]) -> None:
    if not isinstance(subject, str) or not is_subject(subject):
        problems.append(f"{place}: found {_shown(subject)}; allowed: {SUBJECT_FORM}")


def _list(holder: Mapping[str, Any], field: str, problems: list[str], place: str = "spec") -> list[Any]:
    value = holder.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        problems.append(f"{place}.{field}: a list is needed")
        return []
    return value


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"'{shorten(str(value), 60)}'" if isinstance(value, str) else type(value).__name__
