"""One key vault: the calls of Azure's own client, each with a time limit, and each of its exceptions as one of ours.

Imports the library, which takes 0.2 s and 20 MB: `client` loads this module in a thread, when the first call is made.
"""

import asyncio
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from azure.keyvault.secrets.aio import SecretClient

from broker.errors import BrokerError, NotFound, Retryable, SoftDeleted, Unavailable
from broker.stores.azure.credentials import Credentials
from broker.stores.azure.errors import explained, soft_deleted
from broker.stores.azure.login import Login
from broker.stores.azure.patience import Patience
from broker.stores.azure.recovery import Recoveries
from broker.stores.azure.transport import ONE_TRY, OneOrigin, open_session
from broker.stores.addresses import Reach

# `created` has whole seconds, and the vault lists versions in no order; this orders those of one second that the broker wrote.
ORDER_TAG = "tfy-secret-order"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    text: str = field(repr=False)
    version: str


@dataclass(frozen=True, slots=True)
class Version:
    name: str
    created: datetime | None
    enabled: bool
    order: int


class Vault:
    """Needs a running event loop. `place` in every call begins what is said about a failure."""

    def __init__(
        self, place: str, url: str, credentials: Credentials, *, reach: Reach, trust: ssl.SSLContext, verify: bool, patience: Patience
    ) -> None:
        self._patience, self._recoveries = patience, Recoveries(self)
        self._session = open_session(reach, trust)
        login = self._login = Login(place, credentials, OneOrigin(self._session, credentials.authority, "the login", patience), patience)
        options: dict[str, Any] = ONE_TRY | {"transport": OneOrigin(self._session, url, "the vault", patience)}
        self._client = SecretClient(url, login, verify_challenge_resource=verify, **options)  # type: ignore[arg-type]

    async def get(self, place: str, name: str, version: str | None) -> Found:
        async def work() -> Found:
            secret = await self._client.get_secret(name, version)
            return Found(_text(secret.value), _text(secret.properties.version))

        return await self._call(place, "get", work())

    async def write(self, place: str, name: str, text: str, order: int) -> str:
        """A deleted secret of that name is recovered first."""
        await self._recoveries.finish(name)
        try:
            return await self._set(place, name, text, order)
        except SoftDeleted:
            await self._recoveries.bring_back(place, name)
        return await self._set(place, name, text, order)

    async def _set(self, place: str, name: str, text: str, order: int) -> str:
        async def work() -> str:
            secret = await self._client.set_secret(name, text, tags={ORDER_TAG: str(order)})
            return _text(secret.properties.version)

        return await self._call(place, "set", work())

    async def disable(self, place: str, name: str, version: str) -> None:
        await self._call(place, "set", self._client.update_secret_properties(name, version, enabled=False))

    async def versions(self, place: str, name: str) -> list[Version]:
        async def work() -> list[Version]:
            return [_version(found) async for found in self._client.list_properties_of_secret_versions(name)]

        return await self._call(place, "list", work())

    async def delete(self, place: str, name: str) -> None:
        """Readers miss the secret at once. Waits a little until the vault is done, so that its name can be used again."""
        accepted = False

        def look(response: Any) -> None:
            nonlocal accepted
            accepted = accepted or (response.http_request.method == "DELETE" and response.http_response.status_code == 200)

        try:
            await self._call(place, "delete", self._client.delete_secret(name, raw_response_hook=look), self._patience.gone)
        except Retryable:
            if not accepted:
                raise

    async def recover(self, place: str, name: str) -> None:
        await self._call(place, "recover", self._client.recover_deleted_secret(name), self._patience.back)

    async def deleted_at(self, place: str, name: str) -> datetime | None:
        """When a secret that the vault still keeps was deleted. Raises NotFound."""
        return (await self._call(place, "get", self._client.get_deleted_secret(name))).deleted_date

    async def missing(self, place: str, name: str, error: NotFound) -> NotFound:
        """The same error, or that the vault still keeps the secret, as far as the broker may know."""
        try:
            await self.deleted_at(place, name)
        except BrokerError:  # the first answer stands
            return error
        return soft_deleted(place)

    async def close(self) -> None:
        await self._recoveries.close()
        await self._login.close()
        await self._client.close()
        await self._session.close()

    async def _call(self, place: str, needs: str, work: Awaitable[T], seconds: float | None = None) -> T:
        """`needs` is the permission that the call takes."""
        seconds = self._patience.total if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            failure: BrokerError = Unavailable(f"{place}: the vault has not done it within {seconds:g} s")
        except Exception as error:  # noqa: BLE001 - the library has many, which hold requests, and so tokens and values
            failure = explained(place, error, needs)
        raise failure  # outside of the handlers, so that it holds no other exception


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError("text is missing")
    return found


def _version(found: Any) -> Version:
    tag = str((found.tags or {}).get(ORDER_TAG, ""))
    order = int(tag) if tag.isascii() and tag.isdigit() and len(tag) < 25 else 0
    return Version(_text(found.version), found.created_on, found.enabled is not False, order)
