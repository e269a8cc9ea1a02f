"""How long things may take, in seconds. A value object of its own, so that what needs no library loads none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """`total`: one call. `gone`: how long a deletion is waited for, less than a caller's own patience; `back`: a recovery, which goes
    on without its caller. `poll`: between looks at whether the vault is done. `login`: for a token; with the loading of the library
    less than a try of the guard has, so that it is told who does not answer. The login goes on, and the next try joins it.
    """

    connect: float = 3.0
    total: float = 10.0
    gone: float = 4.0
    back: float = 30.0
    poll: float = 1.0
    login: float = 3.0
