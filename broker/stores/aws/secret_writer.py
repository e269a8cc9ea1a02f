"""Writing and deleting in Secrets Manager: one write is one to four calls, and leaves either the new value or what was there.

the secret is              | calls
-------------------------- | --------------------------------------------------------------------------------
there                      | PutSecretValue
not there                  | PutSecretValue, CreateSecret (and PutSecretValue, if another was quicker)
deleted, in its window     | PutSecretValue, RestoreSecret, PutSecretValue; if that fails, DeleteSecret again

The ClientRequestToken becomes the VersionId. A write whose answer was lost has the same one when it is tried again. Bringing back
goes on when its caller's time is up, so that it never ends between two calls with an old value in force.
"""

import asyncio
from contextlib import suppress

from broker.errors import BrokerError, InvalidRequest, NotFound, NotSent, SoftDeleted, TooLarge, Unavailable
from broker.stores.aws.api import Api
from broker.stores.aws.errors import Exists
from broker.stores.aws.lately import Lately
from broker.stores.aws.lost_writes import LostWrites, Write
from contract.values import SecretValue

MAX_VALUE_BYTES = 65536
RECOVERY_DAYS = 30  # the longest that AWS has, and its default; a secret that waits costs nothing
DELETED_SECONDS = 3600.0  # for which a deletion is remembered, see `_put_first`

Content = dict[str, str | bytes]


class SecretWriter:
    """Names are checked by who calls; `place` begins every message."""

    def __init__(self, api: Api) -> None:
        self._api, self._lost, self._deleted = api, LostWrites(), Lately(DELETED_SECONDS)
        self._going_on: set[asyncio.Task[str]] = set()

    async def write(self, place: str, name: str, value: SecretValue) -> str:
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"{place}: found a value of {len(value)} bytes; allowed: at most {MAX_VALUE_BYTES} in Secrets Manager")
        if len(value) == 0:
            raise InvalidRequest(f"{place}: the value is empty, and Secrets Manager keeps no empty value. To fix: leave the key out")
        data = value.reveal()
        write = self._lost.begin(name, data)
        try:
            return await self._write(place, name, write, _content(data))
        except Unavailable as error:
            if not isinstance(error, NotSent) or write.repeated:
                self._lost.lost(write)
            raise
        except asyncio.CancelledError:
            self._lost.lost(write)
            raise

    async def delete(self, place: str, name: str) -> None:
        await self._api.call(place, "delete_secret", SecretId=name, RecoveryWindowInDays=RECOVERY_DAYS)
        self._deleted.add(name)

    async def close(self) -> None:
        await asyncio.gather(*self._going_on, return_exceptions=True)

    async def _write(self, place: str, name: str, write: Write, content: Content) -> str:
        try:
            return await self._put_first(place, name, write, content)
        except SoftDeleted:
            task = asyncio.get_running_loop().create_task(self._bring_back(place, name, write, content))
            self._going_on.add(task)
            task.add_done_callback(self._ended)
            return await asyncio.shield(task)
        except NotFound:
            pass
        try:
            await self._api.call(place, "create_secret", Name=name, ClientRequestToken=write.token, **content)
        except Exists:
            return await self._put(place, name, write, content)
        return write.token

    async def _put_first(self, place: str, name: str, write: Write, content: Content) -> str:
        """AWS refuses the value of a deleted secret. An emulator of it (moto 5.2) takes it, and the secret stays deleted.

        To restore a secret that is not deleted changes nothing, so this is safe if someone else has brought it back meanwhile.
        """
        version = await self._put(place, name, write, content)
        if name in self._deleted:
            self._deleted.remove(name)
            with suppress(BrokerError):
                await self._api.call(place, "restore_secret", SecretId=name)
        return version

    async def _put(self, place: str, name: str, write: Write, content: Content) -> str:
        answer = await self._api.call(place, "put_secret_value", SecretId=name, ClientRequestToken=write.token, **content)
        if write.repeated and "AWSCURRENT" not in (answer.get("VersionStages") or ()):
            # The first try was done, and another write came after it: this one must be the newest again.
            return await self._put(place, name, write.anew, content)
        return write.token

    async def _bring_back(self, place: str, name: str, write: Write, content: Content) -> str:
        """The old versions come back too, so if the new one cannot be written, all are deleted again."""
        await self._api.call(place, "restore_secret", SecretId=name)
        self._deleted.remove(name)
        try:
            return await self._put(place, name, write, content)
        except BrokerError:
            with suppress(BrokerError):
                await self.delete(place, name)
            raise

    def _ended(self, task: asyncio.Task[str]) -> None:
        self._going_on.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone, and nobody else asks for it


def _content(data: bytes) -> Content:
    """Text if it is UTF-8, so that other tools can read it; SecretBinary is for the rest."""
    try:
        return {"SecretString": data.decode()}
    except UnicodeDecodeError:
        return {"SecretBinary": data}
