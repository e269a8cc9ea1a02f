"""Whose turn it is to save values: one editor of a key at a time, on this replica and on every other, whatever the store can compare.

Few stores can compare before they write, so the group does: an intent EDIT in what is pending, written with the group's resourceVersion,
says who saves which keys now. Who comes next waits until it is gone, and then looks at what was saved: so an expected version means what
it says. One that a killed replica left behind is passed over once it is old (`Pending.abandoned`), and removed by `repair`.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog

from broker.errors import BrokerError, Conflict, NotFound
from broker.groups.held import Held
from broker.groups.intents import Intent, Step, intent
from broker.groups.pending import Pending, without
from broker.groups.resources import Edit, Resources, Stale

log = structlog.get_logger()
WAIT_SECONDS = 15.0  # for one's turn; a single call to a store has 8
LOOK_SECONDS = 0.05  # between looks at what another replica does: from half of it to all of it


class Turns:
    """In a folder, which one broker writes, turns are kept in memory alone: a new version needs no write there."""

    def __init__(self, resources: Resources, pending: Pending, wait_seconds: float = WAIT_SECONDS) -> None:
        self._resources, self._pending, self.wait_seconds = resources, pending, wait_seconds
        self._here: dict[str, list[Intent]] = {}
        self._ended = asyncio.Condition()

    @asynccontextmanager
    async def at(self, group: str, keys: Iterable[str], by: str) -> AsyncIterator[Held]:
        """Gives the group as it is when the turn comes. No keys: all that it has. Raises Conflict when the wait is too long."""
        mine = intent(Step.EDIT, keys, by, self._pending.now())
        deadline = asyncio.get_running_loop().time() + self.wait_seconds
        await self._begin(group, mine, deadline)
        try:
            with self._pending.mine(mine):
                try:
                    yield await self._claimed(group, mine, deadline)
                finally:
                    await self._leave(group, mine)
        finally:
            await self._end(group, mine)

    def check(self, held: Held, keys: Iterable[str] = ()) -> None:
        """Raises Conflict while somebody saves one of these keys (none: any key): what is deleted now would be written again."""
        keys = tuple(keys)
        for other in (*held.pending, *self._here.get(held.name, ())):
            if other.step is Step.EDIT:
                self._pending.free(held, other, keys or other.keys)

    async def _begin(self, group: str, mine: Intent, deadline: float) -> None:
        """Alone on this replica."""
        async with self._ended:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._ended.wait_for(lambda: not _meeting(self._here.get(group, ()), mine))
            except TimeoutError:
                raise _too_long(group, _meeting(self._here.get(group, ()), mine)) from None
            self._here.setdefault(group, []).append(mine)

    async def _end(self, group: str, mine: Intent) -> None:
        async with self._ended:
            self._here[group].remove(mine)
            if not self._here[group]:
                del self._here[group]
            self._ended.notify_all()

    async def _claimed(self, group: str, mine: Intent, deadline: float) -> Held:
        """Alone among all. A key that is not listed has no editor: whoever makes it says so with CREATE."""
        if self._resources.owned:
            return await self._pending.fresh(group)
        before: list[Intent] = []

        def claim(held: Held) -> Edit:
            nonlocal before
            before = [other for other in _meeting(held.pending, mine) if not self._pending.abandoned(other)]
            if before or held.half_made or (mine.keys and not set(mine.keys) & set(held.keys)):
                return Edit()
            return Edit(pending=(*(i for i in held.pending if i not in _meeting(held.pending, mine)), mine))

        while True:
            held = await self._pending.write(group, claim)
            if not before:
                return held
            if asyncio.get_running_loop().time() > deadline:
                raise _too_long(group, before)
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.5, 1))  # noqa: S311 - jitter

    async def _leave(self, group: str, mine: Intent) -> None:
        """Also when the claim failed: it may have been written, and its answer lost. What fails here is left to `repair`."""
        if self._resources.owned:
            return
        try:
            await self._pending.write(group, lambda held: without(held, mine))
        except NotFound:
            return
        except (BrokerError, Stale) as error:
            log.warning("turn_not_ended", group=group, error=type(error).__name__)


def _meeting(others: Iterable[Intent], mine: Intent) -> list[Intent]:
    return [o for o in others if o.step is Step.EDIT and (not o.keys or not mine.keys or set(o.keys) & set(mine.keys))]


def _too_long(group: str, before: list[Intent]) -> Conflict:
    by = before[0].by if before else "others"
    return Conflict(f"values of secret group '{group}' are being saved by {by} right now; try again in a moment")
