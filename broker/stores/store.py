"""The interface of a secret store: read, write, delete, versions, by path. A client raises `broker.errors` alone.

A client makes one try: how often a call is repeated, how many run at once and when a store is left alone is `broker.guard`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from broker.errors import BrokerError
from contract.values import SecretValue


@dataclass(frozen=True, slots=True)
class Stored:
    """A value as the store has it, and the store's name for its version (None: the store has no versions)."""

    value: SecretValue
    version: str | None


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version that can be read by name. `created` is in UTC, if the store tells."""

    version: str
    created: datetime | None


class StoreClient(Protocol):
    """One configured store. Safe for concurrent use in one event loop. Paths are decoded and verbatim."""

    async def read(self, path: str, version: str | None = None) -> Stored:
        """The newest version, or the one named. Raises NotFound, StoreRefused, Malformed, TooLarge, Throttled, Unavailable."""
        ...

    async def write(self, path: str, value: SecretValue) -> str:
        """Make a new version and return its name; "": this store has none. Raises TooLarge, InvalidRequest before anything is changed."""
        ...

    async def delete(self, path: str, version: str | None = None) -> None:
        """Delete one version, or the secret with all versions. Raises NotFound."""
        ...

    async def versions(self, path: str) -> list[StoredVersion]:
        """Oldest first. Raises NotFound, or Unsupported where the store cannot tell."""
        ...

    async def healthy(self) -> None:
        """Raise the error that a read would meet, without reading a secret, as far as the store allows."""
        ...

    async def close(self) -> None: ...


class Asked(NamedTuple):
    """One thing to read: a path, and a version (None: the newest)."""

    path: str
    version: str | None = None


@runtime_checkable
class BatchClient(StoreClient, Protocol):
    """A store that gives several secrets in one call. `batch` is how many at most."""

    batch: int

    async def read_batch(self, asked: Sequence[Asked]) -> list[Stored | BrokerError]:
        """As `read`, for 1 to `batch` different ones: an outcome for each, in order. Raises what concerns the call as a whole."""
        ...
