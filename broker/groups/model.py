"""What the management service shows and takes: frozen views of groups, keys, versions, stores and what people did; never a value.

A view is one moment's state, made for one caller: `actions` says what that caller may do. Versions of a group (`GroupView.version`)
change with its keys and collaborators, not when someone reveals a value or its status is written; versions of a key are the store's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from contract.access import Action
from contract.values import SecretValue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Collaborator:
    """Who has which role. `subject` as in spec.collaborators (`user:ann@acme.example`), `role` one of contract.resources.ROLES."""

    subject: str
    role: str


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key of a group. `fqn` is what a pod's author writes."""

    key: str
    fqn: str


@dataclass(frozen=True, slots=True)
class DeletedKey:
    """A key that was deleted with an undo: it is not usable, and its value is deleted at `until`."""

    key: str
    until: datetime
    by: str | None = None


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as one caller may see it. `version` goes back as `expected` with a change; `created_by` None: not made here.

    `managed_by` names what else writes the resource (Helm, Argo CD, Flux, ...): keys that are added here may be taken away by it.
    `problems`: why the group cannot be used as it stands (its store is missing, for one).
    """

    name: str
    fqn: str
    store: str
    store_fqn: str | None
    keys: tuple[KeyView, ...]
    collaborators: tuple[Collaborator, ...]
    version: str
    actions: frozenset[Action]
    created: datetime | None = None
    created_by: str | None = None
    updated: datetime | None = None
    managed_by: str | None = None
    deleted_keys: tuple[DeletedKey, ...] = ()
    problems: tuple[str, ...] = ()

    def may(self, action: Action) -> bool:
        return action in self.actions


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list: `total` counts all that the caller may see and that match."""

    items: tuple[T, ...]
    total: int
    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of a key that can be read. `created` and `author` None: neither the store nor the group's activity tells."""

    version: str
    created: datetime | None
    author: str | None
    current: bool


@dataclass(frozen=True, slots=True)
class Versions:
    """A key's versions, newest first. `listed` False: the store cannot list them, and `items` is empty."""

    items: tuple[VersionView, ...]
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that somebody did with a group. `action` is one of ACTIONS; `source` the address it came from."""

    time: datetime
    who: str
    action: str
    key: str | None = None
    version: str | None = None
    source: str | None = None
    detail: str | None = None  # whose role changed, for `share`; never a value


NOT_DELETED = "not-deleted"  # told by the broker itself, long after the deletion
# Activity.action and the words a page may use for it.
ACTIONS: Mapping[str, str] = {
    "create-group": "created the group",
    "delete-group": "deleted the group",
    "create": "added the key",
    "edit": "saved a new version",
    "restore": "restored an older version",
    "delete": "deleted the key",
    "undo": "undid the deletion",
    NOT_DELETED: "wanted it deleted, which the store refused: the key is back",
    "reveal": "looked at the value",
    "share": "changed collaborators",
}


@dataclass(frozen=True, slots=True)
class StoreView:
    """A SecretStore on which groups are or can be made. `healthy` None: not asked yet. `problem` only for those who may act on it."""

    name: str
    fqn: str
    provider: str
    healthy: bool | None
    problem: str | None = None
    may_create: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """What a value means for pods, when it is no reason to refuse it. `code` is one of contract.envfile.LIMITS."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Revealed:
    """A value for someone who may see it, already audited."""

    fqn: str
    version: str | None
    value: SecretValue = field(repr=False)


@dataclass(frozen=True, slots=True)
class Written:
    """A new version. `created`: the key is new in the group."""

    fqn: str
    version: str
    created: bool
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A group to be made. `store` is a SecretStore's name or FQN. The creator becomes an admin besides `collaborators`."""

    name: str
    store: str
    collaborators: tuple[Collaborator, ...] = ()
    secrets: Mapping[str, SecretValue] = field(default_factory=dict, repr=False)
