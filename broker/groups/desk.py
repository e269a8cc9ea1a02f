"""What every operation on groups stands on: who may, the group as it is, what is written down before and after, the view that is given.

A denial is the same for what is somebody else's and for what is not there. The group is looked at twice: as this replica knows it, before
anything else, and again as each write would start from it (`_check`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog

from broker import audit
from broker.audit import Line, Origin
from broker.errors import BrokerError, Conflict, Denied, InvalidRequest, Misconfigured
from broker.gate import Gate, name_of
from broker.groups import activity as activities
from broker.groups.changes import Changes, Check, Done
from broker.groups.checks import notices_of
from broker.groups.differences import conflict, saved_conflict
from broker.groups.held import Held
from broker.groups.index import Index, State
from broker.groups.model import Activity, DeletedKey, GroupView, KeyView, Notice
from broker.groups.resources import Resources
from broker.groups.saves import parts_of, saved_since
from broker.groups.values import Values
from broker.identity import Caller
from broker.probes import Probes
from broker.rates import Rates
from broker.resolve import DENIED_SENTENCE
from contract.access import Action, Allow
from contract.fqn import Fqn, ManagedSecret
from contract.resources import SecretGroup, SecretStore
from contract.values import SecretValue

T = TypeVar("T")
log = structlog.get_logger()
REMEMBER_SECONDS = 3.0


class Desk:
    """Stateless but for caches: two replicas may serve the same groups."""

    def __init__(
        self,
        gate: Gate,
        index: Index,
        resources: Resources,
        values: Values,
        changes: Changes,
        probes: Probes,
        reveals: Rates | None = None,
        creators: frozenset[str] = frozenset(),
    ) -> None:
        self._gate, self._index, self._resources, self._values = gate, index, resources, values
        self._changes, self._pending, self._turns = changes, changes.pending, changes.turns
        self._probes, self._reveals, self._creators = probes, reveals, creators

    @property
    def tenant(self) -> str:
        return self._gate.catalog.tenant

    def may(self, caller: Caller, action: Action, group: str) -> bool:
        """Whether the caller may do this in the group, as far as this replica knows; False for a group that is not there."""
        return action in self._gate.actions(caller, self._known(group))

    def may_create(self, caller: Caller) -> bool:
        """Whether the caller may make groups: tenant admins and the subjects of TFY_SECRET_GROUP_CREATORS."""
        return self._gate.is_admin(caller) or not self._creators.isdisjoint(caller.subjects)

    def check_value(self, key: str, value: SecretValue) -> tuple[Notice, ...]:
        """What the value means for pods, before it is saved: nothing, or which delivery mode cannot carry it."""
        return notices_of(key, value)

    def _known(self, group: str) -> SecretGroup | None:
        held = self._index.held(group)
        return None if held is None or held.half_made else self._gate.catalog.groups.get(group)

    async def _open(
        self,
        caller: Caller,
        needed: Action | Sequence[Action],
        group: str,
        origin: Origin,
        *,
        said: str | None = None,
        key: str | None = None,
        going: bool = False,
    ) -> Held:
        """The group as this replica knows it, for a caller who may do one of these. Raises what the denial means.

        `going`: also one that is being deleted.
        """
        wanted = (needed,) if isinstance(needed, Action) else tuple(needed)
        known, held = self._known(group), self._index.held(group)
        if known is None and going and held is not None and held.going:
            known = self._gate.catalog.groups.get(group)
        if known is None or held is None or self._gate.actions(caller, known).isdisjoint(wanted):
            raise await self._gate.refusal(caller, said or wanted[0].value, group, key, origin, there=known is not None)
        return held

    async def _allowed(self, caller: Caller, action: Action, fqn: Fqn, secret: ManagedSecret, origin: Origin) -> Allow:
        """For what concerns one key that is there. The same denial as ever for everything that the caller may not know of."""
        decision = self._gate.decide(caller, action, secret)
        if isinstance(decision, Allow):
            return decision
        raise await self._gate.denied(action.value, fqn, secret, [decision], origin)

    def _check(self, caller: Caller, needed: Action | frozenset[Action], expected: str | None, *, going: bool = False) -> Check:
        """Looks at the group as a write would start from it: roles may have changed a moment ago, and so may the group."""
        wanted = frozenset({needed}) if isinstance(needed, Action) else needed

        def check(held: Held) -> None:
            if not wanted <= self._gate.actions(caller, held.group):
                raise Denied(DENIED_SENTENCE)
            if held.half_made and not (going and held.going):
                raise Conflict(f"secret group '{held.name}' is being made or deleted right now; try again in a moment")
            if expected is not None and parts_of(expected)[0] != held.version:
                raise self._conflict(held, parts_of(expected)[0])

        return check

    def _expect_values(self, held: Held, expected: str | None, keys: Collection[str]) -> None:
        """Raises Conflict when somebody saved one of these keys since the caller looked."""
        if expected is None:
            return
        since = [entry for entry in saved_since(held.activity, parts_of(expected)[1]) if entry.get("key") in keys]
        if since:
            raise saved_conflict(held, activities.decode(since)[::-1])

    def _conflict(self, held: Held, expected: str) -> Conflict:
        state: State | None = self._index.state(held.name, expected)
        return conflict(held.name, state, held, activities.decode(held.activity))

    def _store_of(self, held: Held) -> SecretStore:
        store = self._gate.catalog.stores.get(held.group.store)
        if store is None:
            raise Misconfigured(f"SecretStore '{held.group.store}' of group '{held.name}' does not exist or cannot be used")
        return store

    async def _activity(self, group: str) -> tuple[Activity, ...]:
        held = await self._resources.read(group)
        return () if held is None else activities.decode(held.activity)

    def _view(self, caller: Caller, held: Held, actions: frozenset[Action] | None = None) -> GroupView:
        store = self._gate.catalog.stores.get(held.group.store)
        problems = () if store else (f"SecretStore '{held.group.store}' does not exist or cannot be used",)
        now = self._pending.now()
        return GroupView(
            name=held.name,
            fqn=f"{self.tenant}:{held.name}",
            store=held.group.store,
            store_fqn=store.fqn if store else None,
            keys=tuple(KeyView(key, str(ManagedSecret(self.tenant, held.name, key))) for key in sorted(held.keys)),
            collaborators=held.collaborators,
            version=held.shown,
            actions=self._gate.actions(caller, held.group) if actions is None else actions,
            created=held.created,
            created_by=held.created_by,
            updated=held.updated,
            managed_by=held.managed_by,
            deleted_keys=tuple(DeletedKey(key, i.due, i.by) for i in held.pending if i.due and i.due > now for key in i.keys),
            problems=problems,
        )

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

    async def _each_result(
        self, origin: Origin, group: str, steps: Sequence[tuple[str, str]], change: Awaitable[Done], saved: Mapping[str, str]
    ) -> Done:
        """`saved`: versions that are made even when the change fails."""
        try:
            done = await change
        except BrokerError as error:
            lines = [
                Line(a, name_of(self.tenant, group, key), audit.ALLOW, "ok" if key in saved else error.code, saved.get(key), "result")
                for a, key in steps
            ]
            await self._gate.record(origin, *lines)
            raise
        await self._results(origin, group, [(action, key, done.versions.get(key)) for action, key in steps])
        return done

    async def _results(self, origin: Origin, group: str, entries: Sequence[tuple[str, str | None, str | None]]) -> None:
        lines = [Line(action, name_of(self.tenant, group, key), audit.ALLOW, "ok", version, "result") for action, key, version in entries]
        await self._gate.record(origin, *lines)

    async def _remember(
        self, caller: Caller, origin: Origin, group: str, entries: Sequence[tuple[str, str | None, str | None]], detail: str | None = None
    ) -> list[Activity]:
        """Add to the group's activity, and tell what. The audit log has it already, so a failure here is logged and fails nothing."""
        now = self._pending.now()
        made = [Activity(now, caller.name, action, key, version, origin.source, detail) for action, key, version in entries]
        try:
            async with asyncio.timeout(REMEMBER_SECONDS):
                await self._resources.remember(group, made)
        except (BrokerError, TimeoutError) as error:
            log.warning("activity_not_written", group=group, error=type(error).__name__)
        return made


def after(held: Held, made: Sequence[Activity]) -> Held:
    """The group with what was just done to it in its activity, for the answer."""
    return replace(held, activity=tuple(activities.merged(held.activity, made)))


def managed(fqn: Fqn) -> ManagedSecret:
    if not isinstance(fqn.secret, ManagedSecret):
        raise InvalidRequest("only managed secrets are kept here")
    return fqn.secret
