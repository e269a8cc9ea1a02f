"""Where groups are kept, as the management service needs it: read, create, change what was read, delete, remember.

A change carries what it was made from and is refused with `Stale` when that is no longer what is there, so nobody's change is lost.
Two places keep it: `cluster` (SecretGroup objects) and `folder` (manifests in files). Names are checked by whoever calls.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.groups.held import Held
from broker.groups.intents import Intent
from broker.groups.model import Activity, Collaborator


class Stale(Exception):
    """What was read is not what is there now: read again and decide again."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What a change sets; None leaves it as it is. All of it becomes true together, or in an order that `repair` can tell apart."""

    keys: tuple[str, ...] | None = None
    collaborators: tuple[Collaborator, ...] | None = None
    pending: tuple[Intent, ...] | None = None


@dataclass(frozen=True, slots=True)
class Fresh:
    """A group that is to be made."""

    name: str
    store: str
    collaborators: tuple[Collaborator, ...]
    created_by: str
    pending: tuple[Intent, ...] = ()


class Resources(Protocol):
    """Raises Unavailable, Misconfigured, InvalidRequest and NotFound (broker.errors), and Stale."""

    owned: bool
    """Whether we are the only writer: then whatever is pending and not ours belongs to a broker that is gone."""

    async def read(self, name: str) -> Held | None:
        """The group as it is now, not as a watch last saw it."""
        ...

    async def create(self, fresh: Fresh) -> Held:
        """Raises Stale if there is a group of that name."""
        ...

    async def change(self, held: Held, edit: Edit) -> Held:
        """Raises Stale if anything but what people did (`remember`) changed since `held`, or it is gone."""
        ...

    async def delete(self, held: Held) -> None:
        """As `change`; done as well when it is gone."""
        ...

    async def remember(self, name: str, entries: Sequence[Activity]) -> None:
        """Add to what people did. Raises Unavailable when that cannot be written; not worth failing a change for."""
        ...

    def pending(self) -> Iterable[str]:
        """Names of the groups that have something pending, as far as is known here."""
        ...

    async def close(self) -> None: ...
