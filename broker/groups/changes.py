"""In which order store and resource change, so that a kill -9 at any point leaves no half-made key; who may is decided before.

what            | 1                          | 2                | 3                        | 4
--------------- | -------------------------- | ---------------- | ------------------------ | -----
new key         | intent CREATE              | value to store   | list it, clear intent    |
deleted key     | unlist it, intent DELETE   | value from store | clear intent             |
new group       | resource, intent CREATE    | values to store  | list keys, clear intent  |
deleted group   | unlist all, intent DELETE  | values from store| resource                 |

Columns 1 and 3 are single writes. An unlisted key is refused to everyone, so before 3 nobody sees a new key, and after 1 nobody a deleted
one. What is found later: CREATE and listed is done; CREATE and not listed is taken back (claimed as UNDO first, so that its slow author
cannot list it any more; a value that was there before stays); DELETE and not listed is carried out; DELETE and listed again was somebody's
wish. `repair` finds them, here is what is done (`settle`).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from weakref import WeakValueDictionary

from broker.errors import BrokerError, Conflict, Misconfigured, NotFound, Retryable, StoreFailed, Unavailable
from broker.groups.held import Held
from broker.groups.intents import Intent, Step, intent, undone
from broker.groups.model import Collaborator
from broker.groups.resources import Edit, Fresh, Resources, Stale
from broker.groups.values import Values
from contract import wire
from contract.catalog import Catalog
from contract.fqn import ManagedSecret
from contract.resources import SecretStore
from contract.values import SecretValue

T = TypeVar("T")
Check = Callable[[Held], None]
TRIES = 10  # of one write; each loses only to another that was made
CHANGE_SECONDS = 40.0  # for the store's part of one change; a single call has 8
REPAIR_AFTER = timedelta(seconds=60)  # CHANGE_SECONDS and some for the clocks of two nodes; a mistake costs one refused change
AT_ONCE = 8  # values of one change on their way at the same time
UNDO_FOR = timedelta(minutes=10)
GONE = "What was deleted cannot be used any more"


def now_utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Done:
    """The group after a change, and the versions that it made."""

    held: Held
    versions: Mapping[str, str]


class Changes:
    """Takes what is already allowed. `check` looks at the group as each write would start from it, and raises what forbids it."""

    def __init__(self, resources: Resources, values: Values, catalog: Catalog, now: Callable[[], datetime] = now_utc) -> None:
        self._resources, self._values, self._catalog, self.now = resources, values, catalog, now
        self._running: set[str] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # --- groups ------------------------------------------------------------------------------------------------------

    async def create(
        self, name: str, store: str, collaborators: tuple[Collaborator, ...], secrets: Mapping[str, SecretValue], by: str
    ) -> Done:
        """Raises Conflict if there is a group of that name."""
        pending = (await self._creation(name, store, secrets, by, whole=True),) if secrets else ()
        try:
            held = await self._resources.create(Fresh(name, store, collaborators, by, pending))
        except Stale:
            raise Conflict(f"there is a secret group '{name}' already", version=None) from None
        return await self._carry_out(held, pending[0], secrets, {}) if pending else Done(held, {})

    async def delete_group(self, name: str, check: Check, by: str, *, force: bool) -> BrokerError | None:
        """Returns what the store would not delete, with `force`."""
        found = intent(Step.DELETE, (), by, self.now(), whole=True)

        def unlisted(held: Held) -> Edit:
            check(held)
            for other in held.pending:
                self._free(held, other, other.keys)
            left = [key for other in held.pending for key in other.doomed()]
            nonlocal found
            found = replace(found, keys=tuple(dict.fromkeys((*held.keys, *left))))
            return Edit(keys=(), pending=(found,))

        before = await self.fresh(name)
        held = await self._write(name, unlisted)
        try:
            with self._mine(found):
                await self.settle(held, found)
        except BrokerError as error:
            if force:
                await self._removed(held)
                return error
            raise await self._not_deleted(before, found, error) from None
        return None

    # --- keys --------------------------------------------------------------------------------------------------------

    async def apply(
        self,
        name: str,
        check: Check,
        by: str,
        *,
        new: Mapping[str, SecretValue] | None = None,
        edited: Mapping[str, SecretValue] | None = None,
        removed: Iterable[str] = (),
    ) -> Done:
        """One change of a group's keys: new ones with values, values of those it has, and those that go."""
        held, removed = await self.fresh(name), tuple(removed)
        check(held)
        creation = None
        if new:
            await self._make_way(held, new)
            creation = await self._creation(name, held.group.store, new, by)
            held = await self._write(name, lambda found: self._begun(found, check, creation))
        return await self._carry_out(held, creation, new or {}, edited or {}, check, removed, by)

    async def delete(self, name: str, check: Check, key: str, by: str, *, due: datetime | None = None) -> tuple[Held, Intent]:
        """Unlist a key. The caller goes on with `finish_delete` unless it waits until `due`."""
        found = intent(Step.DELETE, (key,), by, self.now(), due=due)

        def unlisted(held: Held) -> Edit:
            check(held)
            return Edit(keys=tuple(k for k in held.keys if k != key), pending=(*held.pending, found))

        return await self._write(name, unlisted), found

    async def finish_delete(self, held: Held, found: Intent, *, force: bool) -> BrokerError | None:
        """Returns what the store would not delete, with `force`; raises StoreFailed without."""
        try:
            with self._mine(found):
                await self.settle(held, found)
        except BrokerError as error:
            if force:
                if not _may_work_later(error):
                    await self._write(held.name, lambda now: _without(now, found))
                return error
            raise await self._not_deleted(held, found, error) from None
        return None

    async def undo_delete(self, name: str, check: Check, key: str) -> Held:
        def back(held: Held) -> Edit:
            check(held)
            found = next((i for i in held.pending if i.step is Step.DELETE and key in i.keys and i.waits(self.now())), None)
            if found is None:
                raise NotFound(f"the deletion of '{key}' cannot be undone any more, or there was none")
            rest = replace(found, keys=tuple(k for k in found.keys if k != key))
            others = tuple(i for i in held.pending if i.id != found.id)
            return Edit(keys=_joined(held.keys, (key,)), pending=(*others, *((rest,) if rest.keys else ())))

        return await self._write(name, back)

    async def set_collaborators(self, name: str, check: Check, collaborators: Callable[[Held], tuple[Collaborator, ...]]) -> Held:
        def shared(held: Held) -> Edit:
            check(held)
            return Edit(collaborators=collaborators(held))

        return await self._write(name, shared)

    # --- what is pending ---------------------------------------------------------------------------------------------

    def abandoned(self, found: Intent) -> bool:
        """Whether nobody works on it any more, and its time has come."""
        if found.id in self._running or found.waits(self.now()):
            return False
        return self._resources.owned or self.now() - max(found.at, found.due or found.at) >= REPAIR_AFTER

    async def settle(self, held: Held, found: Intent) -> None:
        """Carry out or take back what is pending. Safe to repeat, and for two at once. Raises StoreFailed, Stale."""
        if found.step is Step.CREATE or found.due is not None:
            held, claimed = await self._claim(held, found)
            if claimed is None:
                return
            found = claimed
        doomed = [key for key in found.doomed() if key not in held.keys]
        store = self._store(held.group.store) if doomed else None
        if store is not None:
            await each(doomed, lambda key: self._values.purge(store, self._path(held.name, key)))
        if not found.whole or not await self._removed(held):
            await self._write(held.name, lambda now: _without(now, found))

    async def _removed(self, held: Held) -> bool:
        """Delete the resource, unless somebody has given it keys meanwhile."""
        for _ in range(TRIES):
            now = await self._resources.read(held.name)
            if now is None or now.uid != held.uid:
                return True
            if now.keys:
                return False
            try:
                await self._resources.delete(now)
            except Stale:
                continue
            return True
        raise Unavailable(f"secret group '{held.name}' is being changed by many at once; try again", retry_after=1)

    async def _claim(self, held: Held, found: Intent) -> tuple[Held, Intent | None]:
        """Make it ours alone: its author cannot finish it, and nobody can undo it, once this is written."""
        claimed: Intent | None = None

        def ours(now: Held) -> Edit:
            nonlocal claimed
            claimed = None
            there = next((i for i in now.pending if i.id == found.id), None)
            if there is None:
                return Edit()
            if there.step is Step.CREATE:
                left = tuple(key for key in there.keys if key not in now.keys)
                claimed = undone(replace(there, keys=left)) if left or (there.whole and not now.keys) else None
            else:
                claimed = replace(there, due=None, at=self.now())
            return Edit(pending=tuple(p for i in now.pending if (p := claimed if i.id == found.id else i) is not None))

        return await self._write(held.name, ours), claimed

    def _free(self, held: Held, other: Intent, keys: Iterable[str]) -> None:
        """Raises Conflict while somebody works on one of these keys."""
        touched = sorted(set(keys) & set(other.keys)) or ([""] if other.whole else [])
        if touched and not other.waits(self.now()) and not self.abandoned(other):
            what = f"key '{touched[0]}'" if touched[0] else f"secret group '{held.name}'"
            verb = "deleted" if other.step is Step.DELETE else "added"
            raise Conflict(f"{what} is being {verb} by {other.by} right now; try again in a moment", version=held.version)

    async def _make_way(self, held: Held, keys: Iterable[str]) -> None:
        """Before keys come (again): finish what is pending about them."""
        keys = set(keys)
        for other in held.pending:
            if keys & set(other.keys):
                self._free(held, other, keys)
                await self.settle(held, other)

    # --- steps -------------------------------------------------------------------------------------------------------

    async def fresh(self, name: str) -> Held:
        held = await self._resources.read(name)
        if held is None:
            raise NotFound(f"there is no secret group '{name}' any more")
        return held

    async def _creation(self, name: str, store: str, secrets: Mapping[str, SecretValue], by: str, *, whole: bool = False) -> Intent:
        found = self._store(store)
        there = dict.fromkeys(secrets, False)

        async def look(key: str) -> None:
            there[key] = (await self._values.newest(found, self._path(name, key)))[0]

        await each(secrets, look)
        return intent(Step.CREATE, secrets, by, self.now(), kept=tuple(key for key in secrets if there[key]), whole=whole)

    def _begun(self, held: Held, check: Check, creation: Intent) -> Edit:
        check(held)
        if there := [key for key in creation.keys if key in held.keys]:
            change = f"key '{there[0]}' was added"
            raise Conflict(f"{change} since you looked. To fix: look again, then change it", (change,), held.version)
        for other in held.pending:
            self._free(held, other, creation.keys)
        return Edit(pending=(*held.pending, creation))

    async def _carry_out(
        self,
        held: Held,
        creation: Intent | None,
        new: Mapping[str, SecretValue],
        edited: Mapping[str, SecretValue],
        check: Check = lambda _: None,
        removed: tuple[str, ...] = (),
        by: str = "",
    ) -> Done:
        deletion = intent(Step.DELETE, removed, by, self.now()) if removed else None
        with self._mine(creation, deletion):
            try:
                versions = await self._values_written(held, {**edited, **new})
                if creation or deletion:
                    held = await self._write(held.name, lambda now: _finished(now, creation, deletion, check))
            except Exception:
                if creation is not None and (kept := await self._taken_back(held, creation)) is not None:
                    return Done(kept, versions)
                raise
            if deletion is not None:
                await self.finish_delete(held, deletion, force=False)
                held = await self.fresh(held.name)
        return Done(held, versions)

    async def _values_written(self, held: Held, values: Mapping[str, SecretValue]) -> dict[str, str]:
        versions: dict[str, str] = {}
        if not values:
            return versions
        store = self._store(held.group.store)

        async def write(key: str) -> None:
            versions[key] = await self._values.write(store, self._path(held.name, key), values[key])

        try:
            async with asyncio.timeout(CHANGE_SECONDS):
                await each(values, write)
        except TimeoutError:
            slow = Unavailable(f"SecretStore {store.name}: did not take the values within {CHANGE_SECONDS:g} seconds")
            raise StoreFailed(slow.message, slow) from None
        return versions

    async def _taken_back(self, held: Held, creation: Intent) -> Held | None:
        """After a failure. Returns the group if the change was made after all (an answer was lost); what fails here is left to `repair`."""
        try:
            now = await self.fresh(held.name)
            there = next((i for i in now.pending if i.id == creation.id), None)
            if there is None:
                return now if set(creation.keys) <= set(now.keys) else None
            await self.settle(now, there)
        except (BrokerError, Stale):
            pass
        return None

    async def _not_deleted(self, held: Held, found: Intent, error: BrokerError) -> BrokerError:
        """The store failed to delete. What cannot work later is put back as it was; the rest goes on being tried."""
        if not isinstance(error, StoreFailed) and not isinstance(error, NotFound | Misconfigured) and error.code != wire.INVALID:
            return error
        cause = error.cause if isinstance(error, StoreFailed) else error
        if _may_work_later(error):
            return StoreFailed(f"{error.message}. {GONE}; the broker goes on trying to delete its value", cause)
        keys = [key for key in found.keys if await self._has_value(held, key)]
        try:
            await self._write(held.name, lambda now: replace(_without(now, found), keys=_joined(now.keys, keys)))
        except (BrokerError, Stale):
            return StoreFailed(f"{error.message}. {GONE}", cause)
        return StoreFailed(f"{error.message}. Nothing is deleted", cause)

    async def _has_value(self, held: Held, key: str) -> bool:
        """Or may have one: the store cannot say."""
        try:
            return (await self._values.newest(self._store(held.group.store), self._path(held.name, key)))[0]
        except BrokerError:
            return True

    async def _write(self, name: str, edit: Callable[[Held], Edit]) -> Held:
        """Read, decide, write; again when somebody else wrote in between. Writers of this replica take turns."""
        turn = self._turns.get(name)
        if turn is None:
            turn = self._turns[name] = asyncio.Lock()
        for attempt in range(TRIES):
            async with turn:
                held = await self.fresh(name)
                made = edit(held)
                if made == Edit():
                    return held
                with suppress(Stale):
                    return await self._resources.change(held, made)
            await asyncio.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 5)))  # noqa: S311 - jitter
        raise Unavailable(f"secret group '{name}' is being changed by many at once; try again", retry_after=1)

    def _store(self, name: str) -> SecretStore:
        store = self._catalog.stores.get(name)
        if store is None:
            raise Misconfigured(f"SecretStore '{name}' does not exist or cannot be used")
        return store

    def _path(self, group: str, key: str) -> str:
        return ManagedSecret(self._catalog.tenant, group, key).path

    def _mine(self, *found: Intent | None) -> "_Mine":
        return _Mine(self._running, {i.id for i in found if i is not None})


class _Mine:
    """While it is entered, `repair` leaves these alone."""

    def __init__(self, running: set[str], ids: set[str]) -> None:
        self._running, self._ids = running, ids

    def __enter__(self) -> None:
        self._running |= self._ids

    def __exit__(self, *_: object) -> None:
        self._running -= self._ids


def _finished(held: Held, creation: Intent | None, deletion: Intent | None, check: Check) -> Edit:
    check(held)
    pending, keys = held.pending, held.keys
    if creation is not None:
        if not any(i.id == creation.id and i.step is Step.CREATE for i in pending):
            raise Unavailable("the change took so long that it was taken back; try again", retry_after=1)
        pending, keys = tuple(i for i in pending if i.id != creation.id), _joined(keys, creation.keys)
    if deletion is not None:
        pending, keys = (*pending, deletion), tuple(key for key in keys if key not in deletion.keys)
    return Edit(keys=keys, pending=pending)


def _without(held: Held, found: Intent) -> Edit:
    return Edit(pending=tuple(i for i in held.pending if i.id != found.id))


def _joined(keys: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*keys, *more)))


def _may_work_later(error: BrokerError) -> bool:
    """What a store or server will do once it is well again; unknown outcomes too."""
    cause = error.cause if isinstance(error, StoreFailed) else error
    return isinstance(cause, Retryable) or cause.code == wire.INTERNAL


async def each(keys: Iterable[str], work: Callable[[str], Awaitable[object]]) -> None:
    """A few at a time; the first failure ends it, and what is on its way is waited for."""
    room = asyncio.Semaphore(AT_ONCE)
    failed: list[Exception] = []

    async def one(key: str) -> None:
        async with room:
            if not failed:
                try:
                    await work(key)
                except Exception as error:  # noqa: BLE001 - raised below, once nothing is on its way any more
                    failed.append(error)

    await asyncio.gather(*(one(key) for key in keys))
    if failed:
        raise failed[0]
