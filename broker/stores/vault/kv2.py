"""KV version 2: an entry has numbered versions, which can be deleted softly or destroyed.

    GET    <mount>/data/<path>[?version=N]     POST <mount>/data/<path>       {"data": {...}, "options": {"cas": N}}
    GET    <mount>/metadata/<path>             DELETE <mount>/metadata/<path>
    PUT    <mount>/destroy/<path>              {"versions": [N]}

Deleting through the broker is for good: a version is destroyed, a secret goes with its metadata. What others deleted softly is
SoftDeleted, with the command that brings it back. A mount that demands check-and-set gets it.
"""

from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from broker.errors import BrokerError, Malformed, NotFound, SoftDeleted, Unavailable
from broker.stores.checks import shown
from broker.stores.exchange import Answer
from broker.stores.store import Stored, StoredVersion
from broker.stores.vault.answers import parsed
from broker.stores.vault.entry import encoded, fields_of, object_of, value_of
from broker.stores.vault.errors import failure, said
from broker.stores.vault.names import Name
from broker.stores.vault.session import Session
from contract.values import SecretValue

MAX_DIGITS = 18  # a version is a 64-bit integer there
CAS_TRIES = 3  # others who write the same secret at the same moment, one after the other


class _Version(msgspec.Struct):
    version: int = 0
    created_time: str = ""
    deletion_time: str = ""
    destroyed: bool = False

    @property
    def deleted(self) -> bool:
        """A mount with delete_version_after has a time in it that is still to come."""
        when = _time(self.deletion_time)
        return when is not None and when <= datetime.now(UTC)


class _Read(msgspec.Struct):
    data: msgspec.Raw
    metadata: _Version


class _Metadata(msgspec.Struct):
    current_version: int
    versions: dict[str, _Version]


class _ReadAnswer(msgspec.Struct):
    data: _Read


class _WriteAnswer(msgspec.Struct):
    data: _Version


class _MetadataAnswer(msgspec.Struct):
    data: _Metadata


class Kv2:
    """One mount. Names are vetted."""

    def __init__(self, session: Session, mount: str) -> None:
        self._session, self._mount = session, mount

    async def read(self, name: Name, version: str | None) -> Stored:
        place = self._place(name, version)
        if version is not None and not _is_version(version):
            raise NotFound(f"{place}: versions here are numbers from 1")
        target = self._target("data", name) + ("" if version is None else f"?version={version}")
        answer = await self._session.send("GET", target)
        if answer.status != 200:
            raise self._absent(place, name, answer)
        found = parsed(_ReadAnswer, answer.body)
        if found is None:
            raise self._malformed(place)
        read = value_of if name.ours else object_of
        return Stored(read(place, bytes(found.data.data)), str(found.data.metadata.version))

    async def write(self, name: Name, value: SecretValue) -> str:
        entry = fields_of(value)
        answer = await self._session.send("POST", self._target("data", name), encoded({"data": entry}))
        if answer.status == 400 and "check-and-set parameter required" in said(answer):
            answer = await self._write_checked(name, entry)
        if answer.status != 200:
            raise self._failure(self._place(name), name, answer, "data", "create' and 'update")
        found = parsed(_WriteAnswer, answer.body)
        if found is None:
            raise self._malformed(self._place(name))
        return str(found.data.version)

    async def delete(self, name: Name, version: str | None) -> None:
        found = (await self._metadata(name)).versions
        place = self._place(name, version)
        if version is None:
            answer = await self._session.send("DELETE", self._target("metadata", name))
            kind = ("metadata", "delete")
        elif version not in found or found[version].destroyed:
            raise NotFound(f"{place}: the store has no such version")
        else:
            answer = await self._session.send("PUT", self._target("destroy", name), encoded({"versions": [int(version)]}))
            kind = ("destroy", "update")
        if not 200 <= answer.status < 300:
            raise self._failure(place, name, answer, *kind)

    async def versions(self, name: Name) -> list[StoredVersion]:
        found = (await self._metadata(name)).versions
        readable = [number for number, version in found.items() if not version.destroyed and not version.deleted]
        return [StoredVersion(number, _time(found[number].created_time)) for number in sorted(readable, key=int)]

    async def _write_checked(self, name: Name, entry: dict[str, str]) -> Answer:
        for _ in range(CAS_TRIES):
            try:
                newest = (await self._metadata(name)).current_version
            except NotFound:
                newest = 0
            body = encoded({"data": entry, "options": {"cas": newest}})
            answer = await self._session.send("POST", self._target("data", name), body)
            if answer.status != 400 or "check-and-set parameter did not match" not in said(answer):
                return answer
        raise Unavailable(f"{self._place(name)}: others write it at the same time. To fix: try again")

    async def _metadata(self, name: Name) -> _Metadata:
        place = self._place(name)
        answer = await self._session.send("GET", self._target("metadata", name))
        if answer.status != 200:
            raise self._failure(place, name, answer, "metadata", "read")
        found = parsed(_MetadataAnswer, answer.body)
        if found is None or not all(map(_is_version, found.data.versions)):
            raise self._malformed(place)
        return found.data

    def _absent(self, place: str, name: Name, answer: Answer) -> BrokerError:
        """A version that is deleted is a 404 with its metadata; the newest one too, which hides the older ones."""
        found = parsed(_ReadAnswer, answer.body) if answer.status == 404 else None
        if found is None:
            return self._failure(place, name, answer, "data", "read")
        number = found.data.metadata.version
        if found.data.metadata.destroyed:
            return NotFound(f"{place}: version {number} is destroyed; the store no longer has it")
        return SoftDeleted(
            f"{place}: version {number} is deleted, and the store still keeps it. To bring it back: "
            f"`vault kv undelete -mount={self._mount} -versions={number} {shown(name.below)}`"
        )

    def _failure(self, place: str, name: Name, answer: Answer, kind: str, capability: str) -> BrokerError:
        return failure(place, answer, f"capability '{capability}' on '{self._mount}/{kind}/{shown(name.below)}'")

    def _malformed(self, place: str) -> BrokerError:
        return Malformed(f"{place}: the answer is not one of KV version 2. To fix: are vault.mount and vault.kvVersion right?")

    def _target(self, kind: str, name: Name) -> str:
        return f"/v1/{quote(self._mount)}/{kind}/{name.quoted}"

    def _place(self, name: Name, version: str | None = None) -> str:
        return f"{self._session.place}: path '/{shown(name.below)}'" + ("" if version is None else f" version '{shown(version)}'")


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and not text.startswith("0")


def _time(text: str) -> datetime | None:
    """RFC 3339 with nanoseconds, of which we keep microseconds; anything else is not there."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")
    except ValueError:
        return None
