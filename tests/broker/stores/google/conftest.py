"""A Secret Manager over gRPC, and clients for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from broker.stores.addresses import Reach
from broker.stores.google.channel import Patience
from broker.stores.google.client import GoogleSecretManager
from contract.resources import SecretStore
from tests.broker.stores.google.server import PROJECT, SecretManager

Open = Callable[..., GoogleSecretManager]


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests may be someone to Google."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def server() -> AsyncIterator[SecretManager]:
    async with SecretManager() as running:
        yield running


@pytest.fixture
async def open_google() -> AsyncIterator[Open]:
    async with AsyncExitStack() as opened:

        def make(
            url: str | None, *, project: str = PROJECT, allow_loopback: bool = True, hosts: tuple[str, ...] = (), **patience: float
        ) -> GoogleSecretManager:
            settings = {"project": project} | ({} if url is None else {"endpoint": url})
            store = SecretStore("gsm", "acme/google/gsm", "googleSecretManager", settings)
            client = GoogleSecretManager(store, reach=Reach(allow_loopback, hosts), patience=Patience(**patience))
            opened.push_async_callback(client.close)
            return client

        yield make


@pytest.fixture
def google(server: SecretManager, open_google: Open) -> GoogleSecretManager:
    return open_google(server.url)
