"""Groups made, shared and deleted."""

from collections.abc import Iterable
from dataclasses import replace

from broker import audit
from broker.audit import Line, Origin
from broker.errors import Conflict, InvalidRequest
from broker.gate import name_of
from broker.groups.checks import ADMIN, check_group, check_keys, check_size, subject_of
from broker.groups.desk import Desk, after
from broker.groups.differences import share_detail
from broker.groups.held import Held
from broker.groups.model import Collaborator, GroupView, NewGroup
from broker.identity import Caller
from contract.access import ROLE_ACTIONS, Action
from contract.catalog import GROUP
from contract.fqn import ManagedSecret
from contract.resources import SecretGroup, SecretStore


class GroupChanges(Desk):
    """Part of the service: the groups themselves."""

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
            would, now = SecretGroup(new.name, store.name, tuple(new.secrets), {}), self._pending.now()
            return self._view(caller, Held(would, collaborators, "", "", created=now, created_by=caller.name), ROLE_ACTIONS[ADMIN])
        name, keys = name_of(self.tenant, new.name), tuple(new.secrets)
        await self._announce(origin, said, name, [("create", key) for key in keys], new.name)
        done = await self._result(origin, said, name, self._changes.create(new.name, store.name, collaborators, new.secrets, caller.name))
        entries = [("create-group", None, None), *(("create", key, done.versions.get(key)) for key in keys)]
        await self._results(origin, new.name, entries[1:])
        made = await self._remember(caller, origin, new.name, entries)
        return self._view(caller, after(done.held, made))

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

        would = made(before)
        if dry_run or (expected is None and set(would) == set(before.collaborators)):
            self._check(caller, Action.SHARE, expected)(before)
            return self._view(caller, replace(before, collaborators=would))
        name = name_of(self.tenant, group)
        await self._gate.record(origin, Line(Action.SHARE.value, name, audit.ALLOW, "ok"))
        check = self._check(caller, Action.SHARE, expected)
        held = await self._result(origin, Action.SHARE.value, name, self._changes.set_collaborators(group, check, made))
        detail = share_detail(before.collaborators, held.collaborators)
        if detail is not None:
            await self._remember(caller, origin, group, [("share", None, None)], detail)
        self._index.keep(held)
        return self._view(caller, held)

    async def delete_group(self, caller: Caller, group: str, origin: Origin, *, expected: str | None = None, force: bool = False) -> None:
        """Delete a group with its values (SHARE: its admins). `force`: also when the store fails; what stays there is in the audit log.

        Again, while an earlier deletion waits for its store: that one is taken over.
        """
        held = await self._open(caller, Action.SHARE, group, origin, said="delete-group", going=True)
        name, check = name_of(self.tenant, group), self._check(caller, Action.SHARE, None if held.going else expected, going=True)
        keys = tuple(dict.fromkeys((*held.keys, *(key for other in held.pending for key in other.doomed()))))
        await self._announce(origin, "delete-group", name, [("delete", key) for key in keys], group)
        left = await self._result(origin, "delete-group", name, self._changes.delete_group(group, check, caller.name, force=force))
        code = "ok" if left is None else left.code  # with `force`: what the store would not delete stays there
        lines = [Line("delete", str(ManagedSecret(self.tenant, group, key)), audit.ALLOW, code, event="result") for key in keys]
        await self._gate.record(origin, *lines)

    def _usable_store(self, wanted: str) -> SecretStore:
        catalog = self._gate.catalog
        store = catalog.stores.get(wanted) or catalog.stores_by_fqn.get(wanted)
        if store is None or catalog.stores_by_fqn.get(store.fqn) is not store:
            raise InvalidRequest(
                f"store: no usable SecretStore has this name or FQN; allowed: {', '.join(sorted(catalog.stores)) or 'none'}"
            )
        return store
