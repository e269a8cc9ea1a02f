"""One try of a store's client: in time, counted, with every failure as a value and a BrokerError.

Decides which of the client's calls a group of jobs becomes: a batch for different reads, else the one call that they all want.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

import structlog

from broker.batches import Job
from broker.errors import BrokerError, Unavailable
from broker.metrics import Metrics
from broker.outcomes import crashed, stripped
from broker.stores.store import Asked, BatchClient, StoreClient
from broker.timing import Timing
from contract.resources import SecretStore

log = structlog.get_logger()
T = TypeVar("T")


class Tries:
    """Of one store. `batch` is how many different reads go into one call."""

    def __init__(self, store: SecretStore, client: StoreClient, metrics: Metrics, timing: Timing) -> None:
        self._store, self._client, self._metrics, self._timing = store, client, metrics, timing
        self.batch = client.batch if isinstance(client, BatchClient) else 1

    async def jobs(self, jobs: Sequence[Job], seconds: float) -> list[object]:
        """An outcome for each job, in order: reads of up to `batch` different things, or one other job."""
        first, names = jobs[0], list(dict.fromkeys(job.asked for job in jobs))
        if len(names) == 1:
            return [await self.one(first.operation, lambda: first.run(self._client), seconds)] * len(jobs)
        found = await self._batch(cast(list[Asked], names), seconds)
        return [found[cast(Asked, job.asked)] for job in jobs]

    async def one(self, operation: str, run: Callable[[], Awaitable[T]], seconds: float) -> T | BrokerError:
        started = self._timing.clock()
        outcome = await self._safely(run, seconds)
        code = outcome.code if isinstance(outcome, BrokerError) else "ok"
        self._metrics.store_calls.labels(self._store.name, operation, code).inc()
        self._metrics.store_call_seconds.labels(self._store.name, operation).observe(self._timing.clock() - started)
        return outcome

    async def _batch(self, names: list[Asked], seconds: float) -> dict[Asked, object]:
        client = cast(BatchClient, self._client)
        self._metrics.store_batch_size.labels(self._store.name).observe(len(names))
        outcomes = await self.one("read_batch", lambda: client.read_batch(names), seconds)
        if not isinstance(outcomes, BrokerError) and len(outcomes) != len(names):
            outcomes = crashed(self._store, ValueError("a batch has another number of outcomes than of names"))
        if isinstance(outcomes, BrokerError):
            return dict.fromkeys(names, outcomes)
        return dict(zip(names, outcomes, strict=True))

    async def _safely(self, run: Callable[[], Awaitable[T]], seconds: float) -> T | BrokerError:
        try:
            async with asyncio.timeout(seconds):
                return await run()
        except BrokerError as error:
            return stripped(error)
        except TimeoutError:
            return Unavailable(f"the store '{self._store.fqn}' did not answer within {seconds:g} seconds")
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return crashed(self._store, error)  # a library's own, which would leave those who wait without an answer
        except Exception as error:  # noqa: BLE001 - see crashed
            return crashed(self._store, error)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
