"""Every store that the conformance suite runs against: a real server over the network, our client, and what the store cannot do.

A provider adds one line to SUBJECTS. `open_subject` is an async context manager that starts the server and gives the client.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from broker.errors import NotFound, Unsupported
from broker.stores.addresses import Reach
from broker.stores.aws import parameter_store, secrets_manager
from broker.stores.checks import check_size
from broker.stores.embedded import Embedded
from broker.stores.generic import Generic
from broker.stores.registry import StoreSettings
from broker.stores.store import StoreClient
from broker.stores.truefoundry import TrueFoundry, secret_ref
from broker.stores.vault.client import Vault
from contract.resources import SecretStore
from contract.values import SecretValue
from contract.wire import MAX_VALUE_BYTES
from tests.broker.stores.azure.opening import azure
from tests.broker.stores.aws import server as aws_server
from tests.broker.stores.google.opening import google
from tests.broker.stores.truefoundry_server import TrueFoundryServer
from tests.broker.stores.vault.bao import POLICY, shared
from tests.generic_server import GenericServer


@dataclass(frozen=True)
class Traits:
    """What a store can do. The defaults are what all should; a difference is the store's own, and documented on its page."""

    max_bytes: int = MAX_VALUE_BYTES
    binary: bool = False
    empty: bool = True
    nul: bool = True  # U+0000 in text
    any_path: bool = True  # own paths of any characters; else the store has a set of its own
    lists_versions: bool = True
    deletes_versions: bool = True
    new_version_names: bool = True  # after a secret was deleted, its versions' names are not used again
    writes_in_order: bool = True  # 20 writes of one path at once all get a version
    writes: bool = True  # else the subject's client seeds the server, and what a store refuses to write is not asked
    keeps: int = 100  # versions of one secret at least
    latest: bool = False  # "latest" names the newest version
    versions: bool = True  # else a write's version is "", and asking for one is Unsupported


@dataclass(frozen=True)
class Subject:
    open: Callable[[Path], AbstractAsyncContextManager[StoreClient]]
    traits: Traits = Traits()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[StoreClient]:
    client = Embedded.open(folder / "data" / "secrets.db", folder / "key", "acme/embedded/test")
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def generic(folder: Path) -> AsyncIterator[StoreClient]:
    (folder / "header").write_text("credential\n")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(GenericServer({"X-Store-Key": "credential"}))
        settings = {"baseUrl": server.url, "headerFiles": {"X-Store-Key": str(folder / "header")}}
        client = Generic(SecretStore("test", "acme/generic/test", "generic", settings), reach=Reach(allow_loopback=True))
        stack.push_async_callback(client.close)
        yield client


@asynccontextmanager
async def _vault(version: int, folder: Path) -> AsyncIterator[StoreClient]:
    server = shared()
    mount = server.mount(version)
    (folder / "token").write_text(server.token(POLICY[version].format(mount=mount)))
    settings = {"address": server.url, "mount": mount, "auth": {"tokenFile": str(folder / "token")}}
    client = Vault(SecretStore("test", "acme/vault/test", "vault", settings), reach=Reach(allow_loopback=True))
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def _aws(provider: str, folder: Path) -> AsyncIterator[StoreClient]:
    aws = aws_server.shared().reset()
    (folder / "keys").write_text("[default]\naws_access_key_id = AKIATEST\naws_secret_access_key = test\n")
    store = SecretStore("test", "acme/aws/test", provider, {"region": aws_server.REGION, "endpoint": aws.url})
    module = parameter_store if provider == "awsParameterStore" else secrets_manager
    client = module.open_client(
        store, StoreSettings(reach=Reach(allow_loopback=True)), {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "keys")}
    )
    try:
        yield client
    finally:
        await client.close()


class _Seeded(TrueFoundry):
    """What cannot be written there is put into the server, as TrueFoundry's own page would."""

    server: TrueFoundryServer

    async def write(self, path: str, value: SecretValue) -> str:
        check_size(path, value)
        self.server.values[secret_ref("test", path, set())] = value.reveal().decode()
        return ""

    async def delete(self, path: str, version: str | None = None) -> None:
        if version is not None:
            raise Unsupported("no versions")
        if self.server.values.pop(secret_ref("test", path, set()), None) is None:
            raise NotFound("nothing there")


@asynccontextmanager
async def truefoundry(folder: Path) -> AsyncIterator[StoreClient]:
    (folder / "token").write_text("credential\n")
    async with TrueFoundryServer("credential") as server:
        settings = {"baseUrl": server.url, "tokenFile": str(folder / "token")}
        store = SecretStore("test", "acme/truefoundry/test", "truefoundry", settings)
        client = _Seeded(store, StoreSettings(reach=Reach(allow_loopback=True), tenant="acme"))
        client.server = server
        try:
            yield client
        finally:
            await client.close()


SUBJECTS: dict[str, Subject] = {
    "embedded": Subject(embedded, Traits(binary=True)),
    "generic": Subject(generic, Traits(lists_versions=False)),
    "truefoundry": Subject(
        truefoundry,
        Traits(writes=False, any_path=False, versions=False, lists_versions=False, deletes_versions=False, writes_in_order=False),
    ),
    "vault-kv2": Subject(partial(_vault, 2), Traits(binary=True, any_path=False, new_version_names=False, keeps=10)),
    "vault-kv1": Subject(
        partial(_vault, 1),
        Traits(binary=True, any_path=False, versions=False, lists_versions=False, deletes_versions=False, writes_in_order=False),
    ),
    "awsParameterStore": Subject(
        partial(_aws, "awsParameterStore"),
        Traits(max_bytes=8192, empty=False, any_path=False, deletes_versions=False, new_version_names=False),
    ),
    "awsSecretsManager": Subject(
        partial(_aws, "awsSecretsManager"), Traits(max_bytes=65536, binary=True, empty=False, any_path=False, deletes_versions=False)
    ),
    "googleSecretManager": Subject(
        google, Traits(max_bytes=65536, binary=True, empty=False, any_path=False, new_version_names=False, latest=True)
    ),
    "azureKeyVault": Subject(azure, Traits(max_bytes=25_600, any_path=False)),
}
