"""Tokens: as a workload identity or from files, in one tenant, for this vault alone; and whom a refusal names."""

import asyncio
import datetime as dt
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from broker.errors import Malformed, Misconfigured, NotSent, StoreRefused, Throttled, Unavailable
from broker.stores.addresses import Reach
from broker.stores.azure import login
from broker.stores.azure.client import AzureKeyVault
from broker.stores.azure.credentials import Credentials
from contract.values import SecretValue
from tests.broker.stores.azure.opening import PATIENT
from tests.broker.stores.azure.server import CLIENT, TENANT, KeyVaultServer, login_error

COMPLETE = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_FEDERATED_TOKEN_FILE": "/var/run/token"}


def certificate() -> tuple[bytes, bytes, rsa.RSAPublicKey]:
    """A certificate and its key as PEM, and the public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = dt.datetime.now(dt.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + dt.timedelta(days=1)).sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return built.public_bytes(serialization.Encoding.PEM), private, key.public_key()


def with_file(environ: dict[str, str], variable: str, file: Path) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name != "AZURE_FEDERATED_TOKEN_FILE"} | {variable: str(file)}


async def test_a_token_is_asked_for_once_and_for_the_vault(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.healthy()
    await client.healthy()
    (form,) = vault.logins
    assert form["scope"] == "https://vault.azure.net/.default"
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion"] == "federated-token"


async def test_a_token_that_has_expired_is_replaced_with_the_files_content_of_now(
    vault: KeyVaultServer, client: AzureKeyVault, environ: dict[str, str]
) -> None:
    vault.token_seconds = 0
    await client.healthy()
    vault.assertions = {"rotated-token"}
    Path(environ["AZURE_FEDERATED_TOKEN_FILE"]).write_text("rotated-token\n")
    await client.healthy()
    assert vault.logins[0]["client_assertion"] == "federated-token"
    assert vault.logins[-1]["client_assertion"] == "rotated-token"


async def test_a_token_that_the_vault_no_longer_takes_is_replaced(
    vault: KeyVaultServer, client: AzureKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was given out a moment ago is not: a vault that takes none would make a login for each call."""
    await client.healthy()
    vault.tokens.clear()
    with pytest.raises(
        StoreRefused, match=r"does not accept our token \(401\). To fix: the vault must trust the tenant in AZURE_TENANT_ID"
    ):
        await client.healthy()
    assert len(vault.logins) == 1
    monkeypatch.setattr(login, "DOUBT_SECONDS", 0.0)
    await client.healthy()
    await client.healthy()
    assert len(vault.logins) == 2
    version = await client.write("smtp-key", SecretValue(b"one"))
    vault.tokens.clear()
    assert await client.write("smtp-key", SecretValue(b"two")) != version
    assert len(vault.logins) == 3


async def test_a_clients_secret_comes_from_a_file_that_may_change(
    vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault], environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("client-secret\n")
    vault.token_seconds = 0
    client = open_client(vault.url, environ=with_file(environ, "AZURE_CLIENT_SECRET_FILE", file))
    await client.healthy()
    vault.client_secrets = {"another-secret"}
    file.write_text("another-secret")
    await client.healthy()
    assert [vault.logins[0]["client_secret"], vault.logins[-1]["client_secret"]] == ["client-secret", "another-secret"]


async def test_a_certificate_comes_from_a_file_that_may_change(
    vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault], environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "certificate.pem"
    vault.token_seconds = 0
    client = open_client(vault.url, environ=with_file(environ, "AZURE_CLIENT_CERTIFICATE_PATH", file))
    for _ in range(2):
        public, private, vault.public_key = certificate()
        file.write_bytes(public + private)
        await client.healthy()
        await client.healthy()
    file.write_bytes(public)
    for _ in range(2):
        with pytest.raises(
            Misconfigured, match="holds no certificate with its RSA key, without a password, as PEM or PKCS #12. To fix"
        ) as caught:
            await client.healthy()
        assert caught.value.__context__ is None
    file.write_bytes(public + private)
    await client.healthy()
    file.write_bytes(b"x" * 100_000)
    with pytest.raises(Misconfigured, match="holds no certificate"):
        await client.healthy()
    file.unlink()
    with pytest.raises(
        Misconfigured, match="certificate.pem cannot be read: No such file or directory. To fix: mount the application's cert"
    ):
        await client.healthy()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory. To fix: mount a token of the broker's service account there"),
        (b"", "is empty"),
        (b"canary-one\ncanary-two", "holds what a header cannot carry"),
        (b"canary" * 4000, "holds more than 16384 bytes"),
        ("canary\u00e9".encode(), "holds what a header cannot carry"),
    ],
)
async def test_a_token_file_that_cannot_be_used_is_told_without_its_content(
    vault: KeyVaultServer, client: AzureKeyVault, environ: dict[str, str], content: bytes | None, said: str
) -> None:
    file = Path(environ["AZURE_FEDERATED_TOKEN_FILE"])
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(Misconfigured) as caught:
        await client.healthy()
    assert f"SecretStore kv: the login at {vault.url}: AZURE_FEDERATED_TOKEN_FILE: file {file} {said}" in str(caught.value)
    assert "canary" not in str(caught.value)
    file.write_text("federated-token")
    await client.healthy()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AZURE_TENANT_ID": ""}, "AZURE_TENANT_ID: found nothing; allowed: an id such as 00000000-"),
        ({"AZURE_CLIENT_ID": "a b"}, "AZURE_CLIENT_ID: found 'a b'; allowed: an id such as"),
        ({"AZURE_TENANT_ID": "../x"}, "AZURE_TENANT_ID: found '../x'; allowed: an id"),
        (
            {"AZURE_FEDERATED_TOKEN_FILE": ""},
            "found none; allowed: exactly one of them. To fix: label the broker's pod azure.workload.identity/use",
        ),
        (
            {"AZURE_CLIENT_SECRET_FILE": "/s"},
            "found AZURE_FEDERATED_TOKEN_FILE and AZURE_CLIENT_SECRET_FILE; allowed: exactly one of them. To fix: unset",
        ),
        (
            {"AZURE_CLIENT_SECRET": "canary"},
            "AZURE_CLIENT_SECRET: a secret in a variable is not used. To fix: put it in a mounted file, and name",
        ),
        (
            {"AZURE_CLIENT_CERTIFICATE_PASSWORD": "canary"},
            "AZURE_CLIENT_CERTIFICATE_PASSWORD: a secret in a variable is not used. To fix: mount the c",
        ),
        ({"AZURE_PASSWORD": "canary"}, "AZURE_PASSWORD: a secret in a variable is not used. To fix: let the broker be a workload identity"),
        ({"AZURE_AUTHORITY_HOST": "http://login.example"}, "AZURE_AUTHORITY_HOST: found plain HTTP; allowed: https"),
        (
            {"AZURE_AUTHORITY_HOST": "https://169.254.169.254"},
            "AZURE_AUTHORITY_HOST: '169.254.169.254' is link-local, where clouds serve their metadata",
        ),
        ({"AZURE_AUTHORITY_HOST": "0x7f.1"}, "AZURE_AUTHORITY_HOST: '0x7f.1' is this machine itself"),
        (
            {"AZURE_AUTHORITY_HOST": "https://user:canary@login.example"},
            "AZURE_AUTHORITY_HOST: found 'https://login.example'; allowed: an https URL with",
        ),
    ],
)
def test_an_environment_that_gives_no_login_is_told_when_the_store_is_opened(change: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        Credentials.from_environ("SecretStore kv", COMPLETE | change, Reach())
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


def test_all_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(
        Misconfigured, match="SecretStore kv: the login to Azure: .*AZURE_TENANT_ID.*AZURE_CLIENT_ID.*AZURE_FEDERATED_TOKEN_FILE"
    ):
        Credentials.from_environ("SecretStore kv", {}, Reach())


def test_plain_http_is_refused_in_development_too() -> None:
    with pytest.raises(Misconfigured, match="AZURE_AUTHORITY_HOST: found plain HTTP; allowed: https, by Azure's own rule"):
        Credentials.from_environ("SecretStore kv", COMPLETE | {"AZURE_AUTHORITY_HOST": "http://127.0.0.1:1"}, Reach(allow_loopback=True))


def test_the_login_is_the_public_clouds_unless_told_and_may_be_limited() -> None:
    assert Credentials.from_environ("s", COMPLETE, Reach()).authority == "https://login.microsoftonline.com"
    assert (
        Credentials.from_environ("s", COMPLETE | {"AZURE_AUTHORITY_HOST": "login.chinacloudapi.cn/"}, Reach()).authority
        == "https://login.chinacloudapi.cn"
    )
    with pytest.raises(Misconfigured, match="'login.microsoftonline.com' is outside of what TFY_SECRET_STORE_HOSTS allows"):
        Credentials.from_environ("s", COMPLETE, Reach(hosts=("*.vault.azure.net",)))


async def test_a_vault_of_another_tenant_gets_no_token(
    vault: KeyVaultServer, client: AzureKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.challenge_tenant = "99999999-0000-0000-0000-canary"
    monkeypatch.setenv("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", "true")  # the library would then go on with our tenant's token
    with pytest.raises(Misconfigured, match=f"belongs to another tenant than AZURE_TENANT_ID says, {TENANT}. To fix: the id of") as caught:
        await client.healthy()
    assert "canary" not in str(caught.value)
    assert vault.logins == []


async def test_the_tenants_id_may_be_in_capitals(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    vault.challenge_tenant = TENANT.upper()
    await client.healthy()


@pytest.fixture
def at_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """ours.localhost is this machine for every resolver that follows RFC 6761; glibc's does not."""
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **named: real("localhost" if host == "ours.localhost" else host, *rest, **named)
    )


async def test_a_vault_that_asks_for_another_services_token_gets_none(
    vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault], at_localhost: None
) -> None:
    client = open_client(f"https://ours.localhost:{vault.port}")
    for resource in ("https://vault.azure.net", "https://management.azure.com", "https://host", "nonsense"):
        vault.resource = resource
        with pytest.raises(
            Misconfigured, match="SecretStore kv: the vault asks for a token of another service; it got none. To fix: is vaultUrl"
        ):
            await client.healthy()
    assert vault.logins == []
    assert all(not seen.authorized for seen in vault.requests)


async def test_a_vault_that_asks_for_its_own_services_token_gets_one(
    vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault], at_localhost: None
) -> None:
    vault.resource = f"https://localhost:{vault.port}"
    client = open_client(f"https://ours.localhost:{vault.port}")
    await client.healthy()
    assert len(vault.logins) == 1


@pytest.mark.parametrize(
    "challenge",
    [None, "Bearer", "Bearer x", 'Basic realm="x"', 'Bearer authorization="https://h/t"', 'PoP authorization="https://h/t", resource=""'],
)
async def test_a_challenge_that_is_none_is_told(
    vault: KeyVaultServer, client: AzureKeyVault, monkeypatch: pytest.MonkeyPatch, challenge: str | None
) -> None:
    from aiohttp import web

    headers = {} if challenge is None else {"WWW-Authenticate": challenge}
    monkeypatch.setattr(vault, "_challenge", lambda _: web.json_response({"error": {}}, status=401, headers=headers))
    with pytest.raises((StoreRefused, Misconfigured, Malformed), match="SecretStore kv"):
        await client.healthy()
    assert all(not seen.authorized for seen in vault.requests)


@pytest.mark.parametrize(
    ("status", "document", "kind", "said"),
    [
        (
            401,
            login_error(700213, "canary"),
            StoreRefused,
            r"refuses the login \(AADSTS700213\). To fix: the federated credential names another subject",
        ),
        (
            401,
            login_error(7000215, "canary"),
            StoreRefused,
            r"AADSTS7000215\). To fix: AZURE_CLIENT_SECRET_FILE holds no secret of this appli",
        ),
        (400, login_error(700016, "canary"), StoreRefused, r"AADSTS700016\). To fix: AZURE_CLIENT_ID names no application"),
        (
            400,
            login_error(123456, "canary"),
            StoreRefused,
            r"AADSTS123456\). To fix: AZURE_TENANT_ID, AZURE_CLIENT_ID and the federated cred",
        ),
        (
            400,
            {"error": "invalid_request", "error_description": "AADSTS90002: canary"},
            StoreRefused,
            r"AADSTS90002\). To fix: AZURE_TENANT_ID names",
        ),
        (400, {"error": "canary"}, StoreRefused, r"refuses the login \(status 400\). To fix: AZURE_TENANT_ID"),
        (400, {"error": "x", "error_codes": ["canary"], "error_description": ["canary"]}, StoreRefused, r"\(status 400\)"),
        (403, b"canary", StoreRefused, r"refuses the login \(status 403\)"),
        (200, b"canary", Malformed, r"the login answers with something else than its API says \(200\)"),
        (200, {}, Malformed, "the answer is no token"),
        (200, {"access_token": "canary"}, Malformed, "the answer is no token"),
        (200, {"expires_in": 10}, Malformed, "the answer is no token"),
        (200, {"access_token": ["canary"], "expires_in": "x"}, Malformed, "the answer is no token"),
        (429, {"error": "canary"}, Throttled, r"the login asks for fewer calls \(429\)"),
        (503, b"canary", Unavailable, r"the login fails \(503\)"),
    ],
)
async def test_what_the_login_says_reaches_who_must_act_without_its_words(
    vault: KeyVaultServer, client: AzureKeyVault, status: int, document: object, kind: type[Exception], said: str
) -> None:
    vault.login_answers = [(status, document)] * 2
    with pytest.raises(kind, match=said) as caught:
        await client.healthy()
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"SecretStore kv: the login at {vault.url}")
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert len(vault.logins) == 1, "one try"


async def test_nothing_shows_a_credential(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.write("/tfy-secret/a/b/c", SecretValue(b"canary"))
    opened = client._opened
    assert opened is not None
    shown = repr(client) + repr(vars(client)) + repr(vars(opened)) + repr(await client.read("/tfy-secret/a/b/c"))
    assert "canary" not in shown
    assert "token-" not in shown
    assert "federated-token" not in shown


async def test_a_slow_login_is_told_as_that_and_joined_by_the_next_try(
    vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault]
) -> None:
    """The vault has answered, so its time-out would name the wrong one; the login goes on, and is not made twice."""
    go_on = vault.login_waits = asyncio.Event()
    client = open_client(vault.url, patience=replace(PATIENT, login=0.01))
    for _ in range(2):
        with pytest.raises(NotSent) as caught:
            await client.healthy()
        assert caught.value.message == f"SecretStore kv: the login at {vault.url}: no answer within 0.01 s; nothing was asked of the vault"
    while not vault.logins:
        await asyncio.sleep(0.005)
    opened = client._opened
    assert opened is not None
    (asking,) = opened._login._asking.values()
    go_on.set()
    await asyncio.wait([asking])
    await client.healthy()
    assert len(vault.logins) == 1


async def test_a_login_that_never_answers_ends_and_closing_does_not_wait_for_it(
    vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault]
) -> None:
    vault.login_waits = asyncio.Event()
    client = open_client(vault.url, patience=replace(PATIENT, login=0.01))
    with pytest.raises(NotSent):
        await client.healthy()
    opened = client._opened
    assert opened is not None
    (asking,) = opened._login._asking.values()
    await client.close()
    assert asking.cancelled() and not opened._login._asking
    vault.login_waits.set()
