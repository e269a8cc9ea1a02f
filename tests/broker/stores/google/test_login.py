"""Who the broker is to Google: the metadata server, federation by a mounted token, a mounted key; renewal, change, refusal."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from grpc import StatusCode

from broker.errors import BrokerError, Malformed, Misconfigured, NotSent, StoreRefused, Throttled, Unavailable
from broker.stores.addresses import Reach
from broker.stores.google.credentials import open_login
from broker.stores.google.exchange import LoginHttp
from broker.stores.google.login import Login, Token
from contract.values import SecretValue
from tests.broker.stores.google.conftest import Open
from tests.broker.stores.google.server import Fault, SecretManager
from tests.broker.stores.google.token_server import TokenServer

NAME = "tfy-secret__acme__payments__DB_PASSWORD"
PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
Use = Callable[[dict[str, Any] | str], Path]


@pytest.fixture
async def tokens() -> AsyncIterator[TokenServer]:
    async with TokenServer() as running:
        yield running


@pytest.fixture
def subject(tmp_path: Path) -> Path:
    file = tmp_path / "subject"
    file.write_text("canary-subject")
    return file


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Make this the credential file; it may be called again."""

    def write(content: dict[str, Any] | str) -> Path:
        file = tmp_path / "credentials.json"
        (tmp_path / "new").write_text(content if isinstance(content, str) else json.dumps(content))
        (tmp_path / "new").replace(file)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        return file

    return write


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def service_account(key: rsa.RSAPrivateKey, email: str = "broker@acme-prod.iam.gserviceaccount.com") -> dict[str, Any]:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    made = {"type": "service_account", "project_id": "acme-prod", "private_key_id": "k1", "private_key": pem, "client_email": email}
    return made | {"token_uri": "https://oauth2.googleapis.com/token"}


def sent(server: SecretManager) -> list[str]:
    return [seen.metadata.get("authorization", "none") for seen in server.seen]


async def current(reach: Reach = Reach(allow_loopback=True), *, tls: bool = False, seconds: float = 10.0) -> Token:
    login = open_login("SecretStore gsm", reach, seconds, tls=tls)
    assert login is not None
    try:
        return await login.current()
    finally:
        await login.close()


async def refused(kind: type[BrokerError], match: str, **named: Any) -> None:
    with pytest.raises(kind, match=match) as caught:
        await current(**named)
    assert type(caught.value) is kind
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


# --- federation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("impersonate", [False, True], ids=["direct", "as-a-service-account"])
async def test_a_mounted_token_is_exchanged_once_and_brought_along(
    open_google: Open, server: SecretManager, tokens: TokenServer, subject: Path, use: Use, impersonate: bool
) -> None:
    use(tokens.external_account(str(subject), impersonate=impersonate))
    token = ("impersonated-" if impersonate else "") + tokens.token
    server.tokens = {token}
    client = open_google(server.url)
    await client.write(PATH, SecretValue(b"x"))
    assert (await client.read(PATH)).version == "1"
    assert sent(server) == [f"Bearer {token}"] * 4
    assert len(tokens.seen) == (2 if impersonate else 1)
    if impersonate:
        assert tokens.seen[1].body["scope"] == [SCOPE]
    else:
        assert tokens.seen[0].body["scope"] == SCOPE


async def test_a_token_in_a_json_file(tokens: TokenServer, tmp_path: Path, use: Use) -> None:
    (tmp_path / "subject").write_text('{"access": "canary-subject"}')
    source = {"file": str(tmp_path / "subject"), "format": {"type": "json", "subject_token_field_name": "access"}}
    use(tokens.external_account("", credential_source=source))
    assert (await current()).value == SecretValue(tokens.token.encode())


async def test_the_mounted_token_is_read_for_each_login(tokens: TokenServer, subject: Path, use: Use) -> None:
    """The kubelet renews it."""
    use(tokens.external_account(str(subject)))
    tokens.subject = "canary-renewed"
    await refused(StoreRefused, r"^SecretStore gsm: login at 127.0.0.1: our login is refused \(400\). To fix: the workload identity pool")
    subject.write_text("canary-renewed")
    await current()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "holds no token|cannot be read|no token"),
        ("", "holds no token. To fix: mount the token there"),
    ],
    ids=["missing", "empty"],
)
async def test_a_mounted_token_that_is_not_there_is_told(
    tokens: TokenServer, subject: Path, use: Use, content: str | None, text: str
) -> None:
    use(tokens.external_account(str(subject)))
    subject.unlink() if content is None else subject.write_text(content)
    await refused(Misconfigured, f"GOOGLE_APPLICATION_CREDENTIALS: file .*credentials.json: credential_source.file.*{text}")
    assert tokens.seen == []


@pytest.mark.parametrize(
    "source",
    [
        {"executable": {"command": "/bin/sh -c canary"}},
        {"url": "http://169.254.169.254/token"},
        {"file": "/run/token", "url": "http://169.254.169.254/token"},
        {"environment_id": "aws1", "region_url": "http://169.254.169.254/"},
        {"certificate": {"use_default_certificate_config": True}},
        {"file": 7},
        "canary",
        None,
    ],
    ids=["program", "url", "file-and-url", "aws", "certificate", "number", "text", "nothing"],
)
async def test_a_token_comes_from_a_file_and_nothing_else(tokens: TokenServer, use: Use, source: Any) -> None:
    use(tokens.external_account("", credential_source=source))
    await refused(Misconfigured, "credential_source: allowed: file and format, nothing else; programs, URLs and certificates are not used")


@pytest.mark.parametrize("field", ["token_url", "service_account_impersonation_url"])
@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://sts.example/v1/token", "found plain HTTP"),
        ("https://0x7f.1/v1/token", "is this machine itself"),
        ("https://169.254.169.254/v1/token", "is link-local"),
        ("https://user@sts.example/v1/token", "without user"),
        ("https://localhost/v1/a:generateAccessToken", "'localhost' resolves to (127.0.0.1|::1), which is this machine itself"),
    ],
)
async def test_a_login_goes_where_a_store_may_be(tokens: TokenServer, subject: Path, use: Use, field: str, url: str, text: str) -> None:
    content = tokens.external_account(str(subject), token_url="https://localhost/v1/token")
    use(content | {field: url})
    with pytest.raises(Misconfigured, match=text):
        await current(Reach())


@pytest.mark.parametrize(
    "url", ["http://sts.example/", "https://a@sts.example/", "https://sts.example/#x", "https://sts.example\\@x/", "ftp://sts.example/"]
)
async def test_each_request_of_a_login_is_looked_at(url: str) -> None:
    """Also one that Google's library would think of by itself."""
    http = LoginHttp("SecretStore gsm", Reach(), 1.0)
    with pytest.raises(Misconfigured, match="^SecretStore gsm: login at .*(plain HTTP|allowed: an https URL)"):
        await http.send("POST", url, headers={})
    await http.close()


async def test_logins_keep_to_the_hosts_setting(tokens: TokenServer, subject: Path, use: Use) -> None:
    use(tokens.external_account(str(subject), token_url="https://sts.googleapis.com/v1/token"))
    with pytest.raises(Misconfigured, match="token_url: 'sts.googleapis.com' is outside of what TFY_SECRET_STORE_HOSTS allows"):
        await current(Reach(hosts=("secretmanager.googleapis.com",)))


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (web.Response(status=403, text="canary"), StoreRefused, r"our login is refused \(403\)"),
        (web.Response(status=429, headers={"Retry-After": "7"}), Throttled, r"asks for fewer logins \(429\)"),
        (web.Response(status=503, text="canary"), NotSent, r"fails \(503\)"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:9/canary"}), Misconfigured, r"a redirect \(302\), which is not followed"),
        (web.Response(text="canary"), Malformed, "the login's answer holds no token"),
        (web.json_response({"access_token": "canary"}), Malformed, "the login's answer holds no token"),
        (web.json_response({"access_token": "canary-\u00e4", "expires_in": 9}), Malformed, "the login's answer holds no token"),
        (web.json_response(["canary"]), Malformed, "the login's answer holds no token"),
        (web.Response(body=b"canary" * 50_000), Malformed, "an answer of more than 262144 bytes"),
        (5.0, NotSent, "no answer within 0.2 s"),
    ],
    ids=["denied", "throttled", "down", "redirect", "no-json", "no-lifetime", "no-ascii", "a-list", "endless", "slow"],
)  # fmt: skip
async def test_a_login_that_fails_is_told(
    tokens: TokenServer, subject: Path, use: Use, fault: Any, kind: type[BrokerError], text: str
) -> None:
    use(tokens.external_account(str(subject)))
    tokens.faults = [fault]
    await refused(kind, text, seconds=0.2 if fault == 5.0 else 10.0)
    assert len(tokens.seen) == 1


async def test_a_login_server_that_is_away_is_not_sent(tokens: TokenServer, subject: Path, use: Use) -> None:
    use(tokens.external_account(str(subject), token_url="http://127.0.0.1:9/v1/token"))
    await refused(NotSent, r"login at 127.0.0.1: cannot be reached, or the connection was lost \(ConnectError\)")


# --- a key -------------------------------------------------------------------------------------------------------


async def test_a_key_signs_its_own_tokens_and_asks_no_one(
    open_google: Open, server: SecretManager, use: Use, key: rsa.RSAPrivateKey
) -> None:
    use(service_account(key))
    client = open_google(server.url)
    await client.healthy()
    await client.healthy()
    assert len(set(sent(server))) == 1
    claims = jwt.decode(sent(server)[0].removeprefix("Bearer "), key.public_key(), algorithms=["RS256"])
    assert (claims["iss"], claims["sub"], claims["scope"]) == ("broker@acme-prod.iam.gserviceaccount.com",) * 2 + (SCOPE,)
    assert 3500 < claims["exp"] - claims["iat"] <= 3600


async def test_a_key_that_changes_is_read_again(open_google: Open, server: SecretManager, use: Use, key: rsa.RSAPrivateKey) -> None:
    file = use(service_account(key))
    client = open_google(server.url)
    await client.healthy()
    use(service_account(key, "second@acme-prod.iam.gserviceaccount.com"))
    await client.healthy()
    issuers = [jwt.decode(text.removeprefix("Bearer "), options={"verify_signature": False})["iss"] for text in sent(server)]
    assert issuers == ["broker@acme-prod.iam.gserviceaccount.com", "second@acme-prod.iam.gserviceaccount.com"]
    file.unlink()
    with pytest.raises(Misconfigured, match="credentials.json cannot be read: No such file or directory. To fix: mount it into the broker"):
        await client.healthy()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("canary", "is not a JSON object. To fix: the file that Google Cloud gave you, unchanged"),
        ("[1]", "is not a JSON object"),
        ({"type": "authorized_user", "refresh_token": "canary"}, "found the type 'authorized_user'; allowed: external_account"),
        ({"type": "impersonated_service_account"}, "found the type 'impersonated_service_account'"),
        ({}, "found the type 'None'"),
        ({"type": "service_account", "private_key": "canary"}, "is no usable service_account file"),
        ({"type": "external_account", "credential_source": {"file": "/x"}}, "is no usable external_account file"),
        ({"type": "service_account", "private_key": "canary", "client_email": "a", "token_uri": "b"}, "is no usable service_account file"),
    ],
)
async def test_a_file_that_cannot_be_used_is_told_without_what_is_in_it(use: Use, content: Any, text: str) -> None:
    use(content)
    await refused(Misconfigured, f"^SecretStore gsm: GOOGLE_APPLICATION_CREDENTIALS: file .*credentials.json.*{text}")


# --- the metadata server -----------------------------------------------------------------------------------------


async def test_without_a_file_the_metadata_server_is_asked(tokens: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", tokens.host)
    assert (await current(tls=True)).value == SecretValue(tokens.token.encode())
    (seen,) = tokens.seen
    assert seen.headers["Metadata-Flavor"] == "Google"
    assert seen.query == {"scopes": SCOPE}


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1:9", "localhost", "0x7f.1", "[::1]", "metadata.example@127.0.0.1"])
async def test_the_metadata_servers_address_is_googles(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A link-local address is reached for this alone, and this reaches nothing else."""
    monkeypatch.setenv("GCE_METADATA_HOST", host)
    with pytest.raises(Misconfigured, match="GCE_METADATA_HOST: .*(is not Google's metadata server|allowed: a host, or host:port)"):
        await current(Reach(), tls=True)


async def test_a_store_is_never_at_the_metadata_servers_address(open_google: Open) -> None:
    with pytest.raises(Misconfigured, match="is link-local"):
        open_google("https://169.254.169.254")


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (web.Response(status=404, text="canary"), StoreRefused, r"our login is refused \(404\). To fix: on GKE, workload identity"),
        (web.Response(status=500), NotSent, r"fails \(500\): no metadata server answers. To fix: on GKE"),
        (web.json_response({"access_token": "canary", "expires_in": 9}), Malformed, "what answers at the metadata server's address is not Google's"),
        (web.json_response({"expires_in": 9}, headers={"Metadata-Flavor": "Google"}), Malformed, "the metadata server's answer holds no token"),
        (web.json_response({"access_token": "canary"}, headers={"Metadata-Flavor": "Google"}), Malformed, "holds no token"),
        (web.Response(text="canary", headers={"Metadata-Flavor": "Google"}), Malformed, "holds no token"),
        (5.0, NotSent, "no answer within 0.2 s: no metadata server answers"),
    ],
    ids=["no-account", "down", "not-googles", "no-token", "no-lifetime", "no-json", "slow"],
)  # fmt: skip
async def test_a_metadata_server_that_fails_is_told(
    tokens: TokenServer, monkeypatch: pytest.MonkeyPatch, fault: Any, kind: type[BrokerError], text: str
) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", tokens.host)
    tokens.faults = [fault]
    await refused(kind, text, tls=True, seconds=0.2 if fault == 5.0 else 10.0)


async def test_an_emulator_is_told_nothing_about_this_machine(
    open_google: Open, server: SecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over plain HTTP there is no login by itself: the machine's identity would cross the network readable."""
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    await open_google(server.url).healthy()
    assert sent(server) == ["none"]


# --- renewal -----------------------------------------------------------------------------------------------------


class Clocked:
    """A source whose tokens are numbered, last an hour, and come when `ready` is set."""

    def __init__(self) -> None:
        self.now, self.made, self.fails, self.different = 1_000_000.0, 0, False, False
        self.ready = asyncio.Event()
        self.ready.set()

    def changed(self) -> bool:
        return self.different

    async def token(self) -> Token:
        await self.ready.wait()
        if self.fails:
            raise Unavailable("canary-login")
        self.made += 1
        return Token(SecretValue(str(self.made).encode()), self.now + 3600)

    async def close(self) -> None:
        pass


def name(token: Token) -> int:
    return next(number for number in range(1, 99) if token.value == SecretValue(str(number).encode()))


@pytest.fixture
async def clocked() -> AsyncIterator[tuple[Clocked, Login]]:
    source = Clocked()
    login = Login(source, lambda: source.now)
    yield source, login
    await login.close()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_waits_for_a_token_waits_for_the_same_one(clocked: tuple[Clocked, Login]) -> None:
    source, login = clocked
    source.ready.clear()
    waiting = [asyncio.create_task(login.current()) for _ in range(20)]
    await settle()
    waiting[0].cancel()
    source.ready.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert {name(await task) for task in waiting[1:]} == {1}


async def test_a_token_is_renewed_before_it_expires_while_the_old_one_serves(clocked: tuple[Clocked, Login]) -> None:
    source, login = clocked
    await login.current()
    source.now += 3600 - 226
    assert name(await login.current()) == 1
    await settle()
    assert source.made == 1
    source.now += 2
    source.ready.clear()
    assert name(await login.current()) == 1
    source.ready.set()
    await settle()
    assert name(await login.current()) == 2


async def test_a_renewal_that_fails_is_tried_again_and_told_only_when_the_token_is_gone(clocked: tuple[Clocked, Login]) -> None:
    source, login = clocked
    await login.current()
    source.now += 3600 - 100
    source.fails = True
    for _ in range(3):
        assert name(await login.current()) == 1
        await settle()
    source.now += 86
    with pytest.raises(Unavailable, match="canary-login"):
        await login.current()
    source.fails = False
    assert name(await login.current()) == 2


async def test_a_renewal_that_was_begun_before_a_change_is_not_kept(clocked: tuple[Clocked, Login]) -> None:
    """Not even when its answer comes last."""
    source, login = clocked
    first, second = asyncio.Event(), asyncio.Event()
    source.ready = first
    old = asyncio.create_task(login.current())
    await settle()
    login.forget()
    source.ready = second
    second.set()
    assert name(await login.current()) == 1
    first.set()
    assert name(await old) == 2
    assert name(await login.current()) == 1
    source.different = True
    assert name(await login.current()) == 3


async def test_a_token_that_is_not_accepted_any_more_is_replaced_once(
    open_google: Open, server: SecretManager, tokens: TokenServer, subject: Path, use: Use
) -> None:
    use(tokens.external_account(str(subject)))
    server.put(NAME, b"x")
    server.tokens = {"canary-token-1", "canary-token-2"}
    client = open_google(server.url)
    await client.read(PATH)
    tokens.token, server.tokens = "canary-token-2", {"canary-token-2"}
    assert (await client.read(PATH)).version == "1"
    assert [text[-1] for text in sent(server)] == ["1", "1", "2"]
    server.tokens = set()
    with pytest.raises(StoreRefused, match="Google does not accept our login"):
        await client.read(PATH)
    assert len(server.seen) == 5, "the known one, a new one, and no more"
    assert len(tokens.seen) == 3


async def test_a_new_token_that_is_not_accepted_is_not_asked_for_twice(
    open_google: Open, server: SecretManager, tokens: TokenServer, subject: Path, use: Use
) -> None:
    use(tokens.external_account(str(subject)))
    server.faults = [Fault(StatusCode.UNAUTHENTICATED)]
    with pytest.raises(StoreRefused):
        await open_google(server.url).healthy()
    assert (len(server.seen), len(tokens.seen)) == (1, 1)


async def test_a_client_that_is_closed_while_it_logs_in(
    open_google: Open, server: SecretManager, tokens: TokenServer, subject: Path, use: Use
) -> None:
    use(tokens.external_account(str(subject)))
    tokens.faults = [5.0]
    client = open_google(server.url)
    call = asyncio.create_task(client.healthy())
    while not tokens.seen:
        await asyncio.sleep(0.005)
    call.cancel()
    async with asyncio.timeout(2):
        await client.close()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_the_loop_is_not_held_up_by_a_login(tokens: TokenServer, subject: Path, use: Use) -> None:
    use(tokens.external_account(str(subject)))
    tokens.faults = [0.2]
    beats = 0
    login = asyncio.create_task(current())
    while not login.done():
        await asyncio.sleep(0.005)
        beats += 1
    assert beats > 15


async def test_no_log_shows_a_token_or_key(
    open_google: Open,
    server: SecretManager,
    tokens: TokenServer,
    subject: Path,
    use: Use,
    key: rsa.RSAPrivateKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    use(tokens.external_account(str(subject), impersonate=True))
    client = open_google(server.url)
    await client.healthy()
    content = service_account(key)
    use(content)
    await client.healthy()
    assert caplog.records, "the libraries log at this level"
    shown = caplog.text + repr(vars(client)) + repr([vars(record) for record in caplog.records])
    assert "canary" not in shown
    assert content["private_key"][40:80] not in shown


def test_the_machines_own_credentials_are_not_used() -> None:
    """The fixtures hold: no test logs in as whoever runs it."""
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ
