"""Keys saved, updated together, deleted and brought back."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from broker import audit
from broker.audit import Line, Origin
from broker.errors import BrokerError, Conflict, InvalidRequest, NotFound
from broker.gate import name_of
from broker.groups import activity as activities
from broker.groups.changes import UNDO_FOR
from broker.groups.pending import each
from broker.groups.checks import check_keys, check_size, notices_of
from broker.groups.desk import Desk, after
from broker.groups.held import Held
from broker.groups.model import DeletedKey, GroupView, Written
from broker.groups.saves import WRITES
from broker.identity import Caller
from broker.stores.registry import PROVIDERS
from contract.access import Action
from contract.fqn import ManagedSecret
from contract.values import SecretValue

NEW = ""  # `expected` of put_key: the key must not be there yet
WRITE = "write"  # what a denied write is called: it is not known whether it would have created or edited


class KeyChanges(Desk):
    """Part of the service: the keys of a group."""

    async def put_key(
        self, caller: Caller, group: str, key: str, value: SecretValue, origin: Origin, *, expected: str | None = None
    ) -> Written:
        """Save a value: a new key (CREATE) or a new version (EDIT).

        `expected`: the newest version that the caller saw (where the store counts none, GroupView.version), or NEW for a key that must not
        be there; None: whatever is there.
        """
        await self._open(caller, (Action.CREATE, Action.EDIT), group, origin, said=WRITE, key=key)
        check_keys([key])
        check_size(value)
        async with self._turns.at(group, [key], caller.name) as held:
            return await self._put(caller, held, key, value, origin, expected)

    async def update(
        self, caller: Caller, group: str, secrets: Mapping[str, SecretValue | None], origin: Origin, *, expected: str | None = None
    ) -> GroupView:
        """Make the group hold exactly these keys. None keeps the value; an equal value makes no new version; others are deleted."""
        await self._open(caller, (Action.EDIT, Action.CREATE), group, origin, said=WRITE)
        check_keys(secrets)
        check_size(*(value for value in secrets.values() if value is not None))
        async with self._turns.at(group, (), caller.name) as held:
            return await self._updated(caller, held, secrets, origin, expected)

    async def _updated(
        self, caller: Caller, held: Held, secrets: Mapping[str, SecretValue | None], origin: Origin, expected: str | None
    ) -> GroupView:
        group = held.name
        plan = await self._planned(caller, held, secrets, origin)
        check = self._check(caller, plan.needed, expected)
        check(held)
        self._expect_values(held, expected, {*plan.edited, *plan.removed})
        if not plan.steps:
            return self._view(caller, held)
        await self._announce(origin, None, "", plan.steps, group)
        saved: dict[str, str] = {}
        change = self._changes.apply(group, check, caller.name, new=plan.new, edited=plan.edited, removed=plan.removed, saved=saved)
        try:
            done = await self._each_result(origin, group, plan.steps, change, saved)
        except BrokerError:
            if saved:
                await self._remember(caller, origin, group, [(action, key, saved[key]) for action, key in plan.steps if key in saved])
            raise
        entries = [(action, key, done.versions.get(key)) for action, key in plan.steps]
        made = await self._remember(caller, origin, group, entries)
        return self._view(caller, after(done.held, made))

    async def delete_key(
        self, caller: Caller, group: str, key: str, origin: Origin, *, expected: str | None = None, undo: bool = False, force: bool = False
    ) -> DeletedKey | None:
        """Delete a key and its value (EDIT). `expected` is GroupView.version.

        `undo`: the key is gone at once and its value in ten minutes; until then undo_delete brings both back. A store that never deletes
        says so at once; one that refuses it then keeps the key.
        `force`: no error when the store fails; the value is deleted when it is back.
        """
        secret = ManagedSecret(self.tenant, group, key)
        held = await self._open(caller, Action.EDIT, group, origin, said="delete", key=key)
        if key not in held.keys:
            await self._gate.record(origin, Line("delete", name_of(self.tenant, group, key), audit.ALLOW, "not_found"))
            raise NotFound(f"group '{group}' has no such key")
        name = str(secret)

        def check(now: Held) -> None:
            self._check(caller, Action.EDIT, expected)(now)
            self._expect_values(now, expected, {key})

        undo = undo and not self._is_read_only(held)
        due = self._pending.now() + UNDO_FOR if undo else None
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

        def check(now: Held) -> None:
            self._check(caller, Action.EDIT, None)(now)
            check_keys([key], len(now.keys) - (key in now.keys))

        held = await self._result(origin, "undo", name, self._changes.undo_delete(group, check, key))
        await self._remember(caller, origin, group, [("undo", key, None)])
        return self._view(caller, held)

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

    def _is_read_only(self, held: Held) -> bool:
        store = self._gate.catalog.stores.get(held.group.store)
        return store is not None and PROVIDERS[store.provider].read_only

    async def _newest(self, held: Held, secret: ManagedSecret, origin: Origin) -> tuple[bool, str | None]:
        try:
            return await self._values.newest(self._store_of(held), secret.path)
        except BrokerError as error:
            await self._gate.record(origin, Line(WRITE, str(secret), audit.ALLOW, error.code))
            raise

    def _expect(self, held: Held, key: str, expected: str | None, newest: str | None, *, there: bool) -> None:
        """Raises Conflict when the key is not as its editor saw it."""
        if expected is not None and expected != NEW and there and not newest:  # the store counts no versions
            self._expect_values(held, expected, {key})
            return
        if expected is None or (not there if expected == NEW else there and newest == expected):
            return
        entry = next((e for e in activities.decode(held.activity) if e.key == key and e.action in WRITES), None)
        by = f" by {entry.who}" if entry is not None and entry.version == newest else ""
        if expected == NEW:
            change = f"key '{key}' was added{by}"
        elif there:
            change = f"version {newest} of '{key}' was saved{by}"
        else:
            change = f"key '{key}' was deleted"
        raise Conflict(f"{change} since you looked. To fix: look again, then change it", (change,), newest)

    async def _planned(self, caller: Caller, held: Held, secrets: Mapping[str, SecretValue | None], origin: Origin) -> "Plan":
        """What an update comes to: values that are equal to what is there are no change."""
        new = {key: value for key, value in secrets.items() if key not in held.keys and value is not None}
        unknown = [key for key, value in secrets.items() if key not in held.keys and value is None]
        if unknown:
            raise InvalidRequest(f"secrets: '{unknown[0]}' is not in the group, so it needs a value")
        removed = tuple(key for key in held.keys if key not in secrets)
        check_keys(new, len(held.keys) - len(removed))  # one write lists the new and unlists the old
        before = await self._before(held, [key for key, value in secrets.items() if key in held.keys and value is not None])
        edited = {key: value for key in before if (value := secrets[key]) is not None and before[key] != value}
        first = [key for key in edited if before[key] is None]
        steps = [("create", key) for key in (*new, *first)] + [("edit", key) for key in edited if key not in first]
        steps += [("delete", key) for key in removed]
        needed = {Action.CREATE if action == "create" else Action.EDIT for action, _ in steps}
        missing = [
            step for step in steps if (Action.CREATE if step[0] == "create" else Action.EDIT) not in self._gate.actions(caller, held.group)
        ]
        if missing:
            raise await self._gate.refusal(caller, missing[0][0], held.name, missing[0][1], origin)
        return Plan(new, edited, removed, steps, frozenset(needed))

    async def _before(self, held: Held, keys: Iterable[str]) -> dict[str, SecretValue | None]:
        """What each key has now; None: it was listed, and never had a value."""
        found: dict[str, SecretValue | None] = dict.fromkeys(keys)
        if not found:
            return found
        store = self._store_of(held)

        async def read(key: str) -> None:
            with suppress(NotFound):
                found[key] = (await self._values.read(store, ManagedSecret(self.tenant, held.name, key).path)).value

        await each(found, read)
        return found


class Plan:
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
