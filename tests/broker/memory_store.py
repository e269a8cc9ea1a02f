"""A StoreClient in memory that counts, waits and fails on demand: for rules about the broker, not about stores."""

import asyncio

from broker.errors import NotFound
from broker.stores.store import Stored, StoredVersion
from contract.values import SecretValue


class MemoryStore:
    def __init__(self) -> None:
        self.values: dict[str, list[bytes]] = {}
        self.reads = 0
        self.running = 0
        self.most_at_once = 0
        self.gate: asyncio.Event | None = None  # a read waits for it
        self.error: Exception | None = None
        self.closed = 0

    async def read(self, path, version=None):
        self.reads += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            found = self._find(path, version)
            if self.gate is not None:
                await self.gate.wait()
            else:
                await asyncio.sleep(0)
            if self.error is not None:
                raise self.error
            return found()
        finally:
            self.running -= 1

    def _find(self, path, version):
        """What the store had when the read began."""
        versions = list(self.values.get(path, ()))

        def found():
            number = len(versions) if version is None else int(version)
            if not 1 <= number <= len(versions):
                raise NotFound(f"'{path}' is not there")
            return Stored(SecretValue(versions[number - 1]), str(number))

        return found

    async def write(self, path, value):
        if self.error is not None:
            raise self.error
        self.values.setdefault(path, []).append(value.reveal())
        return str(len(self.values[path]))

    async def delete(self, path, version=None):
        if path not in self.values:
            raise NotFound(f"'{path}' is not there")
        if version is None:
            del self.values[path]
        else:
            del self.values[path][int(version) - 1]

    async def versions(self, path):
        if path not in self.values:
            raise NotFound(f"'{path}' is not there")
        return [StoredVersion(str(n + 1), None) for n in range(len(self.values[path]))]

    async def healthy(self):
        if self.error is not None:
            raise self.error

    async def close(self):
        self.closed += 1
