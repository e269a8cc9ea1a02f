"""The way to one store: its line, its slots, its circuit, and what goes back into the line.

outcome of a try | read, versions                      | write, delete
---------------- | ----------------------------------- | ---------------------------------
Throttled        | again, after the whole store's rest | the same: the store did nothing
NotSent          | again, after a wait of its own      | the same: the store saw nothing
Sealed           | told: another try does not unseal   | the same
Unavailable      | again, after a wait of its own      | told: it may have been done
anything else    | told                                | told

Three tries, but for Throttled, which has as many as the callers' time allows: the store's rest keeps them few. What failed in one call is
tried again in one call. When the circuit opens, whatever waits is told at once.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from typing import TypeVar

import structlog

from broker.backoff import Backoff
from broker.batches import Job, Waiting
from broker.circuit import Circuit, State, Ticket
from broker.errors import Throttled, Unavailable
from broker.limits import Limits
from broker.metrics import Metrics
from broker.outcomes import as_told, is_answer, is_safe_again, kind, longest_asked
from broker.pace import Pace
from broker.slots import Slots
from broker.timing import Timing
from broker.tries import Tries
from contract.resources import SecretStore

log = structlog.get_logger()
Refusal = TypeVar("Refusal", Unavailable, Throttled)

TRIES = 3
AGAIN = Backoff(first=0.2, longest=2.0)
CALLERS_FIRST = 0.1  # a try is cut off just after the last of those who wait for it have gone
PATIENCE = 0.75  # of a call's time may be spent in the line
SHORTLY = 1.0  # seconds, for a caller who would find the same a moment later


class Lane:
    """`changed` is called after the circuit opened or closed."""

    def __init__(
        self, store: SecretStore, tries: Tries, limits: Limits, metrics: Metrics, timing: Timing, changed: Callable[[], None]
    ) -> None:
        self._store, self._tries, self._limits, self._metrics, self._timing, self._told = store, tries, limits, metrics, timing, changed
        self.place = f"the store '{store.fqn}'"
        self.slots = Slots(limits.at_once, timing)
        self.circuit = Circuit(timing, self._circuit_changed)
        self._line = Waiting(limits.waiting)
        self._pace = Pace(timing)
        self._too_late = False  # what is asked in this turn of the loop
        self._resting: set[Job] = set()  # between two tries
        self._reason = ""
        self._planned = self._waking = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        return len(self._line) + len(self._resting)

    # --- into the line, and out of it --------------------------------------------------------------------------------

    def put(self, job: Job) -> None:
        """Raises Unavailable or Throttled where waiting is for nothing."""
        if self.circuit.left_alone() is not None:
            raise self._left_alone()
        if not self._in_time(job, self.slots.rest()):
            raise self._at_rest()
        self._plan()
        if self._too_late or not self._line.put(job, len(self._resting)):
            raise self._not_asked("waiting", Unavailable(f"{self.place} has as many calls waiting as it takes; try again", SHORTLY))

    def drop(self, job: Job) -> None:
        """Its caller waits no more."""
        self._line.drop(job)
        self._resting.discard(job)

    async def close(self) -> None:
        """Ends what is left: no one waits for it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plan(self) -> None:
        """Look at the line in the loop's next turn: what is asked in this one goes together, and no clock is waited for.

        It is also let in or refused together: most of a pod's values are of no use to it.
        """
        if not self._planned:
            self._planned = True
            self._too_late = self._pace.wait(self.waiting) > PATIENCE * self._limits.call_seconds
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._planned = False
        while self.slots.free() and (jobs := self._line.take(self._tries.batch)):
            ticket = self.circuit.begin()
            if ticket is None:
                self._leave_alone(jobs)
            else:
                self._start(self._call(jobs, ticket, self.slots.take()))
        self._pace.look(waiting=len(self._line) > 0)
        if len(self._line) and self.slots.rest() > 0 and not self._waking:
            self._waking = True
            self._start(self._wake())

    async def _wake(self) -> None:
        while (rest := self.slots.rest()) > 0:
            await self._timing.sleep(rest)
        self._waking = False
        self._send()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        """In a context of its own: it is no single request's, whose id its log lines would carry."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- one call ----------------------------------------------------------------------------------------------------

    async def _call(self, jobs: list[Job], ticket: Ticket, began: int) -> None:
        for job in jobs:
            job.tries, job.sent = job.tries + 1, True
        seconds = max(job.ends for job in jobs) - self._timing.clock() + CALLERS_FIRST
        try:
            outcomes = await self._tries.jobs(jobs, min(seconds, self._limits.try_seconds) if jobs[0].repeatable else seconds)
        finally:
            self.slots.leave()
            for job in jobs:
                job.sent = False
        self._hold_against(outcomes, ticket, began)
        self._settle(jobs, outcomes)
        self._send()

    def _hold_against(self, outcomes: Sequence[object], ticket: Ticket, began: int) -> None:
        """What the call tells of the store as a whole: one answer in a batch shows that it answers."""
        failed = next((outcome for outcome in outcomes if isinstance(outcome, Unavailable)), None)
        if any(isinstance(outcome, Throttled) for outcome in outcomes):
            self.slots.throttled(began, longest_asked(outcomes))
            self.circuit.answered(ticket)
        elif any(map(is_answer, outcomes)):
            self.slots.answered(began)
            self.circuit.answered(ticket)
        elif failed is not None:
            self._reason = kind(failed)
            self.circuit.failed(ticket, longest_asked(outcomes))
        else:
            self.circuit.undecided(ticket)

    def _settle(self, jobs: Sequence[Job], outcomes: Sequence[object]) -> None:
        throttled: list[Job] = []
        failed: list[Job] = []
        wait = AGAIN.wait(max(job.tries for job in jobs), longest_asked(outcomes), self._timing.uniform)
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.met = outcome
            if isinstance(outcome, Throttled) and self._in_time(job, self.slots.rest()):
                throttled.append(job)
            elif isinstance(outcome, Unavailable) and self._in_time(job, wait) and self._worth_it(job, outcome):
                failed.append(job)
            else:
                job.give(as_told(outcome, repeatable=job.repeatable))
                self._pace.finished(1)
        self._count_retries(throttled, "throttled")
        self._line.put_back(throttled)
        if failed:
            self._resting.update(failed)
            self._start(self._rest(failed, wait))

    def _in_time(self, job: Job, seconds: float) -> bool:
        return self._timing.clock() + seconds < job.ends

    def _worth_it(self, job: Job, error: Unavailable) -> bool:
        return job.tries < TRIES and self.circuit.state is State.CLOSED and is_safe_again(error, repeatable=job.repeatable)

    async def _rest(self, jobs: list[Job], seconds: float) -> None:
        await self._timing.sleep(seconds)
        still = [job for job in jobs if job in self._resting]
        self._resting.difference_update(still)
        self._count_retries(still, "unavailable")
        self._line.put_back(still)
        self._send()

    def _count_retries(self, jobs: Sequence[Job], reason: str) -> None:
        if jobs:
            self._metrics.store_retries.labels(self._store.name, reason).inc(len(jobs))

    # --- refusals ----------------------------------------------------------------------------------------------------

    def _circuit_changed(self) -> None:
        if self.circuit.state is State.CLOSED:
            log.info("circuit_closed", store=self._store.name)
        else:
            log.warning("circuit_opened", store=self._store.name, seconds=round(self.circuit.left_alone() or 0, 1), reason=self._reason)
            self._metrics.store_circuit_openings.labels(self._store.name).inc()
            self._leave_alone([*self._line.take_all(), *self._resting])
            self._resting.clear()
        self._told()

    def _leave_alone(self, jobs: Sequence[Job]) -> None:
        """Whoever was there when it failed learns what it met."""
        for job in jobs:
            job.give(job.met if isinstance(job.met, Unavailable) else self._left_alone())

    def _left_alone(self) -> Unavailable:
        """Says nothing of what others asked for."""
        seconds = self.circuit.left_alone() or 0.0
        until = f"until {self._timing.at(seconds)}" if seconds else "while one call tries it"
        message = f"{self.place} is left alone {until}: its last calls failed ({self._reason}). Its SecretStore's status tells more"
        return self._not_asked("circuit", Unavailable(message, max(seconds, SHORTLY)))

    def _at_rest(self) -> Throttled:
        rest = self.slots.rest()
        message = f"{self.place} asks for fewer calls; it is left alone until {self._timing.at(rest)}"
        return self._not_asked("throttled", Throttled(message, rest))

    def _not_asked(self, reason: str, error: Refusal) -> Refusal:
        self._metrics.store_not_asked.labels(self._store.name, reason).inc()
        return error
