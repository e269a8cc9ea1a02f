"""Behind the broker's guard, which joins what is asked in one moment: what AWS sees of a restart."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from broker.guard import Guard
from broker.limits import Limits
from broker.metrics import Metrics
from contract.resources import SecretStore
from contract.values import SecretValue
from tests.broker.stores.aws.server import IamProxy, refusal


@pytest.mark.parametrize(
    ("provider", "most", "batch"), [("awsParameterStore", 10, "GetParameters"), ("awsSecretsManager", 20, "BatchGetSecretValue")]
)
async def test_what_is_asked_in_one_moment_is_one_call_and_a_throttle_one_more(
    proxy: IamProxy, open_aws: Callable[..., Any], provider: str, most: int, batch: str
) -> None:
    store = SecretStore("test", "acme/aws/test", provider, {})
    guard = Guard(store, open_aws(provider, proxy.url), Limits(), Metrics())
    paths = [f"/tfy-secret/acme/g/K{number}" for number in range(most)]
    await asyncio.gather(*(guard.write(path, SecretValue(path.encode())) for path in paths))
    proxy.requests.clear()
    proxy.faults.append(refusal("ThrottlingException"))
    found = await asyncio.gather(*(guard.read(path) for path in paths))
    assert [stored.value == SecretValue(path.encode()) for stored, path in zip(found, paths)] == [True] * most
    assert proxy.operations() == [batch, batch]
