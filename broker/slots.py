"""How many calls of one store may run at once: up to a setting, fewer after the store asked for fewer, none while it rests.

Multiplicative decrease, additive increase: a Throttled halves the number, and it grows back by the same amount each second. And since a
store with 40 requests a second refuses one caller as well as 32, all calls pause after a Throttled, for the store's Retry-After or a
moment that doubles: so each pause costs one refused call, and not one for everything that waits. Calls that ran when the number was cut
do not cut it again.
"""

from broker.backoff import Backoff
from broker.timing import Timing

BACK_AGAIN = 30.0  # seconds from one call at once to all of them
LONGEST_REST = 60.0  # a store that asks for more is asked again after this all the same
REST = Backoff(first=0.4, longest=2.0)


class Slots:
    """`running` calls hold one each."""

    def __init__(self, most: int, timing: Timing) -> None:
        self._most, self._timing = most, timing
        self._limit = float(most)  # when the last rest ended
        self._cuts = 0  # which number the running calls began under
        self._throttles = 0  # in a row
        self._rests_until = 0.0
        self.running = 0

    @property
    def limit(self) -> int:
        return int(self._now())

    def _now(self) -> float:
        since = max(0.0, self._timing.clock() - self._rests_until)
        return min(float(self._most), self._limit + since * self._most / BACK_AGAIN)

    def rest(self) -> float:
        """Seconds until calls may be sent again."""
        return max(0.0, self._rests_until - self._timing.clock())

    def free(self) -> bool:
        return self.running < self.limit and self.rest() == 0

    def take(self) -> int:
        """What `answered` and `throttled` want to know: when the call began."""
        self.running += 1
        return self._cuts

    def leave(self) -> None:
        self.running -= 1

    def answered(self, began: int) -> None:
        if began == self._cuts:
            self._throttles = 0

    def throttled(self, began: int, asked: float | None) -> None:
        limit, rest = self._now(), min(asked or 0.0, LONGEST_REST)
        if began == self._cuts:
            self._cuts += 1
            self._throttles += 1
            limit, rest = max(1.0, limit / 2), REST.wait(self._throttles, rest, self._timing.uniform)
        self._limit, self._rests_until = limit, max(self._rests_until, self._timing.clock() + rest)
