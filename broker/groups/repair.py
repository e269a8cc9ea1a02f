"""Finish or take back what a broker was in the middle of when it ended: at the start, and then again and again.

No leader: two replicas may both try, since every step of `Pending.settle` can be repeated. One leaves alone what it works on itself, what
waits for its time (a deletion that can be undone), and what is so young that another replica may be at work. What fails is tried again.
"""

import asyncio
from contextlib import suppress

import structlog

from broker.errors import BrokerError
from broker.groups.pending import Pending
from broker.groups.resources import Resources, Stale
from service.logs import describe

log = structlog.get_logger()
EVERY = 10.0  # seconds; a deletion that could be undone is carried out that much after its time


class Repair:
    def __init__(self, resources: Resources, pending: Pending, every: float = EVERY) -> None:
        self._resources, self._pending, self._every = resources, pending, every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="repair secret groups")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def round(self) -> int:
        """How many were settled."""
        settled = 0
        for name in list(self._resources.pending()):
            try:
                settled += await self._settle(name)
            except Stale:
                continue
            except BrokerError as error:
                log.warning("repair_failed", group=name, code=error.code)
        return settled

    async def _settle(self, name: str) -> int:
        held = await self._resources.read(name)
        due = [] if held is None else [found for found in held.pending if self._pending.abandoned(found)]
        for found in due:
            assert held is not None  # noqa: S101 - there is something due
            await self._pending.settle(held, found)
            log.info("repaired", group=name, step=found.step.value, keys=len(found.keys), group_itself=found.whole)
        return len(due)

    async def _follow(self) -> None:
        while True:
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - the next round tries again
                log.error("repair_crashed", **describe(error))  # noqa: TRY400 - a traceback's message may hold a value
            await asyncio.sleep(self._every)
