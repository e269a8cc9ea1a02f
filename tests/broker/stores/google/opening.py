"""A client for a server of ours, without a login, for the suites that run against every store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from broker.stores.addresses import Reach
from broker.stores.google.client import GoogleSecretManager
from broker.stores.store import StoreClient
from contract.resources import SecretStore
from tests.broker.stores.google.server import PROJECT, SecretManager


@asynccontextmanager
async def google(_: Path) -> AsyncIterator[StoreClient]:
    async with SecretManager() as server:
        settings = {"project": PROJECT, "endpoint": server.url}
        client = GoogleSecretManager(
            SecretStore("test", "acme/google/test", "googleSecretManager", settings), reach=Reach(allow_loopback=True)
        )
        try:
            yield client
        finally:
            await client.close()
