"""The rows that every other store is checked by, through its client: what the broker and its command line will ask of it."""

from collections.abc import Awaitable
from contextlib import suppress

from broker.check_rows import FAIL, PASS, SKIP, VALUES, Row, Rows
from broker.errors import BrokerError, NotFound, TooLarge, Unsupported
from broker.stores.store import StoreClient, Stored
from contract.values import SecretValue

_NEVER_A_VERSION = "999999999"


class ClientCourse:
    """One run. `place` is a path that nobody else uses."""

    def __init__(self, client: StoreClient, place: str) -> None:
        self._client, self._place = client, place
        self.rows = Rows()
        self.written: list[str] = []

    async def run(self) -> None:
        path = f"{self._place}/first"
        first, second = SecretValue(f"first of {self._place}".encode()), SecretValue(f"second of {self._place}".encode())
        await self._client.healthy()
        self.rows.append(Row("the store answers", PASS, "an answer", "healthy"))
        try:
            one = await self._write("write", path, first)
        except Unsupported as error:  # a store that is read alone
            self.written.clear()
            self.rows.append(Row("write, values, versions, deletes", SKIP, "a version", error.message))
            await self._missing("read of a missing path", self._client.read(f"{self._place}/missing"))
            return
        await self._read("read", path, None, first)
        two = await self._write("write again", path, second)
        await self._read("read of the newest", path, None, second)
        await self._missing("read of a missing path", self._client.read(f"{self._place}/missing"))
        if one:
            await self._versions(path, one, two, first)
        else:
            self.rows.append(Row("versions", SKIP, "a version's name for each write", "no versions in this store"))
        await self._values()
        await self._deletes(path, one, two, second)

    async def remove(self, path: str) -> str | None:
        with suppress(NotFound):  # the course has deleted it itself
            await self._client.delete(path)
        return None

    async def _values(self) -> None:
        for number, (name, text) in enumerate(VALUES):
            path, value = f"{self._place}/value-{number}", SecretValue(text.encode())
            self.written.append(path)
            try:
                await self._client.write(path, value)
            except TooLarge as error:  # a store's own limit, which a person should know
                self.rows.append(Row(f"value kept exactly: {name}", SKIP, "the same value", error.message))
                continue
            await self._read(f"value kept exactly: {name}", path, None, value)

    async def _versions(self, path: str, one: str, two: str, first: SecretValue) -> None:
        self.rows.judge(
            "write again makes a new version", "another version", "the same" if one == two else "another version", holds=one != two
        )
        await self._read("read by version", path, one, first)
        await self._missing("read of a missing version", self._client.read(path, _NEVER_A_VERSION))
        try:
            found = [version.version for version in await self._client.versions(path)]
        except Unsupported as error:
            self.rows.append(Row("list of versions", SKIP, "both versions", error.message))
            return
        self.rows.judge("list of versions", "both versions, oldest first", ", ".join(found), holds=found == [one, two])

    async def _deletes(self, path: str, one: str, two: str, second: SecretValue) -> None:
        if one:
            await self._delete_one(path, one, two, second)
        await self._client.delete(path)
        await self._missing("delete of all versions" if one else "delete", self._client.read(path))

    async def _delete_one(self, path: str, one: str, two: str, second: SecretValue) -> None:
        try:
            await self._client.delete(path, one)
        except Unsupported as error:
            self.rows.append(Row("delete of one version", SKIP, "deleted", error.message))
            return
        await self._missing("delete of one version", self._client.read(path, one))
        await self._read("the other version stays", path, two, second)

    async def _write(self, name: str, path: str, value: SecretValue) -> str:
        if path not in self.written:
            self.written.append(path)
        version = await self._client.write(path, value)
        self.rows.append(Row(name, PASS, "a version", f"version {version}" if version else "written"))
        return version

    async def _read(self, name: str, path: str, version: str | None, value: SecretValue) -> None:
        try:
            found = (await self._client.read(path, version)).value
        except BrokerError as error:
            self.rows.append(Row(name, FAIL, "the same value", error.message))
            return
        same = found == value
        self.rows.judge(
            name, "the same value", "the same value" if same else f"another value ({len(found)} bytes, not {len(value)})", holds=same
        )

    async def _missing(self, name: str, read: Awaitable[Stored]) -> None:
        try:
            await read
        except NotFound:
            found = "not found"
        except BrokerError as error:
            found = error.message
        else:
            found = "a value"
        self.rows.judge(name, "not found", found, holds=found == "not found")
