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
wish. `repair` finds them; what is then done is `pending`'s. A new version of a listed key is one write to the store, in its turn (`turns`).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.errors import BrokerError, Conflict, Misconfigured, NotFound, Retryable, StoreFailed, Unavailable
from broker.groups.held import Held
from broker.groups.intents import Intent, Step, intent
from broker.groups.model import Collaborator
from broker.groups.pending import Pending, each, joined, without
from broker.groups.resources import Edit, Fresh, Resources, Stale
from broker.groups.turns import Turns
from broker.groups.values import Values
from contract import wire
from contract.values import SecretValue

Check = Callable[[Held], None]
CHANGE_SECONDS = 40.0  # for the store's part of one change; a single call has 8
UNDO_FOR = timedelta(minutes=10)
GONE = "What was deleted cannot be used any more"


@dataclass(frozen=True, slots=True)
class Done:
    """The group after a change, and the versions that it made."""

    held: Held
    versions: Mapping[str, str]


class Changes:
    """Takes what is already allowed. `check` looks at the group as each write would start from it, and raises what forbids it."""

    def __init__(self, resources: Resources, values: Values, pending: Pending) -> None:
        self._resources, self._values = resources, values
        self.pending = pending
        self.turns = Turns(resources, pending)

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
        found = intent(Step.DELETE, (), by, self.pending.now(), whole=True)

        def unlisted(held: Held) -> Edit:
            check(held)
            self.turns.check(held)
            for other in held.pending:
                if not (other.whole and other.step is Step.DELETE):  # two may carry out one deletion: every step can be repeated
                    self.pending.free(held, other, other.keys)
            left = [key for other in held.pending for key in other.doomed()]
            nonlocal found
            found = replace(found, keys=tuple(dict.fromkeys((*held.keys, *left))))
            return Edit(keys=(), pending=(found,))

        before = await self.pending.fresh(name)
        held = await self.pending.write(name, unlisted)
        try:
            with self.pending.mine(found):
                await self.pending.settle(held, found)
        except BrokerError as error:
            if force:
                await self.pending.removed(held)
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
        saved: dict[str, str] | None = None,
    ) -> Done:
        """One change of a group's keys: new ones with values, values of those it has, and those that go.

        `saved` gets the version of each value of `edited` that is in the store, also when the change fails: those stay.
        """
        held, removed = await self.pending.fresh(name), tuple(removed)
        check(held)
        creation = None
        if new:
            await self.pending.make_way(held, new)
            creation = await self._creation(name, held.group.store, new, by)
            held = await self.pending.write(name, lambda found: self._begun(found, check, creation))
        versions: dict[str, str] = {}
        try:
            return await self._carry_out(held, creation, new or {}, edited or {}, check, removed, by, versions)
        finally:
            if saved is not None:
                saved.update((key, version) for key, version in versions.items() if edited and key in edited)

    async def delete(self, name: str, check: Check, key: str, by: str, *, due: datetime | None = None) -> tuple[Held, Intent]:
        """Unlist a key. The caller goes on with `finish_delete` unless it waits until `due`."""
        found = intent(Step.DELETE, (key,), by, self.pending.now(), due=due)

        def unlisted(held: Held) -> Edit:
            check(held)
            self.turns.check(held, (key,))
            return Edit(keys=tuple(k for k in held.keys if k != key), pending=(*held.pending, found))

        return await self.pending.write(name, unlisted), found

    async def finish_delete(self, held: Held, found: Intent, *, force: bool) -> BrokerError | None:
        """Returns what the store would not delete, with `force`; raises StoreFailed without."""
        try:
            with self.pending.mine(found):
                await self.pending.settle(held, found)
        except BrokerError as error:
            if force:
                if not _may_work_later(error):
                    await self.pending.write(held.name, lambda now: without(now, found))
                return error
            raise await self._not_deleted(held, found, error) from None
        return None

    async def undo_delete(self, name: str, check: Check, key: str) -> Held:
        def back(held: Held) -> Edit:
            check(held)
            found = next((i for i in held.pending if i.step is Step.DELETE and key in i.keys and i.waits(self.pending.now())), None)
            if found is None:
                raise NotFound(f"the deletion of '{key}' cannot be undone any more, or there was none")
            rest = replace(found, keys=tuple(k for k in found.keys if k != key))
            others = tuple(i for i in held.pending if i.id != found.id)
            return Edit(keys=joined(held.keys, (key,)), pending=(*others, *((rest,) if rest.keys else ())))

        return await self.pending.write(name, back)

    async def set_collaborators(self, name: str, check: Check, collaborators: Callable[[Held], tuple[Collaborator, ...]]) -> Held:
        def shared(held: Held) -> Edit:
            check(held)
            return Edit(collaborators=collaborators(held))

        return await self.pending.write(name, shared)

    # --- steps -------------------------------------------------------------------------------------------------------

    async def _creation(self, name: str, store: str, secrets: Mapping[str, SecretValue], by: str, *, whole: bool = False) -> Intent:
        found = self.pending.store(store)
        there = dict.fromkeys(secrets, False)

        async def look(key: str) -> None:
            there[key] = (await self._values.newest(found, self.pending.path(name, key)))[0]

        await each(secrets, look)
        return intent(Step.CREATE, secrets, by, self.pending.now(), kept=tuple(key for key in secrets if there[key]), whole=whole)

    def _begun(self, held: Held, check: Check, creation: Intent) -> Edit:
        check(held)
        if there := [key for key in creation.keys if key in held.keys]:
            change = f"key '{there[0]}' was added"
            raise Conflict(f"{change} since you looked. To fix: look again, then change it", (change,), held.version)
        for other in held.pending:
            if other.step is not Step.EDIT:
                self.pending.free(held, other, creation.keys)
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
        versions: dict[str, str] | None = None,
    ) -> Done:
        versions = {} if versions is None else versions
        deletion = intent(Step.DELETE, removed, by, self.pending.now()) if removed else None
        with self.pending.mine(creation, deletion):
            try:
                await self._values_written(held, {**edited, **new}, versions)
                if creation or deletion:
                    store = held.group.store
                    held = await self.pending.write(held.name, lambda now: _finished(now, store, creation, deletion, check))
            except Exception:
                if creation is not None and (kept := await self._taken_back(held, creation)) is not None:
                    return Done(kept, versions)
                raise
            if deletion is not None:
                await self.finish_delete(held, deletion, force=False)
                held = await self.pending.fresh(held.name)
        return Done(held, versions)

    async def _values_written(self, held: Held, values: Mapping[str, SecretValue], versions: dict[str, str]) -> None:
        if not values:
            return
        store = self.pending.store(held.group.store)

        async def write(key: str) -> None:
            versions[key] = await self._values.write(store, self.pending.path(held.name, key), values[key])

        try:
            async with asyncio.timeout(CHANGE_SECONDS):
                await each(values, write)
        except TimeoutError:
            slow = Unavailable(f"SecretStore {store.name}: did not take the values within {CHANGE_SECONDS:g} seconds")
            raise StoreFailed(slow.message, slow) from None

    async def _taken_back(self, held: Held, creation: Intent) -> Held | None:
        """After a failure. Returns the group if the change was made after all (an answer was lost); what fails here is left to `repair`.

        A group that somebody deleted meanwhile, or moved to another store, has no note that leads to the values that we wrote.
        """
        try:
            now = await self._resources.read(held.name)
            if now is None or now.group.store != held.group.store:
                await self.pending.purge(held, creation.doomed())
            if now is None:
                return None
            if now.group.store != held.group.store:
                await self.pending.write(held.name, lambda found: without(found, creation))
                return None
            there = next((i for i in now.pending if i.id == creation.id), None)
            if there is None:
                return now if set(creation.keys) <= set(now.keys) else None
            await self.pending.settle(now, there)
        except (BrokerError, Stale):
            pass
        return None

    async def _not_deleted(self, held: Held, found: Intent, error: BrokerError) -> BrokerError:
        """The store failed to delete. What cannot work later is put back as it was; the rest goes on being tried."""
        if not isinstance(error, StoreFailed | NotFound | Misconfigured) and error.code not in (wire.INVALID, wire.UNSUPPORTED):
            return error
        cause = error.cause if isinstance(error, StoreFailed) else error
        if _may_work_later(error):
            return StoreFailed(f"{error.message}. {GONE}; the broker goes on trying to delete its value", cause)
        try:
            await self.pending.put_back(held, found)
        except (BrokerError, Stale):
            return StoreFailed(f"{error.message}. {GONE}", cause)
        return StoreFailed(f"{error.message}. Nothing is deleted", cause)


def _finished(held: Held, store: str, creation: Intent | None, deletion: Intent | None, check: Check) -> Edit:
    """`store`: where the values are."""
    check(held)
    if held.group.store != store:
        change = f"the group's store is '{held.group.store}', not '{store}'"
        raise Conflict(f"{change} since you looked. To fix: look again, then change it", (change,), held.version)
    pending, keys = held.pending, held.keys
    if creation is not None:
        if not any(i.id == creation.id and i.step is Step.CREATE for i in pending):
            raise Unavailable("the change took so long that it was taken back; try again", retry_after=1)
        pending, keys = tuple(i for i in pending if i.id != creation.id), joined(keys, creation.keys)
    if deletion is not None:
        pending, keys = (*pending, deletion), tuple(key for key in keys if key not in deletion.keys)
    return Edit(keys=keys, pending=pending)


def _may_work_later(error: BrokerError) -> bool:
    """What a store or server will do once it is well again; unknown outcomes too."""
    cause = error.cause if isinstance(error, StoreFailed) else error
    return isinstance(cause, Retryable) or cause.code == wire.INTERNAL
