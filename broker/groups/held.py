"""A SecretGroup as it was read for a change: its rules, what is pending, who made it, and the marks that later writes are compared with.

`version` changes with store, keys and collaborators; people get it as `shown`, which changes with values too. `mark` is for writes: it
changes with anything. All are opaque.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from broker.groups.intents import Foreign, Intent, Step, decode, foreign
from broker.groups.model import Collaborator
from broker.groups.saves import version_of
from contract.keys import CREATED_BY, PENDING
from contract.resources import SecretGroup, parse_group

Manifest = Mapping[str, Any]
# Whose mark on a resource says that something else writes it too, and what to call that.
_MANAGERS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
    "kubectl.kubernetes.io/last-applied-configuration": "kubectl apply",
}


@dataclass(frozen=True, slots=True)
class Held:
    """`created_by` None: not made through the broker."""

    group: SecretGroup
    collaborators: tuple[Collaborator, ...]
    version: str
    mark: str
    uid: str = ""
    pending: tuple[Intent, ...] = ()
    created: datetime | None = None
    created_by: str | None = None
    updated: datetime | None = None
    managed_by: str | None = None
    activity: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    foreign: tuple[Foreign, ...] = field(default=(), repr=False)  # what is pending and cannot be read

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def keys(self) -> tuple[str, ...]:
        return self.group.keys

    @property
    def shown(self) -> str:
        """The version, as people get it and give it back."""
        return version_of(self.version, self.activity)

    @property
    def going(self) -> bool:
        """Whether the group is being deleted."""
        return any(found.whole and found.step is Step.DELETE for found in self.pending)

    @property
    def half_made(self) -> bool:
        """Whether the group is only just coming, or going: nobody is shown it."""
        return any(found.whole for found in self.pending)


def held_from_api(manifest: Manifest) -> Held:
    """Raises ResourceError for an object that cannot be used."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    notes = metadata.get("annotations") or {}
    created = time_of(metadata.get("creationTimestamp"))
    activity = tuple(entry for entry in status.get("activity") or () if isinstance(entry, dict))
    uid = str(metadata.get("uid") or "")
    return Held(
        group=parse_group(manifest),
        collaborators=collaborators_of(manifest),
        version=f"{metadata.get('generation', 0)}-{uid[:8]}",
        mark=str(metadata.get("resourceVersion") or ""),
        uid=uid,
        pending=decode(notes.get(PENDING)),
        created=created,
        created_by=notes.get(CREATED_BY),
        updated=last_change(activity) or created,
        managed_by=manager_of(metadata),
        activity=activity,
        foreign=foreign(notes.get(PENDING)),
    )


def collaborators_of(manifest: Manifest) -> tuple[Collaborator, ...]:
    """In the manifest's order, each once."""
    found = (manifest.get("spec") or {}).get("collaborators") or ()
    return tuple(dict.fromkeys(Collaborator(str(c["subject"]), str(c["role"])) for c in found))


def rules_of(collaborators: Iterable[Collaborator]) -> list[dict[str, str]]:
    """As a manifest has them."""
    return [{"role": c.role, "subject": c.subject} for c in collaborators]


def manager_of(metadata: Mapping[str, Any]) -> str | None:
    notes, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    for mark, name in _MANAGERS.items():
        if mark in notes or mark in labels:
            return name
    said = labels.get("app.kubernetes.io/managed-by")
    return str(said) if said else None


def fingerprint(document: Any) -> str:
    """A mark for content where nobody counts versions for us."""
    encoded = json.dumps(document, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(encoded.encode()).hexdigest()[:16]


def time_of(text: Any) -> datetime | None:
    """Kubernetes' time, or None."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def last_change(activity: tuple[Mapping[str, Any], ...]) -> datetime | None:
    times = [time_of(entry.get("time")) for entry in activity if entry.get("action") != "reveal"]
    return max((time for time in times if time is not None), default=None)
