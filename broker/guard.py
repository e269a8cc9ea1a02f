"""A StoreClient in front of a store's client, that is kind to the store and quick to its callers.

Reads that are asked in one moment go together; so many calls run at once and so many wait; failures are tried again where that is safe;
a store that keeps failing, or asks for a long rest, is told of at once and not asked. All of it within one time budget. Who may read
what was decided before; equal reads of many pods were joined before (`broker.reads`).
"""

import asyncio
from collections.abc import Callable
from typing import cast

from broker.batches import Job, Run
from broker.errors import BrokerError, Retryable, Unavailable
from broker.lane import SHORTLY, Lane
from broker.limits import Limits
from broker.metrics import Metrics
from broker.outcomes import as_told, is_answer
from broker.stores.store import Asked, Stored, StoreClient, StoredVersion
from broker.timing import Timing
from broker.tries import Tries
from contract.resources import SecretStore
from contract.values import SecretValue


class Guard:
    """Owns the client and closes it. Raises BrokerErrors alone. `changed` is called after the circuit opened or closed."""

    def __init__(
        self,
        store: SecretStore,
        client: StoreClient,
        limits: Limits,
        metrics: Metrics,
        timing: Timing | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._limits, self._timing = client, limits, timing or Timing()
        self._tries = Tries(store, client, metrics, self._timing)
        self.lane = Lane(store, self._tries, limits, metrics, self._timing, changed)

    async def read(self, path: str, version: str | None = None) -> Stored:
        asked = Asked(path, version)
        return cast(Stored, await self._ask("read", lambda client: client.read(path, version), asked=asked))

    async def write(self, path: str, value: SecretValue) -> str:
        return cast(str, await self._ask("write", lambda client: client.write(path, value), repeatable=False))

    async def delete(self, path: str, version: str | None = None) -> None:
        await self._ask("delete", lambda client: client.delete(path, version), repeatable=False)

    async def versions(self, path: str) -> list[StoredVersion]:
        return cast(list[StoredVersion], await self._ask("versions", lambda client: client.versions(path)))

    async def healthy(self) -> None:
        """Past line and circuit: this is how an open circuit learns that the store is back."""
        outcome: object = await self._tries.one("healthy", self._client.healthy, self._limits.call_seconds)
        if is_answer(outcome):
            self.lane.circuit.probed()
        if isinstance(outcome, BrokerError):
            raise outcome

    async def close(self) -> None:
        await self.lane.close()
        await self._client.close()

    async def _ask(self, operation: str, run: Run, *, asked: Asked | None = None, repeatable: bool = True) -> object:
        """Wait for what comes out. A caller that goes away takes its own job along, and no one else's."""
        ends = self._timing.clock() + self._limits.call_seconds
        job = Job(operation, asked, run, repeatable, ends, asyncio.get_running_loop().create_future())
        self.lane.put(job)
        try:
            async with asyncio.timeout(self._limits.call_seconds):
                outcome = await job.answer
        except TimeoutError:
            outcome = self._late(job)
        finally:
            self.lane.drop(job)
        if isinstance(outcome, BrokerError):
            raise outcome.with_traceback(None)
        return outcome

    def _late(self, job: Job) -> object:
        seconds = f"{self._limits.call_seconds:g} seconds"
        if isinstance(job.met, Retryable) and (job.repeatable or not job.sent):  # why there was, or was to be, another try
            return as_told(job.met, repeatable=job.repeatable)
        if job.sent:
            return as_told(Unavailable(f"{self.lane.place} did not answer within {seconds}"), repeatable=job.repeatable)
        return Unavailable(f"{self.lane.place} had no room for this call within {seconds}, and nothing was done; try again", SHORTLY)
