"""check-store runs green against both services, and leaves nothing behind."""

import io
from pathlib import Path

import pytest

from broker.check_store import run_check
from broker.stores.addresses import Reach
from broker.stores.registry import StoreSettings
from contract.resources import SecretStore
from tests.broker.stores.aws.server import REGION, IamProxy


@pytest.mark.parametrize(
    ("provider", "skipped"),
    [
        ("awsParameterStore", {"value kept exactly: 1 MiB", "delete of one version"}),
        ("awsSecretsManager", {"value kept exactly: 1 MiB", "delete of one version"}),
    ],
)
async def test_every_row_holds(proxy: IamProxy, keys_file: Path, monkeypatch: pytest.MonkeyPatch, provider: str, skipped: set[str]) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys_file))
    store = SecretStore("test", "acme/aws/test", provider, {"region": REGION, "endpoint": proxy.url})
    out = io.StringIO()
    assert await run_check(store, StoreSettings(reach=Reach(allow_loopback=True)), out) == 0, out.getvalue()
    rows = {line[6:].split("  ")[0]: line[:4] for line in out.getvalue().splitlines()[1:-1]}
    assert {name for name, verdict in rows.items() if verdict != "PASS"} == skipped, out.getvalue()
    assert rows["clean-up"] == "PASS"
    assert proxy.operations()[-1] in {"DeleteParameter", "DeleteSecret"}
