"""One env entry that holds references: where it stands in the pod, and what it is to become."""

from typing import NamedTuple

from contract.references import Template


class EnvReference(NamedTuple):
    """Found by `scan`, rewritten by a mode. A tuple, since a review makes many: a frozen dataclass takes three times as long."""

    pointer: str  # of the entry
    place: str  # for messages
    name: str
    template: Template
    parts: tuple[str, ...]  # text, FQN, text, ...: as the plan has it
