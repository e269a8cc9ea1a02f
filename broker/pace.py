"""How fast a store works off what waits for it, so that nobody waits in a line that is longer than his time.

Where more is asked than a store can give in a call's time, a line in order of arrival serves everyone just before they go, and what was
read for a pod that then lacks its last value was read for nothing. So whoever would come too late is told at once, and what is let in
is served. Measured only while jobs wait: a store that is asked little is not a slow one. What was measured is believed for a while after.
"""

from broker.timing import Timing

LEAST_SECONDS = 1.0  # before this a measure says nothing
WINDOW_SECONDS = 4.0
BELIEVED_SECONDS = 10.0


class Pace:
    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._since: float | None = None  # when jobs began to wait, or the window did
        self._done = 0
        self._rate: float | None = None  # of the last window
        self._until = 0.0

    def look(self, *, waiting: bool) -> None:
        """After the line was looked at: whether jobs still wait in it."""
        elapsed = self._elapsed()
        if elapsed >= LEAST_SECONDS and (not waiting or elapsed >= WINDOW_SECONDS):
            self._rate, self._until = self._measured(elapsed), self._timing.clock() + BELIEVED_SECONDS
            self._since = None
        if not waiting:
            self._since = None
        elif self._since is None:
            self._since, self._done = self._timing.clock(), 0

    def finished(self, jobs: int) -> None:
        self._done += jobs

    def wait(self, ahead: int) -> float:
        """Seconds until so many jobs are worked off; 0 if nothing is known."""
        elapsed = self._elapsed()
        if elapsed >= LEAST_SECONDS:
            return ahead / self._measured(elapsed)
        if self._rate is not None and self._timing.clock() < self._until:
            return ahead / self._rate
        return 0.0

    def _elapsed(self) -> float:
        return 0.0 if self._since is None else self._timing.clock() - self._since

    def _measured(self, elapsed: float) -> float:
        return max(self._done, 1) / elapsed
