"""A client for a server of ours, as a workload identity, unless a test says otherwise."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trustme

from broker.stores.addresses import Reach
from broker.stores.azure.client import AzureKeyVault
from broker.stores.azure.patience import Patience
from contract.resources import SecretStore
from tests.broker.stores.azure.server import CLIENT, TENANT, KeyVaultServer

QUICK = Patience(connect=1.0, total=2.0, gone=2.0, back=2.0, poll=0.005)
PATIENT = Patience(connect=20.0, total=30.0, gone=20.0, back=20.0, poll=0.005)  # where nothing is meant to time out, on any machine


def environment(server: KeyVaultServer, folder: Path) -> dict[str, str]:
    """What azure-workload-identity's webhook sets."""
    file = folder / "token"
    file.write_text("federated-token")
    return {
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_FEDERATED_TOKEN_FILE": str(file),
        "AZURE_AUTHORITY_HOST": server.url + "/",
    }


def client_trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def key_vault(url: str, authority: trustme.CA, environ: dict[str, str], **options: Any) -> AzureKeyVault:
    store = SecretStore("kv", "acme/azure/kv", "azureKeyVault", {"vaultUrl": url})
    given: dict[str, Any] = {"reach": Reach(allow_loopback=True), "patience": QUICK, "trust": lambda: client_trust(authority)}
    return AzureKeyVault(store, environ=environ, **(given | options))


@asynccontextmanager
async def azure(folder: Path) -> AsyncIterator[AzureKeyVault]:
    """For the conformance suite."""
    authority = trustme.CA()
    async with KeyVaultServer(authority) as server:
        client = key_vault(server.url, authority, environment(server, folder), patience=PATIENT)
        try:
            yield client
        finally:
            await client.close()
