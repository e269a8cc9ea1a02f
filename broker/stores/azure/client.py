"""Secrets in an Azure Key Vault: text of up to 25,600 bytes, versions that Azure names, deletion that can be undone.

what the broker does         | what happens in the vault
---------------------------- | ------------------------------------------------------------------------------------------
write                        | a new version; a deleted secret is recovered first, and its old versions are disabled
delete a version             | it is disabled: Azure deletes none alone. Someone with rights in the vault can enable it again
delete                       | soft deletion of all versions: readers miss them at once, the vault is done some seconds later
versions                     | the enabled ones: a disabled one cannot be read

Loads no library: the first call does, in a thread. One try a call.
"""

import asyncio
import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from broker.errors import InvalidRequest, Malformed, Misconfigured, NotFound, TooLarge, Unavailable
from broker.stores.addresses import Reach, literal_address, refusal
from broker.stores.azure.credentials import Credentials
from broker.stores.azure.names import PROBE, Target, locate
from broker.stores.azure.patience import Patience
from broker.stores.checks import shown
from broker.stores.registry import StoreSettings
from broker.stores.store import Stored, StoredVersion
from broker.stores.transport import system_trust
from contract.resources import SecretStore
from contract.values import SecretValue
from contract.wire import MAX_VALUE_BYTES

if TYPE_CHECKING:
    from broker.stores.azure.vault import Vault

# Azure's pages say 25 KB, its refusal 25,600 characters. Bytes of UTF-8 are never fewer than characters, so this holds for both.
MAX_BYTES = 25_600
_VERSION = re.compile(r"[0-9a-f]{32}")


class AzureKeyVault:
    """A StoreClient. Making it reads no file and opens no connection; raises Misconfigured for what manifest and environment show."""

    def __init__(
        self,
        store: SecretStore,
        *,
        reach: Reach,
        environ: Mapping[str, str] = os.environ,
        patience: Patience | None = None,
        trust: Callable[[], ssl.SSLContext] = system_trust,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._place, self._reach, self._trust, self._clock = f"SecretStore {store.name}", reach, trust, clock
        self._url = _vault_url(f"{self._place}: vaultUrl", store.settings["vaultUrl"], reach)
        self._host = urlsplit(self._url).netloc.lower().removesuffix(":443")
        self._credentials = Credentials.from_environ(self._place, environ, reach)
        self._patience = patience or Patience()
        self._opening = asyncio.Lock()
        self._opened: Vault | None = None
        self._closed = False

    async def read(self, path: str, version: str | None = None) -> Stored:
        target, place = self._target(path, version)
        vault = await self._vault()
        try:
            found = await vault.get(place, target.name, target.version)
        except NotFound as error:
            raise await self._explained(vault, place, target, error) from None
        value = _utf8(place, found.text)
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"{place}: found a value of {len(value)} bytes; allowed: at most {MAX_VALUE_BYTES}")
        return Stored(SecretValue(value), found.version)

    async def write(self, path: str, value: SecretValue) -> str:
        target, place = self._target(path)
        if target.version is not None:
            raise InvalidRequest(f"{place}: a version that exists is not written. To fix: the secret's id without its version")
        text = _text(place, value)
        vault = await self._vault()
        return await vault.write(place, target.name, text, self._clock())

    async def delete(self, path: str, version: str | None = None) -> None:
        target, place = self._target(path, version)
        vault = await self._vault()
        try:
            if target.version is None:
                await vault.delete(place, target.name)
            else:
                await vault.disable(place, target.name, target.version)
        except NotFound as error:
            raise await self._explained(vault, place, target, error) from None

    async def versions(self, path: str) -> list[StoredVersion]:
        target, place = self._target(path)
        vault = await self._vault()
        try:
            found = await vault.versions(place, target.name)
            if not found:
                raise NotFound(f"{place}: the vault has no such secret")
        except NotFound as error:
            raise await self._explained(vault, place, target, error) from None
        enabled = [version for version in found if version.enabled]
        enabled.sort(key=lambda version: (version.created is not None, version.created, version.order))
        return [StoredVersion(version.name, version.created) for version in enabled]

    async def healthy(self) -> None:
        """Asks for a name that no secret has: 404 says that the broker may read. With roles at single secrets only, this is refused."""
        vault = await self._vault()
        try:
            await vault.get(self._place, PROBE, None)
        except NotFound:
            return

    async def close(self) -> None:
        async with self._opening:
            self._closed = True
            if self._opened is not None:
                await self._opened.close()

    async def _vault(self) -> "Vault":
        if self._opened is not None and not self._closed:
            return self._opened
        async with self._opening:
            if self._closed:
                raise Unavailable(f"{self._place}: is closed")
            if self._opened is None:
                self._opened = await self._open()
            return self._opened

    async def _open(self) -> "Vault":
        trust = await asyncio.to_thread(self._load)
        from broker.stores.azure.vault import Vault

        verify = not (self._reach.allow_loopback and _is_loopback(urlsplit(self._url).hostname or ""))
        return Vault(self._place, self._url, self._credentials, reach=self._reach, trust=trust, verify=verify, patience=self._patience)

    def _load(self) -> ssl.SSLContext:
        """What takes long: 0.2 s for the library, 30 ms for the system's certificates."""
        import broker.stores.azure.vault  # noqa: F401

        return self._trust()

    async def _explained(self, vault: "Vault", place: str, target: Target, error: NotFound) -> NotFound:
        """A 404 may mean a deleted secret that the vault keeps; only one more call can tell."""
        return await vault.missing(place, target.name, error) if type(error) is NotFound else error

    def _target(self, path: str, version: str | None = None) -> tuple[Target, str]:
        """Where the secret is, and what a message about it begins with."""
        target = locate(path, self._host)
        place = f"{self._place}: path '{shown(path)}'"
        if version is None and target.version is None:
            return target, place
        if version is not None and target.version is not None and version != target.version:
            raise InvalidRequest(f"{place}: the path names one version, ?version= another. To fix: remove one of the two")
        named = target.version if version is None else version
        place = f"{place} version '{shown(named or '')}'"
        if not _VERSION.fullmatch(named or ""):
            raise NotFound(f"{place}: no version has that name; Azure's have 32 digits and small letters from a to f")
        return Target(target.name, named), place


def open_client(store: SecretStore, settings: StoreSettings) -> AzureKeyVault:
    """Raises Misconfigured, and ModuleNotFoundError for a library that is not installed: loading it would hold up the event loop."""
    for library in ("azure.keyvault.secrets", "azure.identity"):
        if find_spec(library) is None:
            raise ModuleNotFoundError(f"No module named '{library}'", name=library)
    return AzureKeyVault(store, reach=settings.reach)


def _vault_url(place: str, url: str, reach: Reach) -> str:
    checked = reach.check_url(place, url)
    parts = urlsplit(checked)
    if parts.scheme.lower() != "https" or parts.path:
        raise Misconfigured(f"{place}: found '{shown(url)}'; allowed: the vault's own address, e.g. https://ours.vault.azure.net")
    return checked


def _is_loopback(host: str) -> bool:
    """Where an emulator runs, whose challenge names another host than its own."""
    address = literal_address(host)
    if address is None:
        return host.lower() == "localhost"
    return refusal(address, allow_loopback=False) is not None and refusal(address, allow_loopback=True) is None


def _text(place: str, value: SecretValue) -> str:
    """A value as Key Vault takes it. Raises TooLarge and InvalidRequest."""
    if len(value) > MAX_BYTES:
        raise TooLarge(f"{place}: found a value of {len(value)} bytes; allowed: at most {MAX_BYTES} bytes of UTF-8 in Key Vault")
    try:
        return value.reveal().decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception holds the value
    raise InvalidRequest(f"{place}: the value is not UTF-8, and Key Vault holds text. To fix: encode it, e.g. as base64")


def _utf8(place: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass  # half a surrogate pair, which JSON can spell and no text can hold; the exception holds the value
    raise Malformed(f"{place}: the value is no text: it holds half a surrogate pair")
