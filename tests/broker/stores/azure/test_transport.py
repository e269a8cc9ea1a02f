"""How requests leave: tried once, to this vault alone, and nothing of them in a log."""

import logging
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest
import trustme

from broker.errors import BrokerError, Malformed, Misconfigured, NotFound, NotSent, StoreRefused, Throttled, TooLarge, Unavailable
from broker.stores.addresses import Reach
from broker.stores.azure.client import AzureKeyVault
from contract.values import SecretValue
from tests.broker.stores.azure.opening import QUICK, environment, key_vault
from tests.broker.stores.azure.server import KeyVaultServer
from tests.broker.stores.faults import FaultyProxy, Half
from tests.generic_server import Fault, GenericServer

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
JSON = {"Content-Type": "application/json"}
CANARY = "canary-5d1e"


@pytest.mark.parametrize(
    ("fault", "kind", "said", "wait"),
    [
        (Fault(status=429, headers={"Retry-After": "7"}), Throttled, r"the vault asks for fewer calls \(429\)", 7.0),
        (Fault(status=429, headers=JSON, body=b'{"error": {"code": "canary"}}'), Throttled, r"fewer calls \(429\)", None),
        (Fault(status=500), Unavailable, r"the vault fails \(500\)", None),
        (Fault(status=503, headers={"Retry-After": "3"}), Unavailable, r"the vault fails \(503\)", 3.0),
        (
            Fault(status=302, headers={"Location": "https://169.254.169.254/canary"}),
            Misconfigured,
            r"a redirect \(302\), which is not followed",
            None,
        ),
        (Fault(status=308, headers={"Location": "/secrets/x/"}), Misconfigured, r"a redirect \(308\), which is not followed", None),
        (Fault(status=404, body=b"<html>canary</html>"), NotFound, r"no such secret or version \(404\)", None),
        (
            Fault(status=403, headers={"Content-Type": "text/html"}, body=b"<html>canary</html>"),
            StoreRefused,
            r"may not do this \(403\)",
            None,
        ),
        (Fault(status=403, headers=JSON | {"Retry-After": "1"}, body=b"{}"), StoreRefused, r"may not do this \(403\)", None),
        (Fault(status=418), Malformed, "found status 418, which Key Vault's API does not have", None),
        (Fault(status=200, headers=JSON, body=b"canary"), Malformed, r"something else than its API says \(200\)", None),
        (Fault(status=200, headers=JSON, body=b'["canary"]'), Malformed, r"something else than its API says \(200\)", None),
        (Fault(status=200, headers=JSON, body=b"[" * 100_000), Malformed, r"something else than its API says \(200\)", None),
        (
            Fault(status=200, headers={"Content-Type": "text/html"}, body=b"<html>"),
            Malformed,
            r"something else than its API says \(200\)",
            None,
        ),
        (
            Fault(status=200, headers=JSON | {"Content-Encoding": "gzip"}, body=b"{}"),
            Malformed,
            r"answers with a packed body, which was not asked for",
            None,
        ),
        (
            Fault(status=200, headers=JSON, body=b'{"value": "' + b"x" * 1_100_000 + b'"}'),
            TooLarge,
            "answers with more than 1048576 bytes",
            None,
        ),
        (Fault(raw=b"canary\r\n\r\n"), Unavailable, "the connection to the vault was lost, or its answer is not HTTP", None),
        (Fault(raw=b""), Unavailable, "the connection to the vault was lost", None),
        (Fault(reset=True), Unavailable, "the connection to the vault was lost", None),
        (Half(), Unavailable, "the connection to the vault was lost", None),
    ],
)
async def test_each_fault_has_its_error_after_one_try(
    vault: KeyVaultServer,
    proxy: FaultyProxy,
    proxied: AzureKeyVault,
    fault: Fault | Half,
    kind: type[BrokerError],
    said: str,
    wait: float | None,
) -> None:
    version = await proxied.write(PATH, SecretValue(CANARY.encode()))
    proxy.requests.clear()
    proxy.faults = [fault]
    with pytest.raises(kind, match=said) as caught:
        await proxied.read(PATH, version)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"SecretStore kv: path '{PATH}' version '{version}'")
    assert getattr(caught.value, "retry_after", None) == wait
    assert "canary" not in repr(caught.value)
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert len(proxy.requests) == (2 if kind is NotFound else 1), "one try; a 404 is followed by a look at what the vault keeps"
    assert (await proxied.read(PATH)).value == SecretValue(CANARY.encode())


async def test_a_vault_that_does_not_answer_in_time_is_left(
    vault: KeyVaultServer, proxy: FaultyProxy, open_client: Callable[..., AzureKeyVault]
) -> None:
    client = open_client(proxy.url, patience=replace(QUICK, total=0.5))
    await client.healthy()
    proxy.faults = [Fault(wait=1.0)]
    with pytest.raises(Unavailable, match="SecretStore kv: path '.*': the vault has not done it within 0.5 s"):
        await client.read(PATH)


async def test_a_write_that_is_throttled_is_not_repeated(vault: KeyVaultServer, proxy: FaultyProxy, proxied: AzureKeyVault) -> None:
    await proxied.healthy()
    proxy.requests.clear()
    proxy.faults = [Fault(status=429, headers={"Retry-After": "2"})]
    with pytest.raises(Throttled) as caught:
        await proxied.write(PATH, SecretValue(b"x"))
    assert (caught.value.retry_after, len(proxy.requests), vault.secrets) == (2.0, 1, {})


async def test_a_vault_that_is_not_there_has_seen_nothing(open_client: Callable[..., AzureKeyVault]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://localhost:{free.getsockname()[1]}"
    with pytest.raises(NotSent, match="SecretStore kv: path '.*': the vault cannot be reached .ClientConnectorError."):
        await open_client(url).read(PATH)


async def test_a_login_that_is_not_there_is_told_as_the_login(
    vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault], environ: dict[str, str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://localhost:{free.getsockname()[1]}"
    client = open_client(vault.url, environ=environ | {"AZURE_AUTHORITY_HOST": url})
    with pytest.raises(Unavailable, match=f"SecretStore kv: the login at {url}: the login cannot be reached"):
        await client.read(PATH)


async def test_a_name_that_resolves_to_nothing_is_told(open_client: Callable[..., AzureKeyVault], monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    client = open_client("https://ours.vault.azure.net")
    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    with pytest.raises(NotSent, match="the vault cannot be reached .ClientConnectorDNSError."):
        await client.read(PATH)


async def test_a_certificate_that_is_not_trusted_is_the_operators(vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault]) -> None:
    from tests.broker.stores.azure.opening import client_trust

    client = open_client(vault.url, trust=lambda: client_trust(trustme.CA()))
    with pytest.raises(
        Misconfigured, match="the certificate of the vault is not accepted: unable to get local issuer certificate. To fix: "
    ):
        await client.read(PATH)
    assert vault.requests == []


async def test_a_certificate_for_another_name_is_the_operators(vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault]) -> None:
    client = open_client(f"https://127.0.0.2:{vault.port}")
    with pytest.raises((Misconfigured, NotSent)):
        await client.read(PATH)
    assert vault.requests == []


async def test_a_next_page_at_another_host_is_not_asked_for(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    """The library would take the vault's word for where to go on, and answer that host's challenge with a token."""
    await client.write(PATH, SecretValue(b"x"))
    async with GenericServer(tls=vault.tls) as other:
        port = other.url.rpartition(":")[2]
        for link in (
            f"https://localhost:{port}/secrets/x/versions",
            f"http://localhost:{vault.port}/secrets/x/versions",
            f"https://localhost:{vault.port}@localhost:{port}/",
            f"https://user@localhost:{vault.port}/secrets/x/versions",
            "https://169.254.169.254/metadata",
            "https://[::1",
        ):
            vault.next_link = link
            with pytest.raises(
                (Malformed, Misconfigured),
                match="SecretStore kv: path '.*': the vault names another host to go on at, which is not asked|Key Vault's API",
            ) as caught:
                await client.versions(PATH)
            assert link not in str(caught.value)
        assert other.requests == []
    assert vault.count("GET") == 6


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://127.0.0.1:8443", "vaultUrl: '127.0.0.1' is this machine itself"),
        ("https://0x7f000001", "vaultUrl: '0x7f000001' is this machine itself"),
        ("https://2130706433", "is this machine itself"),
        ("https://[::ffff:169.254.169.254]", "is link-local, where clouds serve their metadata"),
        ("https://169.254.169.254", "is link-local"),
        ("https://168.63.129.16", "is a cloud's metadata service"),
        ("https://user:canary@ours.vault.azure.net", "vaultUrl: found 'https://ours.vault.azure.net'; allowed: an https URL without user"),
        (
            "https://ours.vault.azure.net/path",
            "found 'https://ours.vault.azure.net/path'; allowed: the vault's own address, e.g. https://ours.va",
        ),
        ("https://ours.vault.azure.net?x=1", "allowed: an https URL without user, query and fragment"),
        ("http://ours.vault.azure.net", "found plain HTTP; allowed: https"),
    ],
)
def test_an_address_that_no_vault_may_have_is_told_at_once(authority: trustme.CA, url: str, said: str) -> None:
    environ = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/token"}
    with pytest.raises(Misconfigured) as caught:
        key_vault(url, authority, environ, reach=Reach())
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


def test_plain_http_is_refused_in_development_too(authority: trustme.CA) -> None:
    environ = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/token"}
    with pytest.raises(Misconfigured, match="allowed: the vault's own address, e.g. https://ours.vault.azure.net"):
        key_vault("http://127.0.0.1:1", authority, environ)


@pytest.mark.parametrize(
    ("address", "said"), [("127.0.0.1", "is this machine itself"), ("169.254.169.254", "is link-local"), ("::1", "is this machine")]
)
async def test_a_name_that_leads_where_no_store_may_be_is_refused_at_the_connection(
    vault: KeyVaultServer, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: object, address: str, said: str
) -> None:
    """The login's host is fine when it is looked at; what its name resolves to is seen at the connection alone."""
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **named: real(address, *rest, **named))
    environ = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": "/token"}
    client = key_vault(f"https://ours.vault.azure.net:{vault.port}", authority, environ, reach=Reach())
    try:
        with pytest.raises(Misconfigured, match=f"SecretStore kv: path '.*': 'ours.vault.azure.net' resolves to {address}, which {said}"):
            await client.read(PATH)
    finally:
        await client.close()
    assert vault.requests == []


async def test_a_proxy_of_the_environment_is_not_used(
    vault: KeyVaultServer, client: AzureKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with GenericServer() as other:
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        await client.write(PATH, SecretValue(b"x"))
        assert other.requests == []


async def test_no_log_holds_a_value_a_token_or_the_services_words(
    vault: KeyVaultServer,
    proxy: FaultyProxy,
    proxied: AzureKeyVault,
    caplog: pytest.LogCaptureFixture,
    environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the lowest level of every logger that there is, and with what the library offers to make it talk."""
    monkeypatch.setenv("AZURE_SDK_LOGGING_MULTIRECORD", "1")
    await proxied.healthy()
    vault.text = CANARY
    for name in [None, *logging.root.manager.loggerDict]:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
        logging.getLogger(name).manager._clear_cache()
    caplog.set_level(logging.DEBUG)
    await proxied.write(PATH, SecretValue(CANARY.encode()))
    await proxied.read(PATH)
    vault.denied["get"] = CANARY
    proxy.faults = [Fault(status=400, headers=JSON, body=b'{"error": {"code": 7, "message": "%s"}}' % CANARY.encode())]
    vault.login_answers = [(400, {"error": CANARY, "error_description": CANARY})] * 5
    vault.tokens.clear()
    for call in (proxied.read(PATH), proxied.read(PATH), proxied.versions(PATH)):
        with pytest.raises(BrokerError):
            await call
    said = "\n".join(f"{record.name} {record.getMessage()} {record.args} {record.exc_info}" for record in caplog.records)
    assert CANARY not in said
    assert "token-" not in said
    assert "federated-token" not in said
    assert "Authorization" not in said


async def test_the_librarys_loggers_say_nothing_where_an_operator_hears_all(
    vault: KeyVaultServer, client: AzureKeyVault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vault.login_answers = [(400, {"error": CANARY, "error_description": CANARY})]
    with pytest.raises(StoreRefused):
        await client.read(PATH)
    await client.healthy()
    assert [record.getMessage() for record in caplog.records if record.name.startswith(("azure", "msal", "aiohttp"))] == []


async def test_a_client_per_event_loop_leaves_nothing_open(vault: KeyVaultServer, authority: trustme.CA, tmp_path) -> None:
    for _ in range(3):
        client = key_vault(vault.url, authority, environment(vault, tmp_path))
        await client.healthy()
        await client.close()
        assert client._opened is not None
        assert client._opened._session.closed
