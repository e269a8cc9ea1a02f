"""One env entry that holds references: where it stands in the pod, and what it is to become."""

from dataclasses import dataclass

from contract.references import Template


@dataclass(frozen=True, slots=True)
class EnvReference:
    """Found by `scan`, rewritten by a mode."""

    pointer: str  # of the entry
    place: str  # for messages
    name: str
    template: Template
    parts: tuple[str, ...]  # text, FQN, text, ...: as the plan has it
