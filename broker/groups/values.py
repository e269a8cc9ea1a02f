"""The store's side of a change: one key's value read, written, deleted, and what a store's failure means to people.

Everything passes through `Backends`, which bounds it; every write is forgotten by the cache, also a failed one, which may have been
done. What is wrong with the value or is not there keeps its error; everything else is a StoreFailed that names the store.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.backends import Backends
from broker.errors import BrokerError, InvalidRequest, NotFound, StoreFailed, TooLarge, Unsupported
from broker.reads import Reads
from broker.stores.store import Stored, StoreClient, StoredVersion
from contract.resources import SecretStore
from contract.values import SecretValue

T = TypeVar("T")
_OURS = (NotFound, InvalidRequest, TooLarge, Unsupported)  # said about the request, not about the store (but see `write`)


class Values:
    """`path` is where a managed key lives in its store."""

    def __init__(self, backends: Backends, reads: Reads) -> None:
        self._backends, self._reads = backends, reads

    async def read(self, store: SecretStore, path: str, version: str | None = None) -> Stored:
        """Past the cache: a person wants what the store has now."""
        return await self._call(store, lambda client: client.read(path, version))

    async def versions(self, store: SecretStore, path: str) -> list[StoredVersion]:
        """Oldest first. Raises NotFound, Unsupported, StoreFailed."""
        return await self._call(store, lambda client: client.versions(path))

    async def newest(self, store: SecretStore, path: str) -> tuple[bool, str | None]:
        """Whether there is a value, and what the store calls the newest version, if it has versions."""
        try:
            found = await self.versions(store, path)
            return bool(found), found[-1].version if found else None
        except NotFound:
            return False, None
        except Unsupported:
            pass  # a store that cannot list versions is asked for the newest one
        try:
            return True, (await self.read(store, path)).version
        except NotFound:
            return False, None

    async def write(self, store: SecretStore, path: str, value: SecretValue) -> str:
        try:
            return await self._call(store, lambda client: client.write(path, value))
        except NotFound as error:  # what a store says of its own address, or of a mount that is not there
            raise StoreFailed(error.message, error) from None
        finally:
            self._reads.forget(store, path)

    async def delete_version(self, store: SecretStore, path: str, version: str) -> None:
        try:
            await self._call(store, lambda client: client.delete(path, version))
        finally:
            self._reads.forget(store, path)

    async def purge(self, store: SecretStore, path: str) -> None:
        """Delete the secret with all its versions; done as well when there is none."""
        try:
            await self._call(store, lambda client: client.delete(path))
        except NotFound:
            pass
        except (InvalidRequest, Unsupported):  # the Generic contract's word for a path that is not there; a store that is read-only
            if (await self.newest(store, path))[0]:
                raise
        finally:
            self._reads.forget(store, path)

    async def _call(self, store: SecretStore, operation: Callable[[StoreClient], Awaitable[T]]) -> T:
        try:
            return await self._backends.call(store, operation)
        except _OURS:
            raise
        except BrokerError as error:
            place = "" if error.message.startswith("SecretStore ") else f"SecretStore {store.name}: "
            raise StoreFailed(place + error.message, error) from None
