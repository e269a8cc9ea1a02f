"""Clients of both services against moto, with a proxy in between that breaks what it is told to."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from broker.stores.addresses import Reach
from broker.stores.aws import parameter_store, secrets_manager
from broker.stores.aws.parameter_store import ParameterStore
from broker.stores.aws.secrets_manager import SecretsManager
from broker.stores.exchange import Patience
from broker.stores.registry import StoreSettings
from contract.resources import SecretStore, AllowRule
from tests.broker.stores.aws.server import REGION, Aws, IamProxy, shared

ACCESS_KEY, SECRET_KEY = "AKIACANARY0000000000", "canary-secret-key-51d7"
OPEN = {"awsParameterStore": parameter_store.open_client, "awsSecretsManager": secrets_manager.open_client}


@pytest.fixture
def aws() -> Aws:
    return shared().reset()


@pytest.fixture
async def proxy(aws: Aws) -> AsyncIterator[IamProxy]:
    async with IamProxy(aws.url) as running:
        yield running


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "credentials"
    file.write_text(f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    return file


@pytest.fixture
async def open_aws(keys_file: Path) -> AsyncIterator[Callable[..., Any]]:
    """A client of a provider at an endpoint; it logs in by the keys' file if no environment is given."""
    async with AsyncExitStack() as opened:

        def make(
            provider: str,
            endpoint: str | None,
            environ: dict[str, str] | None = None,
            *,
            reach: Reach | None = None,
            role: str | None = None,
            allow: tuple[AllowRule, ...] = (),
            **patience: float,
        ) -> Any:
            fields = {"region": REGION, "endpoint": endpoint, "roleArn": role}
            store = SecretStore("test", "acme/aws/test", provider, {name: value for name, value in fields.items() if value}, allow)
            settings = StoreSettings(reach=reach or Reach(allow_loopback=True))
            given = {"AWS_SHARED_CREDENTIALS_FILE": str(keys_file)} if environ is None else environ
            client = OPEN[provider](store, settings, given, Patience(**patience))
            opened.push_async_callback(client.close)
            return client

        yield make


@pytest.fixture
def ssm(proxy: IamProxy, open_aws: Callable[..., Any]) -> ParameterStore:
    return open_aws("awsParameterStore", proxy.url)


@pytest.fixture
def manager(proxy: IamProxy, open_aws: Callable[..., Any]) -> SecretsManager:
    return open_aws("awsSecretsManager", proxy.url)


@pytest.fixture(params=["awsParameterStore", "awsSecretsManager"])
def either(request: pytest.FixtureRequest, ssm: ParameterStore, manager: SecretsManager) -> Any:
    return ssm if request.param == "awsParameterStore" else manager
