# ruff: noqa: ARG002 - the interface is the service's
"""The management service in memory: for rules about the page, not about stores and resources. It decides with the real access rules."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from broker.errors import Conflict, Denied, InvalidRequest, NotFound
from broker.groups.model import (
    Activity,
    Collaborator,
    DeletedKey,
    GroupView,
    KeyView,
    Notice,
    Page,
    Revealed,
    StoreView,
    Versions,
    VersionView,
    Written,
)
from broker.groups.service import NEW, Groups
from contract.access import ROLE_ACTIONS
from contract.access import Action
from contract.envfile import cannot_carry
from contract.fqn import is_part

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
STORES = (
    StoreView("main", "acme/embedded/main", "embedded", True, may_create=True),
    StoreView("vault", "acme/vault/prod", "vault", False, "SecretStore vault: cannot be reached", may_create=True),
)


@dataclass
class Kept:
    """One group as it is kept: keys with their values, oldest first."""

    name: str
    roles: dict  # subject -> role
    keys: dict = field(default_factory=dict)
    gone: dict = field(default_factory=dict)
    revision: int = 1
    store: str = "main"
    managed_by: str | None = None


class MemoryGroups(Groups):
    def __init__(self, *groups, admins=frozenset(), stores=STORES):
        self.kept = {group.name: group for group in groups}
        self.admins, self.shown_stores = frozenset(admins), stores
        self.error = None  # raised by the next change or reveal
        self.done = []
        self.counted = True  # whether the store counts versions
        self.happened = []

    def may(self, caller, action, group):
        kept = self.kept.get(group)
        return kept is not None and action in self._actions(caller, kept)

    def may_create(self, caller):
        return not self.admins.isdisjoint(caller.subjects)

    def _actions(self, caller, kept):
        if self.may_create(caller):
            return frozenset(Action)
        return frozenset(a for subject in caller.subjects for a in ROLE_ACTIONS.get(kept.roles.get(subject), ()))

    def _open(self, caller, group, action):
        if not self.may(caller, action, group):
            raise Denied("denied")
        return self.kept[group]

    def _change(self, what):
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.done.append(what)

    def view(self, caller, kept):
        return GroupView(
            kept.name,
            f"acme:{kept.name}",
            kept.store,
            "acme/embedded/main",
            tuple(KeyView(key, f"tfy-secret://acme:{kept.name}:{key}") for key in kept.keys),
            tuple(Collaborator(s, r) for s, r in kept.roles.items()) if Action.SHARE in self._actions(caller, kept) else (),
            str(kept.revision),
            self._actions(caller, kept),
            MOMENT,
            "ann@acme.example",
            MOMENT,
            kept.managed_by,
            tuple(DeletedKey(key, MOMENT + timedelta(minutes=10), "ann@acme.example") for key in kept.gone),
        )

    async def list(self, caller, origin, search="", limit=100, offset=0):
        words = search.lower().split()
        found = [
            kept
            for name, kept in sorted(self.kept.items())
            if Action.LIST in self._actions(caller, kept)
            and all(any(w in t.lower() for t in (name, kept.store, *kept.keys)) for w in words)
        ]
        return Page(tuple(self.view(caller, kept) for kept in found[offset : offset + limit]), len(found), limit, offset)

    async def get(self, caller, group, origin):
        return self.view(caller, self._open(caller, group, Action.LIST))

    async def stores(self, caller, origin):
        return (
            self.shown_stores if self.may_create(caller) else tuple(replace(s, problem=None, may_create=False) for s in self.shown_stores)
        )

    async def versions(self, caller, group, key, origin):
        values = self._open(caller, group, Action.LIST).keys[key]
        newest = len(values)
        if not self.counted:
            return Versions((), listed=False)
        return Versions(tuple(VersionView(str(n), MOMENT, "ann@acme.example", n == newest) for n in range(newest, 0, -1)))

    async def activity(self, caller, group, origin):
        self._open(caller, group, Action.SHARE)
        return tuple(self.happened)

    def check_value(self, key, value):
        limit = cannot_carry(value.reveal(), key)
        return (Notice(limit.code, limit.sentence),) if limit else ()

    async def create(self, caller, new, origin, *, dry_run=False):
        if not self.may_create(caller):
            raise Denied("denied")
        if not is_part(new.name):
            raise InvalidRequest(f"metadata.name: found '{new.name}'; allowed: lower-case letters, digits, '-' and '.'")
        if new.name in self.kept:
            raise Conflict(f"there is a group '{new.name}' already")
        self._change(("create", new.name))
        self.kept[new.name] = Kept(new.name, {}, store=new.store)
        return self.view(caller, self.kept[new.name])

    async def set_collaborators(self, caller, group, collaborators, origin, *, expected=None):
        kept = self._open(caller, group, Action.SHARE)
        if expected not in (None, str(kept.revision)):
            raise Conflict("someone changed the group", ("bob added user:eve",), str(kept.revision))
        self._change(("share", group))
        kept.roles = {c.subject: c.role for c in collaborators}
        kept.revision += 1
        return self.view(caller, kept)

    async def put_key(self, caller, group, key, value, origin, *, expected=None):
        kept = self._open(caller, group, Action.LIST)
        values = kept.keys.get(key, [])
        if not self.may(caller, Action.EDIT if values else Action.CREATE, group):
            raise Denied("denied")
        if not is_part(key):
            raise InvalidRequest("the key's name is not allowed")
        newest = str(len(values)) if self.counted else str(kept.revision)
        if expected is not None and expected != (newest if values else NEW):
            raise Conflict("the key changed", (f"bob saved version {len(values)}",), newest)
        self._change(("put", group, key, value.reveal()))
        kept.keys[key] = [*values, value]
        kept.revision += not self.counted
        return Written(f"tfy-secret://acme:{group}:{key}", str(len(values) + 1), not values)

    async def restore_version(self, caller, group, key, version, origin):
        values = self._open(caller, group, Action.EDIT).keys[key]
        if not version.isdigit() or not 1 <= int(version) <= len(values):
            raise NotFound(f"version '{version[:20]}' is not there")
        return await self.put_key(caller, group, key, values[int(version) - 1], origin)

    async def delete_key(self, caller, group, key, origin, *, expected=None, undo=False, force=False):
        kept = self._open(caller, group, Action.EDIT)
        if expected not in (None, str(kept.revision)):
            raise Conflict("someone changed the group", ("bob added a key",), str(kept.revision))
        self._change(("delete", group, key, undo, force))
        kept.gone[key] = kept.keys.pop(key)

    async def undo_delete(self, caller, group, key, origin):
        kept = self._open(caller, group, Action.EDIT)
        if key not in kept.gone:
            raise NotFound("its time is over")
        self._change(("undo", group, key))
        kept.keys[key] = kept.gone.pop(key)
        return self.view(caller, kept)

    async def delete_group(self, caller, group, origin, *, expected=None, force=False):
        kept = self._open(caller, group, Action.SHARE)
        if expected not in (None, str(kept.revision)):
            raise Conflict("someone changed the group", ("bob added a key",), str(kept.revision))
        self._change(("delete-group", group))
        del self.kept[group]

    async def reveal(self, caller, group, key, origin, version=None):
        values = self._open(caller, group, Action.REVEAL).keys[key]
        self._change(("reveal", group, key, version))
        if version is not None and not (version.isdigit() and 1 <= int(version) <= len(values)):
            raise NotFound(f"version '{version[:20]}' is not there")
        number = int(version) if version else len(values)
        return Revealed(f"tfy-secret://acme:{group}:{key}", str(number), values[number - 1])


def happening(action, **named):
    return Activity(MOMENT, "ann@acme.example", action, **named)
