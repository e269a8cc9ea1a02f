"""A key vault on loopback, and clients of it, all closed at the end."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from broker.stores.azure.client import AzureKeyVault
from tests.broker.stores.azure.opening import client_trust, environment, key_vault
from tests.broker.stores.azure.server import KeyVaultServer
from tests.broker.stores.faults import FaultyProxy


@pytest.fixture
async def vault(authority: trustme.CA) -> AsyncIterator[KeyVaultServer]:
    async with KeyVaultServer(authority, page=3) as running:
        yield running


@pytest.fixture
async def proxy(vault: KeyVaultServer, authority: trustme.CA) -> AsyncIterator[FaultyProxy]:
    """In front of the vault alone; the login is asked directly."""
    async with FaultyProxy(vault.url, tls=vault.tls, trust=client_trust(authority)) as running:
        yield running


@pytest.fixture
def environ(vault: KeyVaultServer, tmp_path: Path) -> dict[str, str]:
    return environment(vault, tmp_path)


@pytest.fixture
async def open_client(authority: trustme.CA, environ: dict[str, str]) -> AsyncIterator[Callable[..., AzureKeyVault]]:
    async with AsyncExitStack() as opened:

        def make(url: str, **options: Any) -> AzureKeyVault:
            client = key_vault(url, authority, options.pop("environ", environ), **options)
            opened.push_async_callback(client.close)
            return client

        yield make


@pytest.fixture
def client(vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault]) -> AzureKeyVault:
    return open_client(vault.url)


@pytest.fixture
def proxied(proxy: FaultyProxy, open_client: Callable[..., AzureKeyVault]) -> AzureKeyVault:
    return open_client(proxy.url)


@pytest.fixture(autouse=True)
def _forgotten_challenges() -> Iterator[None]:
    """Azure's library remembers a host's challenge for the whole process, and a port may be given to two tests."""
    yield
    import sys

    if "azure.keyvault.secrets" in sys.modules:
        from azure.keyvault.secrets._shared import http_challenge_cache

        http_challenge_cache.clear()
