"""What is pending in a group, and how a group is written: the part that changes and `repair` share.

An intent is carried out or taken back by `settle`, which is safe to repeat and for two at once; `changes` has the order, and why. A
write reads, decides and writes, and starts again when somebody else wrote in between.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from weakref import WeakValueDictionary

from broker.errors import (
    BrokerError,
    Conflict,
    InvalidRequest,
    Misconfigured,
    NotFound,
    StoreFailed,
    StoreRefused,
    Unavailable,
    Unsupported,
)
from broker.groups.held import Held
from broker.groups.intents import Intent, Step, undone
from broker.groups.resources import Edit, Resources, Stale
from broker.groups.values import Values
from contract.catalog import Catalog
from contract.fqn import ManagedSecret
from contract.resources import SecretStore

TRIES = 10  # of one write; each loses only to another that was made
# A change has 40 seconds for its part at the store, and clocks of two nodes differ; a mistake costs one refused change.
REPAIR_AFTER = timedelta(seconds=60)
AT_ONCE = 8  # values of one change on their way at the same time


def now_utc() -> datetime:
    return datetime.now(UTC)


class Pending:
    """Groups as they stand, with what is being done to them."""

    def __init__(self, resources: Resources, values: Values, catalog: Catalog, now: Callable[[], datetime] = now_utc) -> None:
        self._resources, self._values, self._catalog, self.now = resources, values, catalog, now
        self._running: set[str] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def abandoned(self, found: Intent) -> bool:
        """Whether nobody works on it any more, and its time has come."""
        if found.id in self._running or found.waits(self.now()):
            return False
        age = abs(self.now() - max(found.at, found.due or found.at))  # a time to come is from a clock that is wrong
        return self._resources.owned or age >= REPAIR_AFTER

    async def settle(self, held: Held, found: Intent) -> None:
        """Carry out or take back what is pending. Safe to repeat, and for two at once. Raises StoreFailed, Stale."""
        if found.step is Step.CREATE or found.due is not None:
            held, claimed = await self._claim(held, found)
            if claimed is None:
                return
            found = claimed
        await self.purge(held, [key for key in found.doomed() if key not in held.keys])
        if not found.whole or not await self.removed(held):
            await self.write(held.name, lambda now: without(now, found))

    async def purge(self, held: Held, keys: Sequence[str]) -> None:
        """Delete these keys' values from the store that the group had. Raises StoreFailed."""
        if keys:
            store = self.store(held.group.store)
            await each(keys, lambda key: self._values.purge(store, self.path(held.name, key)))

    async def removed(self, held: Held) -> bool:
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
                claimed = replace(there, due=None, at=self.now(), undoable=there.undoable or there.due is not None)
            return Edit(pending=tuple(p for i in now.pending if (p := claimed if i.id == found.id else i) is not None))

        return await self.write(held.name, ours), claimed

    def free(self, held: Held, other: Intent, keys: Iterable[str]) -> None:
        """Raises Conflict while somebody works on one of these keys."""
        touched = sorted(set(keys) & set(other.keys)) or ([""] if other.whole or not other.keys else [])
        if touched and not other.waits(self.now()) and not self.abandoned(other):
            what = f"key '{touched[0]}'" if touched[0] else f"secret group '{held.name}'"
            verb = {Step.DELETE: "deleted", Step.EDIT: "saved"}.get(other.step, "added")
            raise Conflict(f"{what} is being {verb} by {other.by} right now; try again in a moment", version=held.version)

    async def make_way(self, held: Held, keys: Iterable[str]) -> None:
        """Before keys come (again): finish what is pending about them. An old value that the store keeps is no reason against a new one."""
        keys = set(keys)
        for other in held.pending:
            if keys & set(other.keys) and other.step is not Step.EDIT:  # of listed keys, which these are not
                self.free(held, other, keys)
                try:
                    await self.settle(held, other)
                except BrokerError as error:
                    if not refused(error):
                        raise
                    await self.write(held.name, partial(without, found=other))

    async def put_back(self, held: Held, found: Intent) -> tuple[str, ...]:
        """The keys of a deletion that the store does not carry out, as far as they have a value: listed again."""
        keys = tuple([key for key in found.keys if await self._has_value(held, key)])
        await self.write(held.name, lambda now: replace(without(now, found), keys=joined(now.keys, keys)))
        return keys

    async def _has_value(self, held: Held, key: str) -> bool:
        """Or may have one: the store cannot say."""
        try:
            return (await self._values.newest(self.store(held.group.store), self.path(held.name, key)))[0]
        except BrokerError:
            return True

    async def fresh(self, name: str) -> Held:
        held = await self._resources.read(name)
        if held is None:
            raise NotFound(f"there is no secret group '{name}' any more")
        return held

    async def write(self, name: str, edit: Callable[[Held], Edit]) -> Held:
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

    def store(self, name: str) -> SecretStore:
        store = self._catalog.stores.get(name)
        if store is None:
            raise Misconfigured(f"SecretStore '{name}' does not exist or cannot be used")
        return store

    def path(self, group: str, key: str) -> str:
        return ManagedSecret(self._catalog.tenant, group, key).path

    def mine(self, *found: Intent | None) -> "_Mine":
        return _Mine(self._running, {i.id for i in found if i is not None})


class _Mine:
    """While it is entered, `repair` leaves these alone."""

    def __init__(self, running: set[str], ids: set[str]) -> None:
        self._running, self._ids = running, ids

    def __enter__(self) -> None:
        self._running |= self._ids

    def __exit__(self, *_: object) -> None:
        self._running -= self._ids


def without(held: Held, found: Intent) -> Edit:
    rest = tuple(i for i in held.pending if i.id != found.id)
    return Edit(pending=rest if len(rest) < len(held.pending) else None)


def joined(keys: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*keys, *more)))


def refused(error: BrokerError) -> bool:
    """Whether the store said no, and will say it again until somebody changes its rights."""
    return impossible(error) or isinstance(_cause(error), StoreRefused)


def impossible(error: BrokerError) -> bool:
    """Whether this kind of store can never do it."""
    return isinstance(_cause(error), Unsupported | InvalidRequest)


def _cause(error: BrokerError) -> BrokerError:
    return error.cause if isinstance(error, StoreFailed) else error


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
