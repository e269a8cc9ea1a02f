"""How requests travel: one try, bounded, to vetted addresses, nothing taken from the environment, nothing told that is secret."""

import asyncio
import logging
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from broker.errors import BrokerError, Malformed, Misconfigured, NotFound, NotSent, StoreRefused, Throttled, TooLarge, Unavailable
from broker.stores.addresses import Reach
from broker.stores.exchange import MAX_ANSWER_BYTES
from broker.stores.registry import PROVIDERS, StoreSettings, open_store
from contract.resources import SecretStore
from contract.values import SecretValue
from tests.broker.stores.aws.conftest import ACCESS_KEY, SECRET_KEY
from tests.broker.stores.aws.server import REGION, Aws, IamProxy, refusal
from tests.broker.stores.faults import FaultyProxy, Half
from tests.generic_server import Fault

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
CANARY = "canary-value-91c2"
PROVIDER = pytest.mark.parametrize("provider", ["awsParameterStore", "awsSecretsManager"])


# --- faults ------------------------------------------------------------------------------------------------------

FAULTS = [
    pytest.param(
        refusal("ThrottlingException", **{"Retry-After": "7"}), Throttled, "AWS asks for fewer calls (ThrottlingException)", id="throttled"
    ),
    pytest.param(Fault(status=429, headers={"Retry-After": "7"}), Throttled, "AWS asks for fewer calls", id="429"),
    pytest.param(Fault(status=500, body=b"<html>"), Unavailable, "AWS fails (status 500)", id="500"),
    pytest.param(Fault(status=503), Unavailable, "AWS fails (status 503)", id="503"),
    pytest.param(Fault(wait=5.0), Unavailable, "no answer in time (TimeoutError)", id="slow"),
    pytest.param(Half(), Unavailable, "the connection was lost (ClientPayloadError)", id="half-a-body"),
    pytest.param(Fault(raw=b"SSH-2.0-OpenSSH\r\n\r\n"), Unavailable, "the connection was lost", id="another-protocol"),
    pytest.param(Fault(raw=b""), Unavailable, "the connection was lost (ServerDisconnectedError)", id="closed"),
    pytest.param(Fault(reset=True), Unavailable, "the connection was lost", id="reset"),
    pytest.param(Fault(status=200, body=b"\x00\xff canary"), Malformed, "SecretStore test: path", id="garbage"),
    pytest.param(Fault(status=200, body=b'["canary"]'), Malformed, "SecretStore test: path", id="another-shape"),
    pytest.param(Fault(status=200, body=b"[" * 100_000), Malformed, "SecretStore test: path", id="deep"),
    pytest.param(Fault(status=418, body=b"canary"), Malformed, "which AWS does not say", id="another-status"),
    pytest.param(
        Fault(status=307, headers={"Location": "http://127.0.0.1:1/"}),
        Misconfigured,
        "a redirect (307), which is not followed",
        id="redirect",
    ),
]


@pytest.mark.parametrize(("fault", "kind", "text"), FAULTS)
@PROVIDER
async def test_each_fault_is_told_after_one_try(
    proxy: IamProxy, open_aws: Callable[..., Any], provider: str, fault: Any, kind: type[BrokerError], text: str
) -> None:
    client = open_aws(provider, proxy.url, total=0.5 if isinstance(fault, Fault) and fault.wait else 10.0)
    await client.write(PATH, SecretValue(CANARY.encode()))
    proxy.requests.clear()
    proxy.faults += [fault] * 5
    with pytest.raises(kind) as caught:
        await client.read(PATH)
    assert text in caught.value.message
    assert caught.value.message.startswith("SecretStore test")
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after == 7.0
    assert len(proxy.requests) == 1
    assert_hidden(caught.value)


def assert_hidden(error: BaseException) -> None:
    """Neither the error nor what it came from shows a value, a key or what the store said."""
    seen: BaseException | None = error
    while seen is not None:
        shown = f"{seen!r} {seen} {vars(seen)}"
        assert not any(text in shown for text in ("canary", CANARY, ACCESS_KEY, SECRET_KEY)), type(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


async def test_a_write_that_fails_shows_nothing(either: Any, proxy: IamProxy) -> None:
    for fault in (
        Half(),
        refusal("ValidationException", f"Value '{CANARY}' is wrong"),
        Fault(status=500, body=CANARY.encode()),
        Fault(reset=True),
    ):
        proxy.faults = [fault]
        with pytest.raises(BrokerError) as caught:
            await either.write(PATH, SecretValue(CANARY.encode()))
        assert_hidden(caught.value)


async def test_an_answer_without_end_is_not_read_on(either: Any, proxy: IamProxy) -> None:
    proxy.faults.append(Fault(status=200, body=b"x" * (MAX_ANSWER_BYTES + 1)))
    with pytest.raises(TooLarge, match=f"an answer of more than {MAX_ANSWER_BYTES} bytes; it was not read on"):
        await either.read(PATH)


@PROVIDER
async def test_an_endpoint_that_is_not_there_is_not_sent_to(open_aws: Callable[..., Any], provider: str) -> None:
    with pytest.raises(NotSent, match=r"SecretStore test: cannot be reached \(ClientConnectorError\)"):
        await open_aws(provider, "http://127.0.0.1:1").read(PATH)


async def test_credentials_that_have_just_ended_are_tried_once_more(either: Any, proxy: IamProxy) -> None:
    await either.write(PATH, SecretValue(b"v"))
    proxy.requests.clear()
    proxy.faults.append(refusal("ExpiredTokenException"))
    assert (await either.read(PATH)).value == SecretValue(b"v")
    assert len(proxy.requests) == 2
    proxy.faults += [refusal("ExpiredTokenException")] * 2
    with pytest.raises(StoreRefused, match="AWS says that the broker's credentials have expired"):
        await either.read(PATH)
    assert len(proxy.requests) == 4


async def test_nothing_is_logged_that_is_secret(either: Any, proxy: IamProxy, caplog: pytest.LogCaptureFixture) -> None:
    """At the level that the program allows its libraries at most: see service.logs."""
    caplog.set_level(logging.WARNING)
    await either.write(PATH, SecretValue(CANARY.encode()))
    await either.read(PATH)
    proxy.faults.append(Half())
    with pytest.raises(Unavailable):
        await either.read(PATH)
    assert not any(text in caplog.text for text in (CANARY, SECRET_KEY, ACCESS_KEY))
    assert SECRET_KEY not in repr(vars(either)) + repr(vars(either._login))


# --- where requests may go ---------------------------------------------------------------------------------------

WRONG = [
    ("http://ssm.example", "found plain HTTP; allowed: https"),
    ("https://127.0.0.1", "is this machine itself"),
    ("https://0x7f000001", "is this machine itself"),
    ("https://2130706433", "is this machine itself"),
    ("https://[::ffff:127.0.0.1]", "is this machine itself"),
    ("https://169.254.169.254", "is link-local"),
    ("https://[fd00:ec2::254]", "is a cloud's metadata service"),
    ("https://user@ssm.example", "allowed: an https URL without user"),
    ("https://ssm.example?x=1", "allowed: an https URL without user"),
]


@pytest.mark.parametrize(("endpoint", "text"), WRONG)
@PROVIDER
def test_an_endpoint_where_no_store_may_be_is_refused_at_once(
    open_aws: Callable[..., Any], provider: str, endpoint: str, text: str
) -> None:
    with pytest.raises(Misconfigured, match="SecretStore test: endpoint") as caught:
        open_aws(provider, endpoint, reach=Reach())
    assert text in caught.value.message


@PROVIDER
async def test_a_name_that_resolves_to_this_machine_is_refused_when_connecting(open_aws: Callable[..., Any], provider: str) -> None:
    with pytest.raises(Misconfigured, match=r"SecretStore test: 'localhost' resolves to .*, which is this machine itself") as caught:
        await open_aws(provider, "https://localhost:1", reach=Reach()).read(PATH)
    assert_hidden(caught.value)


@PROVIDER
async def test_the_hosts_that_the_setting_allows_hold_for_aws_own_names(
    open_aws: Callable[..., Any], provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name follows from the region; it is looked up and refused before anything is sent."""

    async def resolved(_self: Any, host: str, port: int, family: Any) -> list[dict[str, Any]]:
        asked.append(host)
        return [{"hostname": host, "host": "10.0.0.7", "port": port, "family": family, "proto": 0, "flags": 0}]

    asked: list[str] = []
    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolved)
    for name, value in (
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match="is outside of what TFY_SECRET_STORE_HOSTS allows: vault.example"):
        await open_aws(provider, None, reach=Reach(hosts=("vault.example",))).read(PATH)
    assert asked == [f"{'ssm' if provider == 'awsParameterStore' else 'secretsmanager'}.{REGION}.amazonaws.com"]


@PROVIDER
async def test_the_environment_names_neither_the_stores_address_nor_a_proxy_nor_keys(
    proxy: IamProxy, open_aws: Callable[..., Any], provider: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://127.0.0.1:1\nregion = us-east-1\ncredential_process = /bin/false\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    others = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "missing", "AWS_DEFAULTS_MODE": "auto"}
    others |= {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "env", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in others.items():
        monkeypatch.setenv(name, value)
    proxy.faults.append(refusal("ResourceNotFoundException"))  # moto, in this process, would take the same variables
    with pytest.raises(NotFound):
        await open_aws(provider, proxy.url).read(PATH)
    assert f"Credential={ACCESS_KEY}/" in proxy.requests[0].headers["Authorization"]
    assert f"/{REGION}/" in proxy.requests[0].headers["Authorization"]


@PROVIDER
async def test_tls_is_checked_with_the_systems_trust(
    aws: Aws, open_aws: Callable[..., Any], provider: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with FaultyProxy(aws.url, tls=context) as proxy:
        with pytest.raises(Misconfigured, match="the endpoint's certificate is not accepted: .*name its CA's file in SSL_CERT_FILE"):
            await open_aws(provider, proxy.url).read(PATH)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with pytest.raises(NotFound):
            await open_aws(provider, proxy.url).read(PATH)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"region": "eu-west-1.evil.example/#"}, "region: found 'eu-west-1.evil.example/#'; allowed: an AWS region, e.g. eu-west-1"),
        ({"region": "local"}, "region: found 'local'"),
        ({"region": REGION, "roleArn": "admin"}, "roleArn: found 'admin'; allowed: an IAM role, e.g. arn:aws:iam::123456789012:role/name"),
    ],
)
def test_what_the_manifest_alone_shows_is_told_when_the_store_is_opened(settings: dict[str, str], text: str) -> None:
    for provider in ("awsParameterStore", "awsSecretsManager"):
        with pytest.raises(Misconfigured, match="SecretStore s: ") as caught:
            open_store(SecretStore("s", "acme/aws/s", provider, settings), StoreSettings())
        assert text in caught.value.message


# --- opening -----------------------------------------------------------------------------------------------------


def test_the_library_loads_when_a_store_is_asked_and_not_when_it_is_opened() -> None:
    """Opening happens in the event loop; loading takes half a second."""
    code = (
        "import sys, broker.serve\n"
        "from broker.stores.registry import StoreSettings, open_store\n"
        "from contract.resources import SecretStore\n"
        "for provider in ('awsParameterStore', 'awsSecretsManager'):\n"
        f"    open_store(SecretStore('s', 'acme/aws/s', provider, {{'region': '{REGION}'}}), StoreSettings())\n"
        "print(sorted({'aiobotocore', 'botocore', 'boto3'} & sys.modules.keys()))"
    )
    environ = {"PATH": os.environ["PATH"], "AWS_SHARED_CREDENTIALS_FILE": "/none"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


async def test_other_stores_go_on_while_a_client_is_made(
    proxy: IamProxy, open_aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made in a thread, once for all who wait; one that goes away does not end it."""
    from broker.stores.aws import sdk

    made: list[int] = []
    real = sdk.open_client

    def slow(*arguments: Any) -> Any:
        made.append(1)
        time.sleep(0.2)
        return real(*arguments)

    monkeypatch.setattr(sdk, "open_client", slow)
    client = open_aws("awsParameterStore", proxy.url)
    reads = [asyncio.create_task(client.read(PATH)) for _ in range(10)]
    await asyncio.sleep(0.01)
    reads[0].cancel()
    ticks = 0
    while not made or not all(read.done() for read in reads):
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks >= 10, "the loop was held up"
    assert len(made) == 1
    assert [type(found) for found in await asyncio.gather(*reads[1:], return_exceptions=True)] == [NotFound] * 9


async def test_a_client_that_cannot_be_made_is_tried_again(
    proxy: IamProxy, open_aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from broker.stores.aws import sdk

    real = sdk.open_client

    def broken(*_: Any) -> Any:
        raise Misconfigured("no client")

    monkeypatch.setattr(sdk, "open_client", broken)
    client = open_aws("awsParameterStore", proxy.url)
    with pytest.raises(Misconfigured, match="no client"):
        await client.read(PATH)
    monkeypatch.setattr(sdk, "open_client", real)
    with pytest.raises(NotFound):
        await client.read(PATH)


def test_a_missing_library_is_told_with_its_extra() -> None:
    code = (
        "import sys; sys.modules['aiobotocore'] = None\n"
        "from importlib import util; real = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'aiobotocore' else real(name, *rest)\n"
        "from broker.stores.registry import StoreSettings, open_store\n"
        "from broker.errors import Misconfigured\n"
        "from contract.resources import SecretStore\n"
        "try: open_store(SecretStore('s', 'acme/aws/s', 'awsSecretsManager', {'region': 'eu-west-1'}), StoreSettings())\n"
        "except Misconfigured as error: print(error.message)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "needs a library that is not installed (aiobotocore). To fix: pip install 'tfy-secret-injector[aws]'" in done.stdout, done.stderr


def test_both_are_registered() -> None:
    assert {PROVIDERS[name].extra for name in ("awsParameterStore", "awsSecretsManager")} == {"aws"}
