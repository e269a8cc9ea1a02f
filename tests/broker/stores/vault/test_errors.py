"""What answers mean: the table, the real server's own states, and faults in front of it. Nothing of an answer is repeated."""

import json
import re
import time
from collections.abc import Callable

import pytest

from broker.errors import (
    BrokerError,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    NotSent,
    Sealed,
    StoreRefused,
    Throttled,
    TooLarge,
    Unavailable,
)
from broker.stores.exchange import Answer, Patience
from broker.stores.vault.client import Vault
from broker.stores.vault.errors import failure
from contract.values import SecretValue
from tests.broker.stores.faults import FaultyProxy, Half
from tests.broker.stores.vault.bao import Bao
from tests.broker.stores.vault.conftest import PATH
from tests.generic_server import Fault

VALUE = SecretValue(b"canary-value-19")
Open = Callable[..., Vault]


@pytest.mark.parametrize(
    ("status", "says", "kind", "message"),
    [
        (400, "Upgrading from non-versioned to versioned data.", Unavailable, "the mount is being upgraded to KV version 2"),
        (400, "", InvalidRequest, "the path, version or value is not acceptable (400)"),
        (400, "relative paths not supported", InvalidRequest, "the store takes no '..' within a name. To fix: use another"),
        (500, "relative paths not supported", InvalidRequest, "the store takes no '..' within a name"),
        (403, "permission denied", StoreRefused, "the store refuses (403). To fix: give the broker's role a policy with capability 'x'"),
        (404, "namespace not found", Misconfigured, "the store has no such namespace. To fix: correct vault.namespace"),
        (404, 'no handler for route "kv/x".', Misconfigured, "nothing is mounted there. To fix: correct vault.mount"),
        (404, "Invalid path for a versioned K/V secrets engine.", Misconfigured, "the mount is of KV version 2, not 1"),
        (404, "", NotFound, "the store has no such secret (404)"),
        (405, "unsupported operation", Misconfigured, "takes no such request (405). To fix: is vault.mount a KV engine?"),
        (412, "required index state not present", Unavailable, "the replica that answers is behind (412)"),
        (413, "", TooLarge, "too large for the store (413)"),
        (429, "", Throttled, "asks for fewer calls (429)"),
        (472, "", Misconfigured, "a disaster recovery secondary answers (472). To fix: put the primary's address in vault.address"),
        (473, "", Unavailable, "a performance standby answers (473)"),
        (501, "", Unavailable, "the store is not initialised (501). Its operators must run `operator init`"),
        (307, "", Misconfigured, "answers with a redirect (307), which is not followed. To fix: put the active node's"),
        (503, "Vault is sealed", Sealed, "the store is sealed. Its operators must unseal it"),
        (500, "put failed due to value being too large", TooLarge, "too large for the store's storage"),
        (500, "internal error", Unavailable, "the store fails (500)"),
        (503, "", Unavailable, "the store fails (503)"),
        (418, "", Malformed, "found status 418, which Vault's API does not have. To fix: is vault.address right?"),
        (204, "", Malformed, "found status 204"),
    ],
)
@pytest.mark.parametrize("where", ["errors", "warnings"])
def test_each_status_has_a_meaning(status: int, says: str, kind: type[BrokerError], message: str, where: str) -> None:
    document = {"errors": [], where: [says + " canary"]} if says else {"errors": ["canary"]}
    error = failure("SecretStore s: path '/p'", Answer(status, "", 3.0, json.dumps(document).encode()), "capability 'x'")
    assert type(error) is kind
    assert error.message.startswith("SecretStore s: path '/p': ") and message in error.message
    assert "canary" not in error.message
    assert getattr(error, "retry_after", 3.0) == 3.0


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"errors":"text"}', b'{"errors":[1]}', b"\xff", b"<html>sealed</html>", b"[" * 10_000]
)
def test_an_answer_of_something_else_is_judged_by_its_status(body: bytes) -> None:
    assert type(failure("p", Answer(503, "", None, body), "x")) is Unavailable


# --- states of the real server -----------------------------------------------------------------------------------


async def test_sealed_is_told_and_passes(bao: Bao, open_vault: Open, kv2: str) -> None:
    client = open_vault(kv2)
    await client.write(PATH, VALUE)
    bao.seal()
    try:
        for call in (client.read(PATH), client.write(PATH, VALUE), client.healthy()):
            with pytest.raises(Sealed, match="the store is sealed. Its operators must unseal it"):
                await call
    finally:
        bao.unseal()
    _wait_until_active(bao)
    assert (await client.read(PATH)).value == VALUE
    await client.healthy()


def _wait_until_active(bao: Bao) -> None:
    for _ in range(100):
        try:
            bao.call("GET", "sys/mounts")
        except Exception:
            time.sleep(0.02)
        else:
            return


async def test_a_login_at_a_sealed_server_says_so(open_vault: Open, kv2: str, bao: Bao) -> None:
    client = open_vault(kv2)
    bao.seal()
    try:
        with pytest.raises(Sealed, match="vault.auth.tokenFile: look at the token: the store is sealed"):
            await client.read(PATH)
    finally:
        bao.unseal()
        _wait_until_active(bao)


async def test_a_quota_throttles(bao: Bao, open_vault: Open, kv2: str) -> None:
    client = open_vault(kv2)
    await client.write(PATH, VALUE)
    name = bao.name("quota")
    bao.call("POST", f"sys/quotas/rate-limit/{name}", {"rate": 1, "interval": "10s", "path": f"{kv2}/"})
    await client.read(PATH)
    with pytest.raises(Throttled, match=f"path '{PATH}': the store asks for fewer calls \\(429\\)"):
        for _ in range(3):
            await client.read(PATH)
    bao.call("DELETE", f"sys/quotas/rate-limit/{name}")


async def test_a_value_that_the_server_does_not_take(bao: Bao, open_vault: Open, proxy: FaultyProxy, kv2: str) -> None:
    client = open_vault(kv2, address=proxy.url)
    await client.healthy()
    proxy.faults = [Fault(status=413, body=b'{"errors":["http: request body too large"]}')]
    with pytest.raises(TooLarge, match="too large for the store \\(413\\)"):
        await client.write(PATH, VALUE)


# --- faults ------------------------------------------------------------------------------------------------------

FAULTS = {
    "throttled": (Fault(429, {"Retry-After": "7"}), Throttled, "fewer calls"),
    "broken": (Fault(500, {}, b'{"errors":["canary-value-19"]}'), Unavailable, "the store fails \\(500\\)"),
    "slow": (Fault(wait=30), Unavailable, "no answer"),
    "half": (Half(), Unavailable, "the connection was lost"),
    "garbage": (Fault(raw=b"canary-value-19\r\n\r\n"), Unavailable, "the connection was lost"),
    "reset": (Fault(reset=True), Unavailable, "the connection was lost"),
    "redirect": (Fault(302, {"Location": "http://169.254.169.254/"}), Misconfigured, "answers with a redirect \\(302\\)"),
    "html": (Fault(200, {}, b"<html>canary-value-19</html>"), Malformed, "the answer is not one of KV version 2"),
    "another-document": (Fault(200, {}, b'{"data":"canary-value-19"}'), Malformed, "the answer is not one of KV version 2"),
    "no-object": (Fault(200, {}, b'{"data":{"data":["canary-value-19"],"metadata":{"version":1}}}'), Malformed, "is not a JSON object"),
}


def patience(fault: str) -> Patience:
    return Patience(total=1.0) if fault == "slow" else Patience()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_on_a_read(open_vault: Open, proxy: FaultyProxy, kv2: str, fault: str) -> None:
    given, kind, message = FAULTS[fault]
    client = open_vault(kv2, address=proxy.url, kvVersion=2, patience=patience(fault))
    await client.write(PATH, VALUE)
    proxy.faults, proxy.requests[:] = [given], []
    with pytest.raises(BrokerError, match=message) as caught:
        await client.read(PATH)
    assert type(caught.value) is kind
    assert caught.value.message.startswith("SecretStore test: ")
    assert sum(PATH in seen.target for seen in proxy.requests) == 1, "one try; the mount may be looked at"
    assert getattr(caught.value, "retry_after", None) == (7.0 if fault == "throttled" else None)
    shown = repr(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    assert "canary" not in shown
    if fault != "slow":  # which has little patience
        assert (await client.read(PATH)).value == VALUE


@pytest.mark.parametrize("fault", ["throttled", "broken", "slow", "half", "reset"])
async def test_a_fault_on_a_write(open_vault: Open, proxy: FaultyProxy, kv2: str, fault: str) -> None:
    given, kind, message = FAULTS[fault]
    client = open_vault(kv2, address=proxy.url, kvVersion=2, patience=patience(fault))
    await client.write(PATH, VALUE)
    proxy.faults = [given]
    with pytest.raises(BrokerError, match=message) as caught:
        await client.write(PATH, VALUE)
    assert type(caught.value) is kind
    assert re.search("canary", repr(caught.value)) is None


async def test_a_store_that_is_not_there(open_vault: Open) -> None:
    client = open_vault("kv2-x", address="http://127.0.0.1:1", kvVersion=2)
    with pytest.raises(NotSent, match="SecretStore test: cannot be reached"):
        await client.read(PATH)
    with pytest.raises(NotSent):
        await client.healthy()
