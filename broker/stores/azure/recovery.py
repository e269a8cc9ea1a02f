"""Deleted secrets on their way back, because their name is written again: Azure lets no one use it otherwise.

What was deleted stays unreadable: the versions from before the deletion are disabled. That takes seconds, more than a caller may wait, and
must not stop half-way, so it goes on by itself; who writes the same name meanwhile waits for it.
"""

import asyncio
from typing import TYPE_CHECKING

from broker.errors import NotFound

if TYPE_CHECKING:
    from broker.stores.azure.vault import Vault


class Recoveries:
    def __init__(self, vault: "Vault") -> None:
        self._vault = vault
        self._running: dict[str, asyncio.Task[None]] = {}

    async def finish(self, name: str) -> None:
        """Wait for one that an earlier write began, if there is one. Raises what it ends with."""
        task = self._running.get(name.lower())
        if task is not None:
            await asyncio.shield(task)

    async def bring_back(self, place: str, name: str) -> None:
        """Raises StoreRefused, Unavailable and what else a call to the vault raises."""
        if name.lower() not in self._running:
            task = asyncio.create_task(self._bring_back(place, name))
            self._running[name.lower()] = task
            task.add_done_callback(lambda done: self._ended(name, done))
        await self.finish(name)

    async def close(self) -> None:
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _bring_back(self, place: str, name: str) -> None:
        try:
            deleted = await self._vault.deleted_at(place, name)
            await self._vault.recover(place, name)
        except NotFound:  # someone else was quicker; the write that follows tells what is
            return
        for version in await self._vault.versions(place, name):
            # One that is younger than the deletion was written by another replica, since the recovery.
            if version.enabled and (version.created is None or deleted is None or version.created <= deleted):
                await self._vault.disable(place, name, version.name)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._running[name.lower()]
        if not task.cancelled():
            task.exception()  # told to those who wait; there may be none any more
