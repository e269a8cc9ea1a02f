"""KV version 1: an entry, written over in place. No versions, and nothing to bring back.

    GET, POST, DELETE <mount>/<path>           {"field": ...}

A write's version is "", and asking for one is Unsupported: an older value is not there, whatever it was called.
"""

from urllib.parse import quote

import msgspec

from broker.errors import BrokerError, Malformed, Unsupported
from broker.stores.checks import shown
from broker.stores.exchange import Answer
from broker.stores.store import Stored, StoredVersion
from broker.stores.vault.answers import parsed
from broker.stores.vault.entry import encoded, fields_of, object_of, value_of
from broker.stores.vault.errors import failure
from broker.stores.vault.names import Name
from broker.stores.vault.session import Session
from contract.values import SecretValue

NO_VERSION = ""


class _Answer(msgspec.Struct):
    data: msgspec.Raw


class Kv1:
    """One mount. Names are vetted."""

    def __init__(self, session: Session, mount: str) -> None:
        self._session, self._mount = session, mount

    async def read(self, name: Name, version: str | None) -> Stored:
        self._no_version(name, version)
        answer = await self._send(name, "GET", "read")
        found = parsed(_Answer, answer.body)
        if found is None:
            raise Malformed(
                f"{self._place(name)}: the answer is not one of KV version 1. To fix: are vault.mount and vault.kvVersion right?"
            )
        read = value_of if name.ours else object_of
        return Stored(read(self._place(name), bytes(found.data)), None)

    async def write(self, name: Name, value: SecretValue) -> str:
        await self._send(name, "POST", "create' and 'update", encoded(fields_of(value)))
        return NO_VERSION

    async def delete(self, name: Name, version: str | None) -> None:
        self._no_version(name, version)
        await self._send(name, "GET", "read")  # a DELETE of nothing is a success there
        await self._send(name, "DELETE", "delete")

    async def versions(self, name: Name) -> list[StoredVersion]:
        raise Unsupported(f"{self._place(name)}: KV version 1 has no list of versions")

    async def _send(self, name: Name, method: str, capability: str, body: bytes | None = None) -> Answer:
        answer = await self._session.send(method, f"/v1/{quote(self._mount)}/{name.quoted}", body)
        if not 200 <= answer.status < 300:
            raise self._failure(name, answer, capability)
        return answer

    def _failure(self, name: Name, answer: Answer, capability: str) -> BrokerError:
        return failure(self._place(name), answer, f"capability '{capability}' on '{self._mount}/{shown(name.below)}'")

    def _no_version(self, name: Name, version: str | None) -> None:
        if version is not None:
            raise Unsupported(
                f"{self._place(name)}: KV version 1 has no versions. To fix: leave out ?version=, or upgrade the mount to version 2"
            )

    def _place(self, name: Name) -> str:
        return f"{self._session.place}: path '/{shown(name.below)}'"
