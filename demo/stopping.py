"""Ctrl-C and other signals as an exception that unwinds, so that servers are stopped and folders removed.

A signal in the middle of making a process or a folder is held back until there is someone who removes it again.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asked us to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


class _Hearing:
    """What the handler knows: whether it may raise now, and what it held back."""

    holding = 0
    pending: int | None = None


def hear_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, _stop)


@contextmanager
def undisturbed() -> Iterator[None]:
    """No Stopped inside; one that came is raised at the end."""
    _Hearing.holding += 1
    try:
        yield
    finally:
        _Hearing.holding -= 1
    if _Hearing.pending is not None and not _Hearing.holding:
        raise Stopped(_Hearing.pending)


def _stop(number: int, _frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not cut the cleaning short
    _Hearing.pending = number
    if not _Hearing.holding:
        raise Stopped(number)
