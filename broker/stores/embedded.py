"""The embedded store: encrypted values in one SQLite file, the default for a first run. No server, no cloud account.

Decides how blocking calls stay off the event loop: each client has one thread of its own, which owns the connection; calls queue
there. All SecretStores with the provider `embedded` share one file; each sees only its own rows, kept apart by its FQN. Cryptography
is in `sealing`, rows in `rows`, keys in `broker.keyring`, rotation in `rotation`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from broker.errors import Misconfigured, Unavailable
from broker.stores.checks import check_path, check_size
from broker.stores.registry import StoreSettings
from broker.stores.rows import Clock, Rows, utc_now
from broker.stores.store import Stored, StoredVersion
from contract.resources import SecretStore
from contract.values import SecretValue

T = TypeVar("T")


class Embedded:
    """A StoreClient for the SecretStore with the FQN `store`.

    Made without touching the disk; the first call opens the database, and raises what stands in its way (a wrong key, for one),
    as does every later call until it is mended.
    """

    def __init__(self, db: Path, key_file: Path, store: str, clock: Clock = utc_now) -> None:
        self._db, self._key_file, self._store, self._clock = db, key_file, store, clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-store")
        self._rows: Rows | None = None

    @classmethod
    def open(cls, db: Path, key_file: Path, store: str, clock: Clock = utc_now) -> Self:
        """The same, opened at once: for programs that should fail at their start. Blocking."""
        made = cls(db, key_file, store, clock)
        try:
            made._thread.submit(made._opened).result()
        except BaseException:
            made._thread.shutdown()
            raise
        return made

    async def read(self, path: str, version: str | None = None) -> Stored:
        check_path(path)
        value, found = await self._run(lambda rows: rows.read(self._store, path, version))
        return Stored(SecretValue(value), found)

    async def write(self, path: str, value: SecretValue) -> str:
        check_path(path)
        check_size(path, value)
        return await self._run(lambda rows: rows.write(self._store, path, value.reveal()))

    async def delete(self, path: str, version: str | None = None) -> None:
        check_path(path)
        await self._run(lambda rows: rows.delete(self._store, path, version))

    async def versions(self, path: str) -> list[StoredVersion]:
        check_path(path)
        return [StoredVersion(name, created) for name, created in await self._run(lambda rows: rows.versions(self._store, path))]

    async def paths(self, prefix: str = "") -> list[str]:
        """All paths that have a version and begin with `prefix`, sorted. For people; not part of StoreClient."""
        return await self._run(lambda rows: rows.paths(self._store, prefix))

    async def healthy(self) -> None:
        await self._run(lambda rows: rows.check())

    async def close(self) -> None:
        """Waits for the calls before it."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._closed)
        except RuntimeError:
            return  # closed before
        self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[Rows], T]) -> T:
        try:
            future = self._thread.submit(lambda: call(self._opened()))
        except RuntimeError:
            raise Unavailable(f"embedded store {self._db}: is closed") from None
        return await asyncio.wrap_future(future)

    def _opened(self) -> Rows:
        if self._rows is None:
            self._rows = Rows(self._db, self._key_file, self._clock)
        return self._rows

    def _closed(self) -> None:
        if self._rows is not None:
            self._rows.close()
            self._rows = None


def open_client(store: SecretStore, settings: StoreSettings) -> Embedded:
    """Raises Misconfigured."""
    db, key_file = settings.embedded_db, settings.embedded_key_file
    if db is None or key_file is None:
        name = "TFY_SECRET_EMBEDDED_DB" if db is None else "TFY_SECRET_EMBEDDED_KEY_FILE"
        raise Misconfigured(
            f"SecretStore {store.name}: spec.provider.embedded needs the setting {name}. To fix: set it to a file on a volume"
        )
    return Embedded(db, key_file, store.fqn)
