"""One env entry that holds references: where it stands in the pod, and what it is to become.

Tuples, since a review makes many: a frozen dataclass takes three times as long. What a value holds is shared between reviews.
"""

from typing import NamedTuple, Self

from contract.fqn import ManagedSecret
from contract.references import Template


class Found(NamedTuple):
    """What one value holds, with all that is asked of it again and again."""

    template: Template
    parts: tuple[str, ...]  # text, FQN, text, ...: as the plan has it
    managed: int  # how many of its references are managed secrets
    may_be_absent: bool  # whether nothing is left when every optional secret is absent

    @classmethod
    def of(cls, template: Template) -> Self:
        managed = sum(isinstance(fqn.secret, ManagedSecret) for fqn in template.fqns)
        return cls(template, template.parts, managed, not any(template.texts) and all(fqn.optional for fqn in template.fqns))


class EnvReference(NamedTuple):
    """Found by `scan`, rewritten by a mode. `container` and `env` are where it stands: for messages, and as a JSON Pointer."""

    container: str
    env: str
    entry: int  # its index
    name: str
    found: Found

    @property
    def place(self) -> str:
        return f"{self.container}.env[{self.name}]"

    @property
    def pointer(self) -> str:
        """Of the entry."""
        return f"{self.env}/{self.entry}"

    @property
    def template(self) -> Template:
        return self.found.template
