"""Jobs that wait for a store, bounded, in the order they came, and what of them goes into one call.

A call takes one write (or other operation), or reads of up to so many different things from the head of the line; equal reads share one
place. So reads that are asked in one moment, or while the store was busy, go together, and nothing waits in order to be joined. There is
one line for each store: no call mixes two.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from broker.stores.store import Asked, StoreClient

Run = Callable[[StoreClient], Awaitable[object]]


@dataclass(eq=False, slots=True)
class Job:
    """One thing that someone waits for. `asked` None: not a read. `answer` gets what came out, errors as values.

    `repeatable`: doing it twice is doing it once. `ends`: the clock's second at which no one waits any more. `sent`: it is being tried;
    `met`: what the last try met.
    """

    operation: str
    asked: Asked | None
    run: Run
    repeatable: bool
    ends: float
    answer: asyncio.Future[object]
    tries: int = 0
    sent: bool = False
    met: object = None

    def give(self, outcome: object) -> None:
        if not self.answer.done():  # else its caller has gone
            self.answer.set_result(outcome)


class Waiting:
    """At most `most` jobs; those that are put back were let in before."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: OrderedDict[int, Job] = OrderedDict()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job, beside: int = 0) -> bool:
        """Whether there was room; `beside`: jobs that were let in and rest elsewhere."""
        if len(self._jobs) + beside >= self._most:
            return False
        self._jobs[id(job)] = job
        return True

    def put_back(self, jobs: Iterable[Job]) -> None:
        """At the head, in their order."""
        for job in reversed(list(jobs)):
            if not job.answer.done():
                self._jobs[id(job)] = job
                self._jobs.move_to_end(id(job), last=False)

    def drop(self, job: Job) -> None:
        self._jobs.pop(id(job), None)

    def take(self, most: int) -> list[Job]:
        """What goes into the next call: nothing if no one waits; reads of at most `most` different things."""
        taken: list[Job] = []
        names: set[Asked | None] = set()
        while self._jobs:
            job = next(iter(self._jobs.values()))
            if job.answer.done():
                self.drop(job)
                continue
            if taken and (job.asked is None or taken[0].asked is None or (job.asked not in names and len(names) == most)):
                break
            self.drop(job)
            taken.append(job)
            names.add(job.asked)
        return taken

    def take_all(self) -> list[Job]:
        found = list(self._jobs.values())
        self._jobs.clear()
        return found
