"""Finish or take back what a broker was in the middle of when it ended: at the start, and then again and again.

No leader: two replicas may both try, since every step of `Pending.settle` can be repeated. One leaves alone what it works on itself, what
waits for its time (a deletion that can be undone), and what is so young that another replica may be at work.

what fails               | because the store                    | then
------------------------ | ------------------------------------ | ----------------------------------------------------------------
anything                 | does not answer, is misconfigured    | it is tried again, less and less often
a deletion with undo     | refuses                              | the key comes back, as after a deletion that somebody waited for
any other                | refuses for want of a right          | it is tried again: nobody can use the key, as its author was told
any other                | can never do it (it is read-only)    | the note goes: the value stays there, and nobody can use the key
"""

import asyncio
from contextlib import suppress

import structlog

from broker.errors import BrokerError
from broker.groups.held import Held
from broker.groups.intents import Intent, Step
from broker.groups.model import NOT_DELETED, Activity
from broker.groups.pending import Pending, impossible, refused, without
from broker.groups.resources import Resources, Stale
from service.logs import describe

log = structlog.get_logger()
EVERY = 10.0  # seconds; a deletion that could be undone is carried out that much after its time
MOST_ROUNDS = 32  # between two tries of what keeps failing


class Repair:
    def __init__(self, resources: Resources, pending: Pending, every: float = EVERY) -> None:
        self._resources, self._pending, self._every = resources, pending, every
        self._task: asyncio.Task[None] | None = None
        self._round = 0
        self._failing: dict[str, tuple[int, int]] = {}  # by intent: how often it was tried, and the next round that tries it

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="repair secret groups")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def round(self) -> int:
        """How many were settled."""
        self._round += 1
        settled, failing = 0, dict[str, tuple[int, int]]()
        for name in list(self._resources.pending()):
            held = await self._read(name)
            if held is None:
                continue
            for found in filter(self._pending.abandoned, held.pending):
                tries, due = self._failing.get(found.id, (0, 0))
                if self._round >= due:
                    if await self._done(held, found):
                        settled += 1
                        continue
                    tries, due = tries + 1, self._round + min(2**tries, MOST_ROUNDS)
                failing[found.id] = tries, due
        self._failing = failing
        return settled

    async def _read(self, name: str) -> Held | None:
        try:
            return await self._resources.read(name)
        except BrokerError as error:
            log.warning("repair_failed", group=name, code=error.code)
        return None

    async def _done(self, held: Held, found: Intent) -> bool:
        """Whether it needs no other try. One that fails keeps no other waiting."""
        try:
            await self._pending.settle(held, found)
            log.info("repaired", group=held.name, step=found.step.value, keys=len(found.keys), group_itself=found.whole)
        except Stale:
            return False
        except BrokerError as error:
            log.warning("repair_failed", group=held.name, code=error.code)
            return refused(error) and await self._given_up(held, found, error)
        return True

    async def _given_up(self, held: Held, found: Intent, error: BrokerError) -> bool:
        """Whether a refusal ends it; see the table above."""
        try:
            if found.step is Step.DELETE and (found.undoable or found.due is not None):
                await self._put_back(held, found)
            elif not impossible(error):
                return False
            elif not found.whole or not await self._pending.removed(held):
                await self._pending.write(held.name, lambda now: without(now, found))
        except (BrokerError, Stale):
            return False
        log.warning("repair_given_up", group=held.name, step=found.step.value, code=error.code)
        return True

    async def _put_back(self, held: Held, found: Intent) -> None:
        now = self._pending.now()
        back = await self._pending.put_back(held, found)
        with suppress(BrokerError):  # a convenience, as all of the activity
            await self._resources.remember(held.name, [Activity(now, found.by, NOT_DELETED, key) for key in back])

    async def _follow(self) -> None:
        while True:
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - the next round tries again
                log.error("repair_crashed", **describe(error))  # noqa: TRY400 - a traceback's message may hold a value
            await asyncio.sleep(self._every)
