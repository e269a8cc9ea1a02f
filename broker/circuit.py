"""Whether a store that keeps failing is asked at all: a circuit for each store, so that a dead one costs nobody any time.

state     | a call       | becomes
--------- | ------------ | -----------------------------------------------------------------------------------
closed    | may be sent  | open, after `after` failures in a row and no answer in between
open      | is refused   | half open, when its seconds are over; each opening in a row is longer, up to `longest`
half open | one may be   | closed by an answer, open again by a failure; a trial that tells nothing leaves the next one

Any answer closes it, also a late one. The background probe closes it too, but the next failure then opens it at once and for longer, and
from then until an answer a good probe makes it half open and no more: health may look good where reads fail. Calls that began before the
circuit last opened or closed do not count as failures: they tell of the past. What a failure is decides `broker.lane`.
"""

from collections.abc import Callable
from enum import Enum

from broker.timing import Timing

AFTER = 5
FIRST_SECONDS = 2.0
LONGEST_SECONDS = 30.0  # a pod waits 120 s by default, so it sees at least one try of a store that came back
Ticket = int  # which life of the circuit a call began in


class State(Enum):
    """The values are what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Circuit:
    """`changed` is called after it opened or closed."""

    def __init__(
        self,
        timing: Timing,
        changed: Callable[[], None] = lambda: None,
        *,
        after: int = AFTER,
        first: float = FIRST_SECONDS,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        self._timing, self._changed = timing, changed
        self._after, self._first, self._longest = after, first, longest
        self._failures = 0  # in a row
        self._openings = 0  # in a row, without an answer to a call in between
        self._life: Ticket = 0
        self._until: float | None = None  # None: closed
        self._trial = False
        self._by_probe = self._doubted = False  # closed by a probe; opened again after that

    @property
    def state(self) -> State:
        if self._until is None:
            return State.CLOSED
        return State.OPEN if self._timing.clock() < self._until else State.HALF_OPEN

    def left_alone(self) -> float | None:
        """Seconds until a call may be sent; 0 while the trial is on its way; None: now."""
        match self.state:
            case State.CLOSED:
                return None
            case State.OPEN:
                return (self._until or 0.0) - self._timing.clock()
            case State.HALF_OPEN:
                return 0.0 if self._trial else None

    def begin(self) -> Ticket | None:
        """A call is about to be sent: its ticket, or None if it must not be. Each ticket ends in one of the next three."""
        if self.left_alone() is not None:
            return None
        if self._until is not None:
            self._trial = True
            self._life += 1
        return self._life

    def answered(self, ticket: Ticket) -> None:  # noqa: ARG002 - whenever it began, it tells that the store answers
        was_open = self._until is not None
        self._failures = self._openings = 0
        self._by_probe = self._doubted = False
        self._close()
        if was_open:
            self._changed()

    def failed(self, ticket: Ticket, asked: float = 0.0) -> None:
        """`asked`: the store's Retry-After, which an opening keeps as far as it is not past the longest."""
        if ticket != self._life:
            return
        self._failures += 1
        if self._trial or self._failures >= self._after:
            self._open(asked)
            self._changed()

    def undecided(self, ticket: Ticket) -> None:
        """The call ended without telling whether the store answers."""
        if ticket == self._life:
            self._trial = False

    def probed(self) -> None:
        """The background probe was answered."""
        if self._until is None:
            return
        if self._doubted:
            self._until = min(self._until, self._timing.clock())
            return
        self._failures = self._after - 1
        self._by_probe = True
        self._close()
        self._changed()

    def _open(self, asked: float) -> None:
        seconds = min(self._longest, self._first * 2 ** min(self._openings, 16))
        spread = self._timing.uniform(seconds / 2, seconds)  # replicas do not come back together
        self._until = self._timing.clock() + max(spread, min(asked, self._longest))
        self._openings += 1
        self._doubted = self._doubted or self._by_probe
        self._trial = False
        self._life += 1

    def _close(self) -> None:
        if self._until is not None:
            self._until = None
            self._trial = False
            self._life += 1
