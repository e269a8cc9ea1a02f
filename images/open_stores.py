"""Open a client of every kind of store, and let it try an address where nobody listens: so all that it needs has been loaded.

    python -m images.open_stores FOLDER      FOLDER is writable; prints `store: <provider> <what it met>`

Runs with the packages of an image alone: inside the image's root (`images.check`), and in a test that looks at what is opened.
"""

import asyncio
import os
import sys
from pathlib import Path

from broker.errors import BrokerError
from broker.stores.addresses import Reach
from broker.stores.registry import PROVIDERS, StoreSettings, open_store
from contract.resources import SecretStore

NOBODY = "http://127.0.0.1:9"


def stores(token: str) -> dict[str, dict[str, object]]:
    return {
        "embedded": {},
        "generic": {"baseUrl": NOBODY, "headerFiles": {"Authorization": token}},
        "awsParameterStore": {"region": "eu-west-1", "endpoint": NOBODY},
        "awsSecretsManager": {"region": "eu-west-1", "endpoint": NOBODY},
        "googleSecretManager": {"project": "acme-prod", "endpoint": NOBODY},
        "azureKeyVault": {"vaultUrl": "https://127.0.0.1:9"},
        "vault": {"address": NOBODY, "mount": "secret", "auth": {"tokenFile": token}},
        "truefoundry": {"baseUrl": NOBODY, "tokenFile": token},
    }


def identities(token: str) -> dict[str, str]:
    """Workload identities of two clouds, whose services are nobody either."""
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/broker",
        "AWS_WEB_IDENTITY_TOKEN_FILE": token,
        "AWS_ENDPOINT_URL_STS": NOBODY,
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "client",
        "AZURE_FEDERATED_TOKEN_FILE": token,
        "AZURE_AUTHORITY_HOST": "https://127.0.0.1:9/",
    }


async def main(folder: Path) -> None:
    token = folder / "token"
    token.write_text("token")
    os.environ.update(identities(str(token)))
    settings = StoreSettings(folder / "db", folder / "key", Reach(allow_loopback=True))
    for provider in PROVIDERS:
        client = open_store(SecretStore("s", f"acme/{provider}/s", provider, stores(str(token))[provider]), settings)
        try:
            await client.healthy()
            print("store:", provider, "ok")  # noqa: T201 - it is a command
        except BrokerError as error:
            print("store:", provider, error.code)  # noqa: T201
        await client.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
