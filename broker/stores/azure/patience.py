"""How long things may take, in seconds. A value object of its own, so that what needs no library loads none."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """`settle`: how long a deletion or recovery may take until it is done in the vault; `poll`: how often the vault is asked."""

    connect: float = 3.0
    total: float = 10.0
    settle: float = 30.0
    poll: float = 1.0
