"""Clients whose answers a test writes: what was called, how many at once, and a gate that holds every call."""

import asyncio

from broker.errors import BrokerError, Throttled
from broker.stores.store import Stored
from contract.values import SecretValue


class Scripted:
    """`script` holds what the next calls meet: an exception, or None for a good answer; after its end all is good.

    `bad[path]` is an error that this path meets each time.
    """

    def __init__(self):
        self.calls = []
        self.script = []
        self.bad = {}
        self.gate = None
        self.running = self.most_at_once = 0
        self.closed = 0

    async def _meet(self, *call):
        self.calls.append(call)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            found = self.script.pop(0) if self.script else None
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            if found is not None:
                raise found
        finally:
            self.running -= 1

    def _found(self, path, version):
        return self.bad.get(path) or Stored(SecretValue(path.encode()), version or "1")

    async def read(self, path, version=None):
        await self._meet("read", path, version)
        found = self._found(path, version)
        if isinstance(found, BrokerError):
            raise found
        return found

    async def write(self, path, _value):
        await self._meet("write", path)
        return "1"

    async def delete(self, path, version=None):
        await self._meet("delete", path, version)

    async def versions(self, path):
        await self._meet("versions", path)
        return []

    async def healthy(self):
        await self._meet("healthy")

    async def close(self):
        self.closed += 1

    def sizes(self):
        """How many secrets each batch asked for; a single read counts 1."""
        return [len(call[1]) if call[0] == "read_batch" else 1 for call in self.calls]


class ScriptedBatch(Scripted):
    batch = 10

    async def read_batch(self, asked):
        assert len({*asked}) == len(asked) <= self.batch
        await self._meet("read_batch", [one.path for one in asked])
        return [self._found(*one) for one in asked]


class Bucket(Scripted):
    """So many reads a second, as a token bucket that holds one second's; each read takes its time."""

    def __init__(self, clock, rate, seconds):
        super().__init__()
        self._clock, self._rate, self._seconds, self._tokens, self._at = clock, rate, seconds, float(rate), 0.0

    async def read(self, path, version=None):
        now = self._clock.now
        self._tokens, self._at = min(self._rate, self._tokens + (now - self._at) * self._rate), now
        self.calls.append(path)
        await self._clock.sleep(self._seconds)
        if self._tokens < 1:
            raise Throttled("slow down")
        self._tokens -= 1
        return self._found(path, version)
