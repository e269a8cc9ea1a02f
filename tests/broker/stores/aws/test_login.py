"""Every way to log in, end to end: STS by moto over HTTP, the Pod Identity agent by a handler that answers as EKS documents."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from broker.errors import BrokerError, Malformed, Misconfigured, NotFound, Retryable, StoreRefused, Throttled, Unavailable
from broker.stores.addresses import Reach
from broker.stores.aws.container import PodIdentity
from broker.stores.aws.target import Target
from broker.stores.exchange import Patience
from contract.resources import SecretStore
from contract.values import SecretValue
from tests.broker.stores.aws.conftest import ACCESS_KEY
from tests.broker.stores.aws.server import REGION, Aws, IamProxy, refusal
from tests.broker.stores.faults import FaultyProxy
from tests.generic_server import Fault

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
OWN_ROLE, STORE_ROLE = "arn:aws:iam::123456789012:role/broker", "arn:aws:iam::210987654321:role/secrets"
TOKEN = "header.canary-token-71aa.signature"


@pytest.fixture
async def sts(aws: Aws) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(aws.url) as running:
        yield running


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


@pytest.fixture
def irsa(sts: FaultyProxy, token_file: Path) -> dict[str, str]:
    return {"AWS_ROLE_ARN": OWN_ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file), "AWS_ENDPOINT_URL_STS": sts.url}


def asked(proxy: FaultyProxy, number: int = -1) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(proxy.requests[number].body.decode()).items()}


def signed_with(proxy: FaultyProxy, number: int = -1) -> str | None:
    header = proxy.requests[number].headers.get("Authorization")
    return None if header is None else header.partition("Credential=")[2].partition("/")[0]


def sts_refusal(code: str, status: int = 400) -> Fault:
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>canary</Message></Error></ErrorResponse>"
    return Fault(status=status, headers={"Content-Type": "text/xml"}, body=body.encode())


def sts_answer(operation: str, key: str, lasts: timedelta) -> Fault:
    until = (datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = (
        f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{operation}Result><Credentials><AccessKeyId>{key}</AccessKeyId>'
        f"<SecretAccessKey>canary</SecretAccessKey><SessionToken>canary-session</SessionToken><Expiration>{until}</Expiration></Credentials>"
        f"</{operation}Result></{operation}Response>"
    )
    return Fault(status=200, headers={"Content-Type": "text/xml"}, body=body.encode())


# --- IRSA --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["awsParameterStore", "awsSecretsManager"])
async def test_irsa_end_to_end(
    proxy: IamProxy, sts: FaultyProxy, irsa: dict[str, str], open_aws: Callable[..., Any], provider: str
) -> None:
    client = open_aws(provider, proxy.url, irsa)
    await client.write(PATH, SecretValue(b"v"))
    assert (await client.read(PATH)).value == SecretValue(b"v")
    assert len(sts.requests) == 1, "one login for many calls"
    question = asked(sts)
    assert question["Action"] == "AssumeRoleWithWebIdentity"
    assert (question["RoleArn"], question["RoleSessionName"], question["WebIdentityToken"]) == (OWN_ROLE, "tfy-secret-injector-test", TOKEN)
    assert signed_with(sts) is None
    assert signed_with(proxy).startswith("ASIA")
    assert proxy.requests[-1].headers["X-Amz-Security-Token"]


async def test_many_first_reads_log_in_once(proxy: IamProxy, sts: FaultyProxy, irsa: dict[str, str], open_aws: Callable[..., Any]) -> None:
    client = open_aws("awsParameterStore", proxy.url, irsa)
    await asyncio.gather(*(client.read(PATH) for _ in range(20)), return_exceptions=True)
    assert len(sts.requests) == 1


async def test_the_token_is_read_again_at_each_login_and_an_expired_session_logs_in_again(
    proxy: IamProxy, sts: FaultyProxy, irsa: dict[str, str], token_file: Path, open_aws: Callable[..., Any]
) -> None:
    client = open_aws("awsParameterStore", proxy.url, irsa)
    await client.write(PATH, SecretValue(b"v"))
    first = signed_with(proxy)
    token_file.write_text("a.newer.token")
    proxy.faults.append(refusal("ExpiredTokenException"))
    assert (await client.read(PATH)).value == SecretValue(b"v")
    assert asked(sts)["WebIdentityToken"] == "a.newer.token"
    assert len(sts.requests) == 2
    assert signed_with(proxy) != first
    proxy.faults += [refusal("ExpiredTokenException")] * 2
    with pytest.raises(StoreRefused, match="the broker's credentials have expired"):
        await client.read(PATH)
    assert len(sts.requests) == 3


async def test_a_session_near_its_end_is_renewed_beside_the_reads(
    proxy: IamProxy, sts: FaultyProxy, irsa: dict[str, str], open_aws: Callable[..., Any]
) -> None:
    """STS gives keys for 17 s: they may be used for 2 s (see NEVER_USE_WITHIN), and are renewed after a quarter less, at 12.75 s."""
    sts.faults.append(sts_answer("AssumeRoleWithWebIdentity", "ASIASHORT", timedelta(seconds=17)))
    client = open_aws("awsParameterStore", proxy.url, irsa)
    with pytest.raises(NotFound):
        await client.read(PATH)
    assert signed_with(proxy) == "ASIASHORT"
    login = client._login
    login._now = lambda: datetime.now(UTC) + timedelta(seconds=1.5)
    login._renew_at = datetime.now(UTC)
    with pytest.raises(NotFound):
        await client.read(PATH)
    for _ in range(100):
        if len(sts.requests) == 2:
            break
        await asyncio.sleep(0.01)
    await login._fetching
    with pytest.raises(NotFound):
        await client.read(PATH)
    assert signed_with(proxy) != "ASIASHORT"


STS_FAULTS = [
    (
        sts_refusal("AccessDenied", 403),
        StoreRefused,
        "STS does not give this role to the broker's service account (AccessDenied). To fix: the role's trust policy",
    ),
    (sts_refusal("InvalidIdentityToken"), StoreRefused, "register the cluster's OIDC provider with the account"),
    (sts_refusal("ExpiredTokenException"), StoreRefused, "credentials have expired (ExpiredTokenException). To fix: is the mounted token"),
    (sts_refusal("IDPCommunicationError"), Unavailable, "STS cannot reach the cluster's OIDC provider"),
    (sts_refusal("Throttling"), Throttled, "AWS asks for fewer calls"),
    (sts_refusal("InternalFailure", 500), Unavailable, "AWS fails (InternalFailure)"),
    (Fault(status=200, body=b"canary"), Malformed, "login as"),
    (Fault(status=200, body=b"<AssumeRoleWithWebIdentityResponse/>"), Malformed, "login as"),
    (Fault(reset=True), Unavailable, "the connection was lost"),
    (Fault(wait=3.0), Unavailable, "SecretStore test: login: STS: no answer in time"),
]


@pytest.mark.parametrize(("fault", "kind", "text"), STS_FAULTS, ids=[str(number) for number in range(len(STS_FAULTS))])
async def test_a_login_that_fails_says_who_must_act(
    proxy: IamProxy, sts: FaultyProxy, irsa: dict[str, str], open_aws: Callable[..., Any], fault: Fault, kind: type[BrokerError], text: str
) -> None:
    sts.faults += [fault] * 3
    client = open_aws("awsParameterStore", proxy.url, irsa, total=0.5 if fault.wait else 10.0)
    for _ in range(3):
        with pytest.raises(kind) as caught:
            await client.read(PATH)
        assert text in caught.value.message
        assert "canary" not in caught.value.message + repr(caught.value.__cause__)
    assert len(sts.requests) == (3 if issubclass(kind, Retryable) else 1), "who refuses is not asked again at once"
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("content", "found"), [(None, "cannot be read: No such file"), ("", "is empty"), ("two\nlines", "holds what a header cannot carry")]
)
async def test_a_token_file_that_cannot_be_used_is_told(
    proxy: IamProxy, irsa: dict[str, str], token_file: Path, open_aws: Callable[..., Any], content: str | None, found: str
) -> None:
    token_file.unlink() if content is None else token_file.write_text(content)
    with pytest.raises(Misconfigured, match=f"SecretStore test: login: AWS_WEB_IDENTITY_TOKEN_FILE: file {token_file} {found}"):
        await open_aws("awsParameterStore", proxy.url, irsa).read(PATH)


# --- a role on top -----------------------------------------------------------------------------------------------


async def test_a_role_is_assumed_on_top_of_irsa(
    proxy: IamProxy, sts: FaultyProxy, irsa: dict[str, str], open_aws: Callable[..., Any]
) -> None:
    client = open_aws("awsSecretsManager", proxy.url, irsa, role=STORE_ROLE)
    await client.write(PATH, SecretValue(b"v"))
    assert [asked(sts, number)["Action"] for number in range(2)] == ["AssumeRoleWithWebIdentity", "AssumeRole"]
    assert (asked(sts)["RoleArn"], asked(sts)["RoleSessionName"]) == (STORE_ROLE, "tfy-secret-injector-test")
    base, top = signed_with(sts), signed_with(proxy)
    assert base.startswith("ASIA")
    assert top.startswith("ASIA")
    assert top != base
    proxy.faults.append(refusal("ExpiredTokenException"))
    await client.read(PATH)
    assert [asked(sts, number)["Action"] for number in range(2, len(sts.requests))] == ["AssumeRole"], "the base login still holds"


async def test_a_base_session_that_ended_is_renewed_under_the_role(
    proxy: IamProxy, sts: FaultyProxy, irsa: dict[str, str], open_aws: Callable[..., Any]
) -> None:
    client = open_aws("awsSecretsManager", proxy.url, irsa, role=STORE_ROLE)
    with pytest.raises(NotFound):
        await client.read(PATH)
    proxy.faults.append(refusal("ExpiredTokenException"))
    sts.faults.append(sts_refusal("ExpiredToken", 403))
    with pytest.raises(NotFound):
        await client.read(PATH)
    assert [asked(sts, number)["Action"] for number in range(len(sts.requests))] == [
        "AssumeRoleWithWebIdentity",
        "AssumeRole",
        "AssumeRole",
        "AssumeRoleWithWebIdentity",
        "AssumeRole",
    ]


async def test_a_role_on_top_of_the_file_and_a_refusal(
    proxy: IamProxy, sts: FaultyProxy, keys_file: Path, open_aws: Callable[..., Any]
) -> None:
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(keys_file), "AWS_ENDPOINT_URL": sts.url}
    client = open_aws("awsParameterStore", proxy.url, environ, role=STORE_ROLE)
    sts.faults.append(sts_refusal("AccessDenied", 403))
    with pytest.raises(StoreRefused, match=f"SecretStore test: login as {STORE_ROLE}: AWS does not allow sts:AssumeRole .*trust that role"):
        await client.read(PATH)
    client = open_aws("awsParameterStore", proxy.url, environ, role=STORE_ROLE)
    with pytest.raises(NotFound):
        await client.read(PATH)
    assert signed_with(sts) == ACCESS_KEY
    assert signed_with(proxy).startswith("ASIA")


async def test_the_role_that_irsa_gives_is_not_assumed_by_itself(
    proxy: IamProxy, sts: FaultyProxy, irsa: dict[str, str], open_aws: Callable[..., Any]
) -> None:
    with pytest.raises(NotFound):
        await open_aws("awsParameterStore", proxy.url, irsa, role=OWN_ROLE).read(PATH)
    assert [asked(sts, number)["Action"] for number in range(len(sts.requests))] == ["AssumeRoleWithWebIdentity"]


# --- EKS Pod Identity --------------------------------------------------------------------------------------------


class Agent:
    """Answers as the agent on a node; `reply` replaces the answer."""

    def __init__(self) -> None:
        self.tokens: list[str | None] = []
        self.reply: web.Response | None = None
        self.number = 0
        self.wait = 0.0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/credentials", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1/credentials"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization"))
        await asyncio.sleep(self.wait)
        if self.reply is not None:
            return self.reply
        self.number += 1
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6 * 3600))
        document = {
            "AccessKeyId": f"ASIAPOD{self.number}",
            "SecretAccessKey": "canary",
            "Token": "canary-session",
            "Expiration": until,
            "AccountId": "1",
        }
        return web.json_response(document)


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    async with Agent() as running:
        yield running


@pytest.fixture
def pod_identity(agent: Agent, token_file: Path) -> dict[str, str]:
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file)}


async def test_pod_identity_end_to_end(
    proxy: IamProxy, agent: Agent, pod_identity: dict[str, str], token_file: Path, open_aws: Callable[..., Any]
) -> None:
    client = open_aws("awsSecretsManager", proxy.url, pod_identity)
    await client.write(PATH, SecretValue(b"v"))
    assert (await client.read(PATH)).value == SecretValue(b"v")
    assert agent.tokens == [TOKEN]
    assert (signed_with(proxy), proxy.requests[-1].headers["X-Amz-Security-Token"]) == ("ASIAPOD1", "canary-session")
    token_file.write_text("newer\n")
    proxy.faults.append(refusal("ExpiredTokenException"))
    await client.read(PATH)
    assert agent.tokens == [TOKEN, "newer"]
    assert signed_with(proxy) == "ASIAPOD2"


async def test_a_role_on_top_of_pod_identity(
    proxy: IamProxy, sts: FaultyProxy, pod_identity: dict[str, str], open_aws: Callable[..., Any]
) -> None:
    client = open_aws("awsSecretsManager", proxy.url, pod_identity | {"AWS_ENDPOINT_URL_STS": sts.url}, role=STORE_ROLE)
    with pytest.raises(NotFound):
        await client.read(PATH)
    assert (asked(sts)["Action"], signed_with(sts)) == ("AssumeRole", "ASIAPOD1")


def reply(status: int = 200, body: Any = "canary", **headers: str) -> web.Response:
    return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body), headers=headers)


GOOD = {"AccessKeyId": "canary", "SecretAccessKey": "canary", "Token": "canary", "Expiration": "2099-01-01T00:00:00Z"}
AGENT_FAULTS: list[tuple[Callable[[], web.Response], type[BrokerError], str]] = [
    (lambda: reply(400), StoreRefused, "the agent gives no credentials (400). To fix: is there a Pod Identity association"),
    (lambda: reply(403), StoreRefused, "the agent gives no credentials (403)"),
    (lambda: reply(302, Location="http://127.0.0.1:1/"), StoreRefused, "the agent gives no credentials (302)"),
    (lambda: reply(429, **{"Retry-After": "9"}), Throttled, "the agent asks for fewer calls (429)"),
    (lambda: reply(500), Unavailable, "the agent fails (500)"),
    (reply, Malformed, "the agent's answer has no credentials"),
    (lambda: reply(body=["canary"]), Malformed, "the agent's answer has no credentials"),
    (lambda: reply(body="[" * 50_000), Malformed, "the agent's answer has no credentials"),
    (lambda: reply(body="x" * 200_000), Malformed, "the agent's answer has no credentials"),
    (lambda: reply(body=GOOD | {"Expiration": "2099-01-01T00:00:00"}), Malformed, "the agent's answer has no credentials"),
    (lambda: reply(body=GOOD | {"SecretAccessKey": 5}), Malformed, "the agent's answer has no credentials"),
]


@pytest.mark.parametrize(("answered", "kind", "text"), AGENT_FAULTS, ids=[str(number) for number in range(len(AGENT_FAULTS))])
async def test_an_agent_that_fails_is_told(
    proxy: IamProxy,
    agent: Agent,
    pod_identity: dict[str, str],
    open_aws: Callable[..., Any],
    answered: Callable[[], web.Response],
    kind: type[BrokerError],
    text: str,
) -> None:
    agent.reply = answered()
    with pytest.raises(kind) as caught:
        await open_aws("awsParameterStore", proxy.url, pod_identity).read(PATH)
    assert caught.value.message.startswith("SecretStore test: login by EKS Pod Identity: ")
    assert text in caught.value.message
    assert "canary" not in caught.value.message + repr(caught.value.__cause__)


async def test_an_agent_that_is_slow_or_away_is_told(
    proxy: IamProxy, agent: Agent, pod_identity: dict[str, str], open_aws: Callable[..., Any]
) -> None:
    agent.wait = 3.0
    with pytest.raises(Unavailable, match=r"the agent cannot be reached \(TimeoutError\)"):
        await open_aws("awsParameterStore", proxy.url, pod_identity, total=0.3).read(PATH)
    pod_identity["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:1/"
    with pytest.raises(Unavailable, match=r"the agent cannot be reached \(ClientConnectorError\). To fix: does it run on the node?"):
        await open_aws("awsParameterStore", proxy.url, pod_identity).read(PATH)


def target(reach: Reach) -> Target:
    return Target.parse(SecretStore("test", "acme/aws/test", "awsParameterStore", {"region": REGION}), reach, Patience())


@pytest.mark.parametrize(
    "url", ["http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials", "https://credentials.example/x"]
)
def test_the_agents_addresses_are_allowed_for_this_login(url: str) -> None:
    PodIdentity(target(Reach()), url, "/token")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://169.254.170.2/x",
        "http://127.0.0.1/x",
        "http://user@169.254.170.23/",
        "http://169.254.170.23:8080/",
    ]
    + [
        "http://0xa9feaa17/",
        "https://169.254.170.23/",
        "http://credentials.example/",
        "http://[fd00:ec2::254]/",
        "ftp://169.254.170.23/",
        "http://[bad/",
    ],
)
def test_no_other_address_is(url: str) -> None:
    with pytest.raises(Misconfigured, match="SecretStore test: login: AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        PodIdentity(target(Reach()), url, "/token")


# --- which way ---------------------------------------------------------------------------------------------------


async def test_the_ways_are_tried_in_their_order(
    proxy: IamProxy, irsa: dict[str, str], pod_identity: dict[str, str], keys_file: Path, open_aws: Callable[..., Any]
) -> None:
    files = {"AWS_SHARED_CREDENTIALS_FILE": str(keys_file)}
    for environ, key in ((irsa | pod_identity | files, "ASIA"), (pod_identity | files, "ASIAPOD"), (files, ACCESS_KEY)):
        with pytest.raises(NotFound):
            await open_aws("awsParameterStore", proxy.url, environ).read(PATH)
        assert signed_with(proxy).startswith(key)
    assert not signed_with(proxy, 0).startswith("ASIAPOD")


async def test_keys_of_the_file_are_taken_anew_when_it_changes(proxy: IamProxy, keys_file: Path, open_aws: Callable[..., Any]) -> None:
    client = open_aws("awsParameterStore", proxy.url)
    await client.write(PATH, SecretValue(b"v"))
    keys_file.write_text("[default]\naws_access_key_id = AKIANEWER\naws_secret_access_key = new\n")
    await client.read(PATH)
    assert signed_with(proxy) == "AKIANEWER"


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({}, "the environment names no way to log in to AWS. To fix: annotate the broker's service account for IRSA"),
        (
            {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "canary"},
            "keys in environment variables are not taken, and the node's own role is never used",
        ),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not"),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "canary"},
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is not set",
        ),
        (
            {"AWS_SHARED_CREDENTIALS_FILE": "/x", "AWS_ENDPOINT_URL_STS": "http://169.254.169.254"},
            "login: AWS_ENDPOINT_URL_STS: '169.254.169.254' is link-local",
        ),
        ({"AWS_SHARED_CREDENTIALS_FILE": "/x", "AWS_ENDPOINT_URL": "https://user:canary@sts.example"}, "login: AWS_ENDPOINT_URL: found"),
    ],
)
def test_an_environment_without_a_way_is_told_when_the_store_is_opened(
    open_aws: Callable[..., Any], environ: dict[str, str], text: str
) -> None:
    with pytest.raises(Misconfigured, match="SecretStore test: login") as caught:
        open_aws("awsParameterStore", "https://ssm.example", environ)
    assert text in caught.value.message
    assert "canary" not in caught.value.message
