"""What people see of groups, stores, versions and activity. No store is asked for a value."""

from collections.abc import Sequence

from broker import audit
from broker.audit import Line, Origin
from broker.errors import Unsupported
from broker.gate import name_of
from broker.groups.model import Activity, GroupView, Page, StoreView, Versions, VersionView
from broker.groups.reveals import Reveals
from broker.groups.saves import WRITES
from broker.identity import Caller
from broker.readiness import Condition
from broker.stores.store import StoredVersion
from contract.access import Action
from contract.catalog import STORE
from contract.fqn import SCHEME, Fqn, ManagedSecret

MAX_SEARCH = 256  # characters


class Looks(Reveals):
    """Part of the service: what is shown."""

    async def list(self, caller: Caller, origin: Origin, search: str = "", limit: int = 100, offset: int = 0) -> Page[GroupView]:
        """The groups that the caller may LIST, by name. `search`: words that name, store or a key must hold, in any case; or an FQN."""
        words = _words(search[:MAX_SEARCH].lower(), self.tenant.lower())
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
        """For those who may make groups every usable store; for others those of the groups they may LIST. No store is asked for it."""
        catalog, creates = self._gate.catalog, self.may_create(caller)
        visible = (
            sorted(catalog.stores)
            if creates
            else sorted({g.store for g in catalog.groups.values() if self.may(caller, Action.LIST, g.name)})
        )
        stores = [store for name in visible if (store := catalog.stores.get(name)) is not None]
        known = await self._probes.look(stores)
        made = []
        for store in stores:
            found, usable = known.get(store.name), catalog.stores_by_fqn.get(store.fqn) is store
            if not usable:  # of two with one FQN neither answers for it, and no group can be made there
                found = Condition(False, "Invalid", "; ".join(catalog.problems.get((STORE, store.name), ())))
            problem = found.message if found and not found.ready and creates else None
            made.append(StoreView(store.name, store.fqn, store.provider, found.ready if found else None, problem, creates and usable))
        return tuple(made)

    async def versions(self, caller: Caller, group: str, key: str, origin: Origin) -> Versions:
        """A key's versions (LIST), newest first, with who made them as far as the group's activity reaches back."""
        try:
            found = await self.stored_versions(caller, Fqn(ManagedSecret(self.tenant, group, key)), origin)
        except Unsupported:
            return Versions((), listed=False)
        authors = {entry.version: entry for entry in reversed(await self._activity(group)) if entry.key == key and entry.action in WRITES}
        return Versions(tuple(_version_view(stored, authors.get(stored.version), stored is found[-1]) for stored in reversed(found)))

    async def activity(self, caller: Caller, group: str, origin: Origin) -> tuple[Activity, ...]:
        """What people did with the group lately (SHARE: its admins), newest first."""
        await self._open(caller, Action.SHARE, group, origin, said="activity")
        await self._gate.record(origin, Line("activity", name_of(self.tenant, group), audit.ALLOW, "ok"))
        return await self._activity(group)

    def _shown(self, caller: Caller, name: str, words: Sequence[str]) -> bool:
        if Action.LIST not in self._gate.actions(caller, self._known(name)):
            return False
        return not words or all(word in self._index.text(name) for word in words)


def _words(search: str, tenant: str) -> tuple[str, ...]:
    """An FQN, as it is copied from a pod or a page, is its parts."""
    found = (word.removeprefix(SCHEME) for word in search.split())
    return tuple(part for word in found for part in (word.split(":")[1:] if word.startswith(f"{tenant}:") else [word]))


def _version_view(stored: StoredVersion, author: Activity | None, current: bool) -> VersionView:
    created = stored.created or (author.time if author else None)
    return VersionView(stored.version, created, author.who if author else None, current)
