"""The management service: what people do with secret groups, for the API and for the page.

Every method decides for the caller first, and a denial never tells whether the group or key exists: a caller without a role gets
Denied for both. Every change and every reveal is in the audit log before it is done and after. Raises broker.errors alone, and
AuditFailed (broker.audit) when nothing could be written down and so nothing was done.

error                         | when
----------------------------- | -----------------------------------------------------------------------------
Denied                        | no role, or nothing there that the caller may know of
NotFound                      | not there, and the caller may know it (has the role, or is a tenant admin)
InvalidRequest, TooLarge      | what was given cannot be stored; the message says what is allowed
Conflict                      | someone else changed it since; `.changes` are sentences, `.version` is the present version
Throttled                     | too many reveals; `.retry_after` seconds
StoreFailed                   | the store did not do it; `.cause` is its error. What was begun is undone, or finished later
Unavailable, Misconfigured    | the Kubernetes API, or the folder, cannot be written
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar
from weakref import WeakValueDictionary

import structlog

from broker import audit
from broker.audit import Line, Origin
from broker.errors import BrokerError, Conflict, Denied, InvalidRequest, Misconfigured, NotFound, Throttled, Unsupported
from broker.gate import Gate, name_of
from broker.groups import activity as activities
from broker.groups.changes import UNDO_FOR, Changes, Check, Done
from broker.groups.checks import ADMIN, check_group, check_keys, check_size, notices_of, subject_of
from broker.groups.differences import conflict, share_detail
from broker.groups.health import Health
from broker.groups.held import Held
from broker.groups.index import Index, State
from broker.groups.model import (
    Activity,
    Collaborator,
    DeletedKey,
    GroupView,
    KeyView,
    NewGroup,
    Notice,
    Page,
    Revealed,
    StoreView,
    Versions,
    VersionView,
    Written,
)
from broker.groups.resources import Resources
from broker.groups.values import Values
from broker.identity import Caller
from broker.rates import Rates
from broker.resolve import DENIED_SENTENCE
from broker.stores.store import Stored, StoredVersion
from contract.access import ROLE_ACTIONS, Action, Allow
from contract.catalog import GROUP
from contract.fqn import SCHEME, Fqn, ManagedSecret
from contract.resources import SecretGroup, SecretStore
from contract.values import SecretValue

T = TypeVar("T")
log = structlog.get_logger()
NEW = ""  # `expected` of put_key: the key must not be there yet
WRITE = "write"  # what a denied write is called: it is not known whether it would have created or edited
MAX_SEARCH = 256  # characters
REVEAL_SENTENCE = "too many values were looked at; wait a little and try again"
REMEMBER_SECONDS = 3.0


class Groups:
    """Stateless but for caches: two replicas may serve the same groups."""

    def __init__(
        self,
        gate: Gate,
        index: Index,
        resources: Resources,
        values: Values,
        changes: Changes,
        health: Health,
        reveals: Rates | None = None,
        creators: frozenset[str] = frozenset(),
    ) -> None:
        self._gate, self._index, self._resources, self._values = gate, index, resources, values
        self._changes, self._health, self._reveals, self._creators = changes, health, reveals, creators
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @property
    def tenant(self) -> str:
        return self._gate.catalog.tenant

    # --- look --------------------------------------------------------------------------------------------------------

    def may(self, caller: Caller, action: Action, group: str) -> bool:
        """Whether the caller may do this in the group, as far as this replica knows; False for a group that is not there."""
        return action in self._gate.actions(caller, self._known(group))

    def may_create(self, caller: Caller) -> bool:
        """Whether the caller may make groups: tenant admins and the subjects of TFY_SECRET_GROUP_CREATORS."""
        return self._gate.is_admin(caller) or not self._creators.isdisjoint(caller.subjects)

    async def list(self, caller: Caller, origin: Origin, search: str = "", limit: int = 100, offset: int = 0) -> Page[GroupView]:
        """The groups that the caller may LIST, by name. `search`: words that the name, the store or a key must hold, any case."""
        words = search[:MAX_SEARCH].lower().split()
        found = [name for name in self._index.names() if self._shown(caller, name, words)]
        await self._gate.record(origin, Line(Action.LIST.value, f"{SCHEME}{self.tenant}:*", audit.ALLOW, "ok"))
        views = [self._view(caller, held) for name in found[offset : offset + limit] if (held := self._index.held(name)) is not None]
        return Page(tuple(views), len(found), limit, offset)

    async def get(self, caller: Caller, group: str, origin: Origin) -> GroupView:
        """One group as it is now (LIST)."""
        held = await self._open(caller, Action.LIST, group, origin)
        await self._gate.record(origin, Line(Action.LIST.value, name_of(self.tenant, group), audit.ALLOW, "ok"))
        self._index.keep(held)
        return self._view(caller, held)

    async def stores(self, caller: Caller, origin: Origin) -> tuple[StoreView, ...]:  # noqa: ARG002 - as every other method
        """For those who may make groups every usable store; for others those of the groups they may LIST. Health is at most 15 s old."""
        catalog, creates = self._gate.catalog, self.may_create(caller)
        visible = (
            sorted(catalog.stores)
            if creates
            else sorted({g.store for g in catalog.groups.values() if self.may(caller, Action.LIST, g.name)})
        )
        stores = [store for name in visible if (store := catalog.stores.get(name)) is not None]
        known = await self._health.look(stores)
        made = []
        for store in stores:
            found = known.get(store.name)
            problem = found.problem if found and creates else None
            made.append(StoreView(store.name, store.fqn, store.provider, found.healthy if found else None, problem, creates))
        return tuple(made)

    async def versions(self, caller: Caller, group: str, key: str, origin: Origin) -> Versions:
        """A key's versions (LIST), newest first, with who made them as far as the group's activity reaches back."""
        try:
            found = await self.stored_versions(caller, Fqn(ManagedSecret(self.tenant, group, key)), origin)
        except Unsupported:
            return Versions((), listed=False)
        authors = {entry.version: entry for entry in reversed(await self._activity(group)) if entry.key == key and entry.action in _WRITES}
        return Versions(tuple(_version_view(stored, authors.get(stored.version), stored is found[-1]) for stored in reversed(found)))

    async def activity(self, caller: Caller, group: str, origin: Origin) -> tuple[Activity, ...]:
        """What people did with the group lately (SHARE: its admins), newest first."""
        await self._open(caller, Action.SHARE, group, origin, said="activity")
        await self._gate.record(origin, Line("activity", name_of(self.tenant, group), audit.ALLOW, "ok"))
        return await self._activity(group)

    def check_value(self, key: str, value: SecretValue) -> tuple[Notice, ...]:
        """What the value means for pods, before it is saved: nothing, or which delivery mode cannot carry it."""
        return notices_of(key, value)

    # --- change ------------------------------------------------------------------------------------------------------

    async def create(self, caller: Caller, new: NewGroup, origin: Origin, *, dry_run: bool = False) -> GroupView:
        """Make a group, with its first secrets. Conflict if the name is taken."""
        said = "create-group"
        if not self.may_create(caller):
            raise await self._gate.refusal(caller, said, new.name, None, origin)
        collaborators = tuple(dict.fromkeys((Collaborator(subject_of(caller), ADMIN), *new.collaborators)))
        check_keys(new.secrets)
        check_group(new.name, collaborators)
        check_size(*new.secrets.values())
        store = self._usable_store(new.store)
        if self._known(new.name) is not None or (GROUP, new.name) in self._gate.catalog.problems:
            raise Conflict(f"there is a secret group '{new.name}' already")
        if dry_run:
            made = SecretGroup(new.name, store.name, tuple(new.secrets), {})
            return self._view(caller, Held(made, collaborators, "", ""), ROLE_ACTIONS[ADMIN])
        name, keys = name_of(self.tenant, new.name), tuple(new.secrets)
        await self._announce(origin, said, name, [("create", key) for key in keys], new.name)
        done = await self._result(origin, said, name, self._changes.create(new.name, store.name, collaborators, new.secrets, caller.name))
        entries = [("create-group", None, None), *(("create", key, done.versions.get(key)) for key in keys)]
        await self._results(origin, new.name, entries[1:])
        await self._remember(caller, origin, new.name, entries)
        return self._view(caller, done.held)

    async def set_collaborators(
        self,
        caller: Caller,
        group: str,
        collaborators: Iterable[Collaborator],
        origin: Origin,
        *,
        expected: str | None = None,
        keep_admins: bool = False,
        dry_run: bool = False,
    ) -> GroupView:
        """Replace who has which role (SHARE). `expected`: GroupView.version that the change was made from. One admin must stay;

        `keep_admins`: when none is named, those who are there stay (a manifest that names other people need not name them).
        """
        wanted = tuple(dict.fromkeys(collaborators))
        before = await self._open(caller, Action.SHARE, group, origin)
        check_group(group, wanted)

        def made(held: Held) -> tuple[Collaborator, ...]:
            admins = tuple(c for c in held.collaborators if c.role == ADMIN)
            if not admins or any(c.role == ADMIN for c in wanted):
                return wanted
            if keep_admins:
                return (*admins, *wanted)
            raise InvalidRequest(f"collaborators: nobody would be {ADMIN}; allowed: one or more. To fix: name one")

        after = made(before)
        if dry_run or (expected is None and set(after) == set(before.collaborators)):
            self._check(caller, Action.SHARE, expected)(before)
            return self._view(caller, before)
        name = name_of(self.tenant, group)
        await self._gate.record(origin, Line(Action.SHARE.value, name, audit.ALLOW, "ok"))
        check = self._check(caller, Action.SHARE, expected)
        held = await self._result(origin, Action.SHARE.value, name, self._changes.set_collaborators(group, check, made))
        detail = share_detail(before.collaborators, held.collaborators)
        if detail is not None:
            await self._remember(caller, origin, group, [("share", None, None)], detail)
        self._index.keep(held)
        return self._view(caller, held)

    async def put_key(
        self, caller: Caller, group: str, key: str, value: SecretValue, origin: Origin, *, expected: str | None = None
    ) -> Written:
        """Save a value: a new key (CREATE) or a new version (EDIT).

        `expected`: the newest version that the caller saw, or NEW for a key that must not be there; None: whatever is there.
        """
        await self._open(caller, (Action.CREATE, Action.EDIT), group, origin, said=WRITE, key=key)
        check_keys([key])
        check_size(value)
        async with self._lock(group, key):
            held = await self._changes.fresh(group)
            return await self._put(caller, held, key, value, origin, expected)

    async def update(
        self, caller: Caller, group: str, secrets: Mapping[str, SecretValue | None], origin: Origin, *, expected: str | None = None
    ) -> GroupView:
        """Make the group hold exactly these keys. None keeps the value; an equal value makes no new version; others are deleted."""
        await self._open(caller, (Action.EDIT, Action.CREATE), group, origin, said=WRITE)
        check_keys(secrets)
        check_size(*(value for value in secrets.values() if value is not None))
        held = await self._changes.fresh(group)
        plan = await self._planned(caller, held, secrets, origin)
        check = self._check(caller, plan.needed, expected)
        check(held)
        if not plan.steps:
            return self._view(caller, held)
        await self._announce(origin, None, "", plan.steps, group)
        done = await self._each_result(
            origin,
            group,
            plan.steps,
            self._changes.apply(group, check, caller.name, new=plan.new, edited=plan.edited, removed=plan.removed),
        )
        entries = [(action, key, done.versions.get(key)) for action, key in plan.steps]
        await self._remember(caller, origin, group, entries)
        return self._view(caller, done.held)

    async def restore_version(self, caller: Caller, group: str, key: str, version: str, origin: Origin) -> Written:
        """Save an older version's value as the newest (EDIT), without showing it to the caller."""
        secret = ManagedSecret(self.tenant, group, key)
        allow = await self._allowed(caller, Action.EDIT, Fqn(secret, version), secret, origin)
        name = str(secret)
        async with self._lock(group, key):
            await self._gate.record(origin, Line("restore", name, audit.ALLOW, "ok", version))

            async def restored() -> tuple[str, SecretValue]:
                old = await self._values.read(allow.store, allow.path, version)
                return await self._values.write(allow.store, allow.path, old.value), old.value

            made, value = await self._result(origin, "restore", name, restored(), lambda done: done[0])
        await self._remember(caller, origin, group, [("restore", key, made)], f"from version {version}")
        return Written(name, made, False, notices_of(key, value))

    async def delete_key(
        self, caller: Caller, group: str, key: str, origin: Origin, *, expected: str | None = None, undo: bool = False, force: bool = False
    ) -> DeletedKey | None:
        """Delete a key and its value (EDIT). `expected` is GroupView.version.

        `undo`: the key is gone at once and its value in ten minutes; until then undo_delete brings both back, in any store.
        `force`: no error when the store fails; the value is deleted when it is back.
        """
        secret = ManagedSecret(self.tenant, group, key)
        held = await self._open(caller, Action.EDIT, group, origin, said="delete", key=key)
        if key not in held.keys:
            await self._gate.record(origin, Line("delete", name_of(self.tenant, group, key), audit.ALLOW, "not_found"))
            raise NotFound(f"group '{group}' has no such key")
        name, check = str(secret), self._check(caller, Action.EDIT, expected)
        due = self._changes.now() + UNDO_FOR if undo else None
        await self._gate.record(origin, Line("delete", name, audit.ALLOW, "ok"))

        async def deleted() -> BrokerError | None:
            found, intent = await self._changes.delete(group, check, key, caller.name, due=due)
            await self._remember(caller, origin, group, [("delete", key, None)])
            return None if undo else await self._changes.finish_delete(found, intent, force=force)

        left = await self._result(origin, "delete", name, deleted())
        if left is not None:
            await self._gate.record(origin, Line("delete", name, audit.ALLOW, left.code, event="result"))
        return DeletedKey(key, due, caller.name) if due is not None else None

    async def undo_delete(self, caller: Caller, group: str, key: str, origin: Origin) -> GroupView:
        """Bring back a key that was deleted with `undo` (EDIT). NotFound when its time is over."""
        await self._open(caller, Action.EDIT, group, origin, said="undo", key=key)
        name = name_of(self.tenant, group, key)
        await self._gate.record(origin, Line("undo", name, audit.ALLOW, "ok"))
        held = await self._result(origin, "undo", name, self._changes.undo_delete(group, self._check(caller, Action.EDIT, None), key))
        await self._remember(caller, origin, group, [("undo", key, None)])
        return self._view(caller, held)

    async def delete_group(self, caller: Caller, group: str, origin: Origin, *, expected: str | None = None, force: bool = False) -> None:
        """Delete a group with its values (SHARE: its admins). `force`: also when the store fails; what stays there is in the audit log."""
        held = await self._open(caller, Action.SHARE, group, origin, said="delete-group")
        name, check = name_of(self.tenant, group), self._check(caller, Action.SHARE, expected)
        await self._announce(origin, "delete-group", name, [("delete", key) for key in held.keys], group)
        left = await self._result(origin, "delete-group", name, self._changes.delete_group(group, check, caller.name, force=force))
        code = "ok" if left is None else left.code  # with `force`: what the store would not delete stays there
        lines = [Line("delete", str(ManagedSecret(self.tenant, group, key)), audit.ALLOW, code, event="result") for key in held.keys]
        await self._gate.record(origin, *lines)

    # --- values ------------------------------------------------------------------------------------------------------

    async def reveal(self, caller: Caller, group: str, key: str, origin: Origin, version: str | None = None) -> Revealed:
        """A value, the newest or the version named (REVEAL), past the cache. Audited, and limited per caller."""
        secret = ManagedSecret(self.tenant, group, key)
        stored = await self.read(caller, Fqn(secret, version), origin)
        return Revealed(str(secret), stored.version or version, stored.value)

    async def read(self, caller: Caller, fqn: Fqn, origin: Origin) -> Stored:
        """As `reveal`, by name. A `#field` is audited; taking it out of the value is the caller's."""
        secret = _managed(fqn)
        allow = await self._allowed(caller, Action.REVEAL, fqn, secret, origin)
        await self._one_more_reveal(caller, fqn, origin)
        stored = await self._gate.recorded(
            origin,
            Action.REVEAL.value,
            str(fqn),
            lambda: self._values.read(allow.store, allow.path, fqn.version),
            lambda found: found.version,
            asked=fqn.version,
        )
        await self._remember(caller, origin, secret.group, [("reveal", secret.key, stored.version or fqn.version)])
        return stored

    async def stored_versions(self, caller: Caller, fqn: Fqn, origin: Origin) -> Sequence[StoredVersion]:
        """Oldest first (LIST). Raises Unsupported where the store cannot list them."""
        secret = _managed(fqn)
        allow = await self._allowed(caller, Action.LIST, fqn, secret, origin)
        return await self._gate.recorded(origin, Action.LIST.value, str(fqn), lambda: self._values.versions(allow.store, allow.path))

    async def delete_version(self, caller: Caller, fqn: Fqn, origin: Origin) -> None:
        """Delete one version of a key's value (EDIT)."""
        secret = _managed(fqn)
        allow = await self._allowed(caller, Action.EDIT, fqn, secret, origin)
        await self._gate.record(origin, Line("delete", str(fqn), audit.ALLOW, "ok", fqn.version))
        deletion = self._values.delete_version(allow.store, allow.path, str(fqn.version))
        await self._result(origin, "delete", str(fqn), deletion, lambda _: fqn.version)
        await self._remember(caller, origin, secret.group, [("delete", secret.key, fqn.version)])

    # --- parts -------------------------------------------------------------------------------------------------------

    def _known(self, group: str) -> SecretGroup | None:
        held = self._index.held(group)
        return None if held is None or held.half_made else self._gate.catalog.groups.get(group)

    def _shown(self, caller: Caller, name: str, words: Sequence[str]) -> bool:
        if Action.LIST not in self._gate.actions(caller, self._known(name)):
            return False
        return not words or all(word in self._index.text(name) for word in words)

    async def _open(
        self,
        caller: Caller,
        needed: Action | Sequence[Action],
        group: str,
        origin: Origin,
        *,
        said: str | None = None,
        key: str | None = None,
    ) -> Held:
        """The group as this replica knows it, for a caller who may do one of these. Raises what the denial means."""
        wanted = (needed,) if isinstance(needed, Action) else tuple(needed)
        known, held = self._known(group), self._index.held(group)
        if known is None or held is None or self._gate.actions(caller, known).isdisjoint(wanted):
            raise await self._gate.refusal(caller, said or wanted[0].value, group, key, origin, there=known is not None)
        return held

    async def _allowed(self, caller: Caller, action: Action, fqn: Fqn, secret: ManagedSecret, origin: Origin) -> Allow:
        """For what concerns one key that is there. The same denial as ever for everything that the caller may not know of."""
        decision = self._gate.decide(caller, action, secret)
        if isinstance(decision, Allow):
            return decision
        raise await self._gate.denied(action.value, fqn, secret, [decision], origin)

    async def _one_more_reveal(self, caller: Caller, fqn: Fqn, origin: Origin) -> None:
        if self._reveals is None:
            return
        try:
            self._reveals.take(caller.name, REVEAL_SENTENCE)
        except Throttled as error:
            await self._gate.record(origin, Line(Action.REVEAL.value, str(fqn), audit.DENY, error.code, fqn.version))
            raise

    def _check(self, caller: Caller, needed: Action | frozenset[Action], expected: str | None) -> Check:
        """Looks at the group as a write would start from it: roles may have changed a moment ago, and so may the group."""
        wanted = frozenset({needed}) if isinstance(needed, Action) else needed

        def check(held: Held) -> None:
            if not wanted <= self._gate.actions(caller, held.group):
                raise Denied(DENIED_SENTENCE)
            if held.half_made:
                raise Conflict(f"secret group '{held.name}' is being made or deleted right now; try again in a moment")
            if expected is not None and expected != held.version:
                raise self._conflict(held, expected)

        return check

    def _conflict(self, held: Held, expected: str) -> Conflict:
        state: State | None = self._index.state(held.name, expected)
        return conflict(held.name, state, held, activities.decode(held.activity))

    async def _put(self, caller: Caller, held: Held, key: str, value: SecretValue, origin: Origin, expected: str | None) -> Written:
        secret, listed = ManagedSecret(self.tenant, held.name, key), key in held.keys
        check_keys([key], len(held.keys) - listed)
        there, newest = await self._newest(held, secret, origin)
        action = Action.EDIT if listed and there else Action.CREATE
        if action not in self._gate.actions(caller, held.group):
            raise await self._gate.refusal(caller, action.value, held.name, key, origin)
        self._expect(held, key, expected, newest if listed else None, there=listed and there)
        name, steps = str(secret), {key: value}
        await self._gate.record(origin, Line(action.value, name, audit.ALLOW, "ok"))
        change = self._changes.apply(
            held.name, self._check(caller, action, None), caller.name, new={} if listed else steps, edited=steps if listed else {}
        )
        done = await self._result(origin, action.value, name, change, lambda done: done.versions[key])
        await self._remember(caller, origin, held.name, [(action.value, key, done.versions[key])])
        return Written(name, done.versions[key], not listed, notices_of(key, value))

    async def _newest(self, held: Held, secret: ManagedSecret, origin: Origin) -> tuple[bool, str | None]:
        try:
            return await self._values.newest(self._store_of(held), secret.path)
        except BrokerError as error:
            await self._gate.record(origin, Line(WRITE, str(secret), audit.ALLOW, error.code))
            raise

    def _expect(self, held: Held, key: str, expected: str | None, newest: str | None, *, there: bool) -> None:
        """Raises Conflict when the key is not as its editor saw it. A store without versions cannot tell."""
        if expected is None or (not there if expected == NEW else there and newest in {None, expected}):
            return
        entry = next((e for e in activities.decode(held.activity) if e.key == key and e.action in _WRITES), None)
        by = f" by {entry.who}" if entry is not None and entry.version == newest else ""
        if expected == NEW:
            change = f"key '{key}' was added{by}"
        elif there:
            change = f"version {newest} of '{key}' was saved{by}"
        else:
            change = f"key '{key}' was deleted"
        raise Conflict(f"{change} since you looked. To fix: look again, then make your change", (change,), newest)

    async def _planned(self, caller: Caller, held: Held, secrets: Mapping[str, SecretValue | None], origin: Origin) -> "_Plan":
        """What an update comes to: values that are equal to what is there are no change."""
        new = {key: value for key, value in secrets.items() if key not in held.keys and value is not None}
        unknown = [key for key, value in secrets.items() if key not in held.keys and value is None]
        if unknown:
            raise InvalidRequest(f"secrets: '{unknown[0]}' is not in the group, so it needs a value")
        check_keys(new, len(held.keys))
        removed = tuple(key for key in held.keys if key not in secrets)
        edited, first = {}, []
        for key, value in secrets.items():
            if key in held.keys and value is not None:
                before = await self._before(held, key)
                if before is None or before != value:
                    edited[key] = value
                    first += [key] if before is None else []
        steps = [("create", key) for key in (*new, *first)] + [("edit", key) for key in edited if key not in first]
        steps += [("delete", key) for key in removed]
        needed = {Action.CREATE if action == "create" else Action.EDIT for action, _ in steps}
        missing = [
            step for step in steps if (Action.CREATE if step[0] == "create" else Action.EDIT) not in self._gate.actions(caller, held.group)
        ]
        if missing:
            raise await self._gate.refusal(caller, missing[0][0], held.name, missing[0][1], origin)
        return _Plan(new, edited, removed, steps, frozenset(needed))

    async def _before(self, held: Held, key: str) -> SecretValue | None:
        try:
            return (await self._values.read(self._store_of(held), ManagedSecret(self.tenant, held.name, key).path)).value
        except NotFound:
            return None

    def _store_of(self, held: Held) -> SecretStore:
        store = self._gate.catalog.stores.get(held.group.store)
        if store is None:
            raise Misconfigured(f"SecretStore '{held.group.store}' of group '{held.name}' does not exist or cannot be used")
        return store

    def _usable_store(self, wanted: str) -> SecretStore:
        catalog = self._gate.catalog
        store = catalog.stores.get(wanted) or catalog.stores_by_fqn.get(wanted)
        if store is None or catalog.stores_by_fqn.get(store.fqn) is not store:
            raise InvalidRequest(
                f"store: no usable SecretStore has this name or FQN; allowed: {', '.join(sorted(catalog.stores)) or 'none'}"
            )
        return store

    async def _activity(self, group: str) -> tuple[Activity, ...]:
        held = await self._resources.read(group)
        return () if held is None else activities.decode(held.activity)

    def _view(self, caller: Caller, held: Held, actions: frozenset[Action] | None = None) -> GroupView:
        store = self._gate.catalog.stores.get(held.group.store)
        problems = () if store else (f"SecretStore '{held.group.store}' does not exist or cannot be used",)
        now = self._changes.now()
        return GroupView(
            name=held.name,
            fqn=f"{self.tenant}:{held.name}",
            store=held.group.store,
            store_fqn=store.fqn if store else None,
            keys=tuple(KeyView(key, str(ManagedSecret(self.tenant, held.name, key))) for key in sorted(held.keys)),
            collaborators=held.collaborators,
            version=held.version,
            actions=self._gate.actions(caller, held.group) if actions is None else actions,
            created=held.created,
            created_by=held.created_by,
            updated=held.updated,
            managed_by=held.managed_by,
            deleted_keys=tuple(DeletedKey(key, i.due, i.by) for i in held.pending if i.due and i.due > now for key in i.keys),
            problems=problems,
        )

    # --- what is written down ----------------------------------------------------------------------------------------

    async def _announce(self, origin: Origin, said: str | None, name: str, steps: Sequence[tuple[str, str]], group: str) -> None:
        """What is allowed and about to be done."""
        lines = [] if said is None else [Line(said, name, audit.ALLOW, "ok")]
        lines += [Line(action, name_of(self.tenant, group, key), audit.ALLOW, "ok") for action, key in steps]
        await self._gate.record(origin, *lines)

    async def _result(
        self, origin: Origin, said: str, name: str, change: Awaitable[T], version: Callable[[T], str | None] = lambda _: None
    ) -> T:
        async def made() -> T:
            return await change

        return await self._gate.recorded(origin, said, name, made, version, event="result")

    async def _each_result(self, origin: Origin, group: str, steps: Sequence[tuple[str, str]], change: Awaitable[Done]) -> Done:
        try:
            done = await change
        except BrokerError as error:
            lines = [Line(a, name_of(self.tenant, group, key), audit.ALLOW, error.code, event="result") for a, key in steps]
            await self._gate.record(origin, *lines)
            raise
        await self._results(origin, group, [(action, key, done.versions.get(key)) for action, key in steps])
        return done

    async def _results(self, origin: Origin, group: str, entries: Sequence[tuple[str, str | None, str | None]]) -> None:
        lines = [Line(action, name_of(self.tenant, group, key), audit.ALLOW, "ok", version, "result") for action, key, version in entries]
        await self._gate.record(origin, *lines)

    async def _remember(
        self, caller: Caller, origin: Origin, group: str, entries: Sequence[tuple[str, str | None, str | None]], detail: str | None = None
    ) -> None:
        """Add to the group's activity. The audit log has it already, so a failure here is logged and fails nothing."""
        now = self._changes.now()
        made = [Activity(now, caller.name, action, key, version, origin.source, detail) for action, key, version in entries]
        try:
            async with asyncio.timeout(REMEMBER_SECONDS):
                await self._resources.remember(group, made)
        except (BrokerError, TimeoutError) as error:
            log.warning("activity_not_written", group=group, error=type(error).__name__)

    def _lock(self, group: str, key: str) -> asyncio.Lock:
        """Editors of one key take turns on this replica, so that `expected` means what it says."""
        lock = self._locks.get((group, key))
        if lock is None:
            lock = self._locks[group, key] = asyncio.Lock()
        return lock


_WRITES = ("create", "edit", "restore")


class _Plan:
    """An update, taken apart."""

    __slots__ = ("edited", "needed", "new", "removed", "steps")

    def __init__(
        self,
        new: Mapping[str, SecretValue],
        edited: Mapping[str, SecretValue],
        removed: tuple[str, ...],
        steps: Sequence[tuple[str, str]],
        needed: frozenset[Action],
    ) -> None:
        self.new, self.edited, self.removed, self.steps, self.needed = new, edited, removed, steps, needed


def _version_view(stored: StoredVersion, author: Activity | None, current: bool) -> VersionView:
    created = stored.created or (author.time if author else None)
    return VersionView(stored.version, created, author.who if author else None, current)


def _managed(fqn: Fqn) -> ManagedSecret:
    if not isinstance(fqn.secret, ManagedSecret):
        raise InvalidRequest("only managed secrets are kept here")
    return fqn.secret
