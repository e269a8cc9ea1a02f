"""TrueFoundry's control plane: names, exact values, what the endpoint cannot do, faults; nothing of an answer is repeated."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from broker.check_store import check_store, run_check
from broker.errors import (
    BrokerError,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    NotSent,
    StoreRefused,
    Throttled,
    TooLarge,
    Unavailable,
    Unsupported,
)
from broker.lookup import store_settings
from broker.stores.addresses import Reach
from broker.stores.exchange import Patience
from broker.stores.registry import StoreSettings, open_store
from broker.stores.truefoundry import ENDPOINT, TrueFoundry, secret_ref
from contract.resources import SecretStore
from contract.values import SecretValue
from contract.wire import MAX_VALUE_BYTES
from tests.broker.stores.faults import FaultyProxy, Half
from tests.broker.stores.truefoundry_server import TrueFoundryServer
from tests.generic_server import Fault

TOKEN = "canary-token-3c"
PATH = "/tfy-secret/acme/payments/DB"
NAME = "tfy-secret://acme:payments:DB"
Open = Callable[..., TrueFoundry]


@pytest.fixture
async def server() -> AsyncIterator[TrueFoundryServer]:
    async with TrueFoundryServer(TOKEN) as running:
        yield running


@pytest.fixture
async def proxy(server: TrueFoundryServer) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(server.url) as running:
        yield running


@pytest.fixture
async def open_client(tmp_path: Path) -> AsyncIterator[Open]:
    (tmp_path / "token").write_text(TOKEN + "\n")
    async with AsyncExitStack() as opened:

        def make(url: str, *, tenant: str | None = "acme", reach: Reach | None = None, **patience: float) -> TrueFoundry:
            store = SecretStore("cp", "acme/truefoundry/cp", "truefoundry", {"baseUrl": url, "tokenFile": str(tmp_path / "token")})
            client = TrueFoundry(
                store, StoreSettings(reach=reach or Reach(allow_loopback=True), tenant=tenant), patience=Patience(**patience)
            )
            opened.push_async_callback(client.close)
            return client

        yield make


async def test_a_managed_secret_is_asked_for_by_its_own_name(server: TrueFoundryServer, open_client: Open) -> None:
    server.values[NAME] = "v"
    found = await open_client(server.url + "/").read(PATH)
    assert (found.value, found.version) == (SecretValue(b"v"), None)
    assert server.requests == [("GET", f"{ENDPOINT}?secret_ref=tfy-secret%3A%2F%2Facme%3Apayments%3ADB")]


@pytest.mark.parametrize("path", ["other:payments:DB", "tfy-secret://other:payments:DB"])
async def test_an_own_path_is_a_name_of_another_tenant(server: TrueFoundryServer, open_client: Open, path: str) -> None:
    server.values["tfy-secret://other:payments:DB"] = "v"
    assert (await open_client(server.url).read(path)).value == SecretValue(b"v")


@pytest.mark.parametrize("path", ["acme:payments:DB", "tfy-secret://acme:payments:DB", "ACME:payments:DB", "mine:payments:DB"])
async def test_an_own_path_is_no_second_name_of_a_managed_secret(server: TrueFoundryServer, open_client: Open, path: str) -> None:
    """Neither of the installation's tenant nor of the one in the store's FQN."""
    server.values |= dict.fromkeys((NAME, "tfy-secret://ACME:payments:DB", "tfy-secret://mine:payments:DB"), "canary")
    with pytest.raises(InvalidRequest) as caught:
        await open_client(server.url, tenant="mine").read(path)
    assert caught.value.message == (
        f"SecretStore cp: path '{path}': managed secrets are named tfy-secret://<tenant>:<group>:<key>. To fix: use that name"
    )
    assert server.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/other/path",
        "other:payments",
        "other:payments:DB:3",
        "/tfy-secret/acme/payments",
        "/tfy-secret/acme/payments/DB/x",
        "//tfy-secret/acme/payments/DB",
        " other:payments:DB",
        "TFY-SECRET://other:payments:DB",
        "tfy-secret://tfy-secret://other:payments:DB",
        "other:payments:D B",
        "other:payments:DB&secret_ref=tfy-secret://acme:payments:DB",
        "other:payments:DB?version=1",
        "other/x:payments:DB",
        "\u0430cme:payments:DB",
    ],
)
def test_what_is_no_name_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="is no name of TrueFoundry's. To fix: write <tenant>:<group>:<key>"):
        secret_ref("s", path, {"acme"})


@pytest.mark.parametrize(
    "text", ["", "12345", "true", '"q"', '{"a": "b"}', "a\r\nb\n", "<&\u2028\ufeff\U0001f511", "nul\0", "x" * MAX_VALUE_BYTES]
)
async def test_values_are_exact(server: TrueFoundryServer, open_client: Open, text: str) -> None:
    server.values[NAME] = text
    assert (await open_client(server.url).read(PATH)).value == SecretValue(text.encode())


async def test_a_value_past_the_limit_is_told(server: TrueFoundryServer, open_client: Open) -> None:
    server.values[NAME] = "x" * (MAX_VALUE_BYTES + 1)
    with pytest.raises(TooLarge, match=f"found a value of {MAX_VALUE_BYTES + 1} bytes; allowed: at most {MAX_VALUE_BYTES}"):
        await open_client(server.url).read(PATH)


@pytest.mark.parametrize("value", [12345, None, True, ["canary"], {"a": "canary"}])
async def test_a_value_that_is_no_text_is_malformed(server: TrueFoundryServer, open_client: Open, value: object) -> None:
    server.values[NAME] = value
    with pytest.raises(Malformed, match="the answer has no text in 'value'. To fix: is truefoundry.baseUrl right\\?") as caught:
        await open_client(server.url).read(PATH)
    assert "canary" not in repr(caught.value) + repr(caught.value.__context__)


async def test_what_the_endpoint_cannot_do(server: TrueFoundryServer, open_client: Open) -> None:
    client = open_client(server.url)
    for call, message in (
        (client.read(PATH, "1"), "gives the newest version alone. To fix: leave out \\?version="),
        (client.write(PATH, SecretValue(b"canary")), "this store is read-only. To fix: change the secret in TrueFoundry"),
        (client.delete(PATH), "this store is read-only"),
        (client.versions(PATH), "has no list of versions"),
    ):
        with pytest.raises(Unsupported, match=f"SecretStore cp: path '{PATH}': .*{message}"):
            await call
    assert server.requests == []


async def test_a_token_file_that_changes_is_what_is_sent_next(server: TrueFoundryServer, open_client: Open, tmp_path: Path) -> None:
    server.values[NAME] = "v"
    client = open_client(server.url)
    server.token = "rotated"
    with pytest.raises(
        StoreRefused, match=f"path '{PATH}': the control plane refuses \\(401\\). To fix: truefoundry.tokenFile needs a token"
    ):
        await client.read(PATH)
    (tmp_path / "token").write_text("rotated")
    assert (await client.read(PATH)).value == SecretValue(b"v")
    (tmp_path / "token").unlink()
    with pytest.raises(
        Misconfigured, match="truefoundry.tokenFile: file .*token cannot be read: No such file .*To fix: put a token of TrueFoundry's there"
    ):
        await client.read(PATH)


FAULTS = {
    "not-found": (Fault(404), NotFound, "no such secret"),
    "bad-name": (Fault(422, {}, b"canary"), InvalidRequest, "the name is not acceptable \\(422\\)"),
    "denied": (Fault(403, {}, b"canary"), StoreRefused, "the control plane refuses \\(403\\)"),
    "throttled": (Fault(429, {"Retry-After": "7"}, b"canary"), Throttled, "fewer calls"),
    "broken": (Fault(500, {}, b"canary"), Unavailable, "the control plane fails \\(500\\)"),
    "teapot": (Fault(418, {}, b"canary"), Malformed, "found status 418"),
    "slow": (Fault(wait=30), Unavailable, "no answer"),
    "half": (Half(), Unavailable, "the connection was lost"),
    "garbage": (Fault(raw=b"canary\r\n\r\n"), Unavailable, "the connection was lost"),
    "reset": (Fault(reset=True), Unavailable, "the connection was lost"),
    "redirect": (Fault(302, {"Location": "http://169.254.169.254/"}), Misconfigured, "answers with a redirect \\(302\\)"),
    "html": (Fault(200, {}, b"<html>canary</html>"), Malformed, "has no text in 'value'"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault(server: TrueFoundryServer, proxy: FaultyProxy, open_client: Open, fault: str) -> None:
    given, kind, message = FAULTS[fault]
    server.values[NAME] = "canary-value"
    client = open_client(proxy.url, **({"total": 1.0} if fault == "slow" else {}))
    proxy.faults = [given]
    with pytest.raises(BrokerError, match=message) as caught:
        await client.read(PATH)
    assert type(caught.value) is kind
    assert len(proxy.requests) == 1, "one try"
    assert getattr(caught.value, "retry_after", None) == (7.0 if fault == "throttled" else None)
    assert "canary" not in repr(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)
    if fault != "slow":  # which has little patience
        assert (await client.read(PATH)).value == SecretValue(b"canary-value")


async def test_healthy_asks_for_no_secret(server: TrueFoundryServer, proxy: FaultyProxy, open_client: Open) -> None:
    client = open_client(proxy.url)
    await client.healthy()
    assert [target for _, target in server.requests] == [f"{ENDPOINT}?secret_ref=tfy-secret%3A%2F%2Ftfy-secret-check%3Ahealth%3Ahealth"]
    server.token = "another"
    with pytest.raises(StoreRefused, match="SecretStore cp: the control plane refuses"):
        await client.healthy()
    proxy.faults = [Fault(503)]
    with pytest.raises(Unavailable):
        await client.healthy()
    with pytest.raises(NotSent):
        await open_client("http://127.0.0.1:1").healthy()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://cp.example", "found plain HTTP"),
        ("https://169.254.169.254", "is link-local"),
        ("https://0x7f000001", "is this machine itself"),
        ("https://user:canary@cp.example", "an https URL without user"),
    ],
)
def test_where_a_control_plane_may_not_be(open_client: Open, url: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message) as caught:
        open_client(url, reach=Reach())
    assert caught.value.message.startswith("SecretStore cp: truefoundry.baseUrl: ") and "canary" not in caught.value.message


async def test_no_repr_shows_the_token(server: TrueFoundryServer, open_client: Open) -> None:
    server.values[NAME] = "v"
    client = open_client(server.url)
    await client.read(PATH)
    assert TOKEN not in repr(vars(client)) + repr(vars(client._token)) + repr(vars(client._exchange))


async def test_check_store_says_that_it_is_read_only(server: TrueFoundryServer, open_client: Open, tmp_path: Path) -> None:
    rows = await check_store(open_client(server.url))
    assert [(row.name, row.verdict) for row in rows] == [
        ("the store answers", "PASS"),
        ("write, values, versions, deletes", "SKIP"),
        ("read of a missing path", "PASS"),
    ]
    store = SecretStore("cp", "acme/truefoundry/cp", "truefoundry", {"baseUrl": server.url, "tokenFile": str(tmp_path / "token")})
    out = io.StringIO()
    assert await run_check(store, StoreSettings(reach=Reach(allow_loopback=True)), out) == 0
    assert "this store is read-only" in out.getvalue() and "2 PASS, 1 SKIP" in out.getvalue()
    server.token = "another"
    assert await run_check(store, StoreSettings(reach=Reach(allow_loopback=True)), io.StringIO()) == 1


def test_the_command_line_knows_the_tenant_too() -> None:
    assert store_settings({"TFY_SECRET_TENANT": "acme"}).tenant == "acme"


async def test_a_manifest_opens_it() -> None:
    store = SecretStore("s", "acme/truefoundry/s", "truefoundry", {"baseUrl": "https://cp.example", "tokenFile": "/nowhere"})
    client = open_store(store, StoreSettings())
    assert isinstance(client, TrueFoundry)
    await client.close()
