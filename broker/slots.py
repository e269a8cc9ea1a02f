"""How many calls of one store may run at once: up to a setting, fewer after the store asked for fewer, none while it rests.

Additive increase, multiplicative decrease, as TCP does it: a Throttled halves the number, each answer adds one over the number. And since
a store with 40 requests a second refuses one caller as well as 32, all calls pause after a Throttled, for the store's Retry-After or a
moment that doubles: so each pause costs one refused call, and not one for everything that waits. Calls that ran when the number was cut
do not cut it again.
"""

from broker.backoff import Backoff
from broker.timing import Timing

LONGEST_REST = 60.0  # a store that asks for more is asked again after this all the same
REST = Backoff(first=0.2, longest=2.0)


class Slots:
    """`running` calls hold one each."""

    def __init__(self, most: int, timing: Timing) -> None:
        self._most, self._timing = most, timing
        self._limit = float(most)
        self._cuts = 0  # which number the running calls began under
        self._throttles = 0  # in a row
        self._rests_until = 0.0
        self.running = 0

    @property
    def limit(self) -> int:
        return int(self._limit)

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
        self._limit = min(float(self._most), self._limit + 1 / self._limit)
        if began == self._cuts:
            self._throttles = 0

    def throttled(self, began: int, asked: float | None) -> None:
        if began == self._cuts:
            self._cuts += 1
            self._throttles += 1
            self._limit = max(1.0, self._limit / 2)
            rest = REST.wait(self._throttles, min(asked or 0.0, LONGEST_REST), self._timing.uniform)
        else:
            rest = min(asked or 0.0, LONGEST_REST)
        self._rests_until = max(self._rests_until, self._timing.clock() + rest)
