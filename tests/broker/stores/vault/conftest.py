"""Clients of a real OpenBao: each test has a mount of its own, and its clock."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.stores.addresses import Reach
from broker.stores.exchange import Patience
from broker.stores.vault.client import Vault
from contract.resources import SecretStore
from tests.broker.stores.faults import FaultyProxy
from tests.broker.stores.vault.bao import POLICY, Bao, shared

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"


@pytest.fixture
def bao() -> Bao:
    return shared()


@dataclass
class Clock:
    """Monotonic seconds that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def proxy(bao: Bao) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(bao.url) as running:
        yield running


def asked(proxy: FaultyProxy, text: str) -> int:
    """How many requests had the text in their target."""
    return sum(text in seen.target for seen in proxy.requests)


@pytest.fixture
async def open_vault(bao: Bao, tmp_path: Path, clock: Clock) -> AsyncIterator[Callable[..., Vault]]:
    """A client. Without `auth` it has a token with the smallest policy for `mount`, in a file."""
    async with AsyncExitStack() as opened:

        def make(
            mount: str, *, auth: dict | None = None, reach: Reach | None = None, patience: Patience | None = None, **settings
        ) -> Vault:
            if auth is None:
                version = 1 if mount.startswith("kv1") else 2
                (tmp_path / "token").write_text(bao.token(POLICY[version].format(mount=mount.strip("/"))) + "\n")
                auth = {"tokenFile": str(tmp_path / "token")}
            given = {"address": bao.url, "mount": mount, "auth": auth} | settings
            client = Vault(
                SecretStore("test", "acme/vault/test", "vault", given),
                reach=reach or Reach(allow_loopback=True),
                patience=patience,
                clock=clock,
            )
            opened.push_async_callback(client.close)
            return client

        yield make


@pytest.fixture
def kv2(bao: Bao) -> str:
    return bao.mount(2)


@pytest.fixture
def kv1(bao: Bao) -> str:
    return bao.mount(1)
