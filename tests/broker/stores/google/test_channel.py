"""Where the connection goes, under which name, what it trusts, and what happens when it breaks."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import trustme

from broker.errors import BrokerError, Misconfigured, NotSent, Unavailable
from broker.stores.google import channel as module
from broker.stores.google.channel import Endpoint, Patience, channel_options, target_of
from contract.values import SecretValue
from tests.broker.stores.google.conftest import Open
from tests.broker.stores.google.server import Fault, SecretManager
from tests.broker.stores.google.wire import TcpProxy

PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
NAME = "tfy-secret__acme__payments__DB_PASSWORD"


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Names lead to these addresses; gives the list of names that were looked up."""

    def use(*answers: list[str]) -> list[str]:
        """One answer after another, the last one for ever."""
        waiting, asked = list(answers), []

        async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            asked.append(host)
            addresses = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "canary")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        return asked

    return use


# --- where it goes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://127.0.0.1:9", "is this machine itself"),
        ("https://0x7f000001", "is this machine itself"),
        ("https://2130706433", "is this machine itself"),
        ("https://[::ffff:127.0.0.1]", "is this machine itself"),
        ("https://169.254.169.254", "is link-local"),
        ("https://[fd20:ce::254]", "is a cloud's metadata service"),
        ("http://secretmanager.example", "found plain HTTP; allowed: https"),
        ("https://user@secretmanager.example", "allowed: an https URL without user"),
        ("https://secretmanager.example/v1", "found a path; allowed: https://<host>"),
    ],
)
async def test_addresses_that_no_store_may_have_are_refused_at_once(open_google: Open, url: str, text: str) -> None:
    with pytest.raises(Misconfigured, match=f"SecretStore gsm: endpoint.*{text}"):
        open_google(url, allow_loopback=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "fd20:ce::254", "0.0.0.0", "64:ff9b::a9fe:a9fe"])
async def test_a_name_that_leads_there_is_refused_before_a_connection(
    open_google: Open, resolve: Callable[..., list[str]], server: SecretManager, address: str
) -> None:
    """Also when a good address stands beside it: gRPC would try both."""
    resolve(["198.51.100.1", address])
    client = open_google(f"https://secretmanager.example:{server.port}", allow_loopback=False)
    with pytest.raises(Misconfigured, match=f"endpoint: 'secretmanager.example' resolves to {address}, which is "):
        await client.read(PATH)
    assert server.seen == []


async def test_dns_that_changes_its_mind_is_looked_at_each_time(
    open_google: Open, resolve: Callable[..., list[str]], server: SecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolve(["127.0.0.1"], ["169.254.169.254"])
    client = open_google(f"http://secretmanager.example:{server.port}")
    await client.healthy()
    await client.healthy()
    assert len(asked) == 1
    monkeypatch.setattr(module, "RESOLVE_SECONDS", 0.0)
    client._connection.doubt(broken=False)
    for _ in range(2):
        with pytest.raises(Misconfigured, match="resolves to 169.254.169.254, which is link-local"):
            await client.healthy()
    assert len(server.seen) == 2


async def test_the_hosts_setting_holds(open_google: Open, resolve: Callable[..., list[str]]) -> None:
    with pytest.raises(Misconfigured, match="'secretmanager.googleapis.com' is outside of what TFY_SECRET_STORE_HOSTS allows"):
        open_google(None, allow_loopback=False, hosts=("*.example",))
    resolve(["203.0.113.7"])
    client = open_google("https://secretmanager.other", allow_loopback=False, hosts=("10.0.0.0/8",))
    with pytest.raises(Misconfigured, match="resolves to 203.0.113.7, which is outside of what TFY_SECRET_STORE_HOSTS allows"):
        await client.healthy()


async def test_a_name_that_leads_nowhere_was_not_asked(open_google: Open, resolve: Callable[..., list[str]]) -> None:
    resolve([])
    with pytest.raises(NotSent, match="'secretmanager.example' cannot be resolved$"):
        await open_google("http://secretmanager.example").healthy()


async def test_names_that_cannot_be_resolved_for_a_while_stop_nobody(
    open_google: Open, resolve: Callable[..., list[str]], server: SecretManager
) -> None:
    asked = resolve(["127.0.0.1"], [])
    client = open_google(f"http://secretmanager.example:{server.port}")
    for _ in range(3):
        await client.healthy()
        client._connection.doubt(broken=False)
    assert len(asked) == 3


async def test_a_name_that_is_not_resolved_in_time(open_google: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    with pytest.raises(NotSent, match="'secretmanager.example' is not resolved in time"):
        await open_google("http://secretmanager.example", resolve=0.05).healthy()


async def test_addresses_that_move_are_followed_and_calls_under_way_end_well(
    open_google: Open, resolve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call on the old connection gets its answer, though the connection is retired meanwhile."""
    async with SecretManager() as old, SecretManager() as new, TcpProxy(old.port) as proxy, TcpProxy(new.port, "127.0.0.2", proxy.port):
        resolve(["127.0.0.1"], ["127.0.0.2"])
        client = open_google(f"http://secretmanager.example:{proxy.port}")
        old.put(NAME, b"x")
        old.faults = [Fault(wait=0.2)]
        slow = asyncio.create_task(client.read(PATH))
        while not old.seen:
            await asyncio.sleep(0.005)
        client._connection.doubt(broken=False)
        await client.healthy()
        assert (len(old.seen), len(new.seen), proxy.open) == (1, 1, 1)
        assert (await slow).version == "1"
        async with asyncio.timeout(3):
            while proxy.open:  # nobody uses it any more
                await asyncio.sleep(0.01)
        await client.close()


async def test_proxies_of_the_environment_are_not_used(open_google: Open, server: SecretManager, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await open_google(server.url).healthy()


def test_options_leave_names_proxies_and_retries_to_us() -> None:
    options = dict(channel_options(Endpoint.parse("https://secretmanager.example"), Patience()))
    assert options["grpc.default_authority"] == options["grpc.ssl_target_name_override"] == "secretmanager.example"
    assert [options[f"grpc.{name}"] for name in ("enable_http_proxy", "enable_retries")] == [0, 0]
    assert options["grpc.service_config_disable_resolution"] == 1
    assert Endpoint.parse("https://[2001:db8::1]:8443/").authority == "[2001:db8::1]:8443"
    assert Endpoint.parse("http://127.0.0.1") == Endpoint("127.0.0.1", 80, False)


def test_targets_are_addresses_of_the_family_that_is_reached_best() -> None:
    assert target_of(["192.0.2.1", "2001:db8::1", "192.0.2.2"], 443) == "ipv4:192.0.2.1:443,192.0.2.2:443"
    assert target_of(["2001:db8::1", "192.0.2.1"], 8443) == "ipv6:[2001:db8::1]:8443"


# --- what it trusts ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


def credentials(ca: trustme.CA, name: str) -> grpc.ServerCredentials:
    issued = ca.issue_cert(name)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])


@asynccontextmanager
async def metadata(token: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """With TLS the client logs in: here at a metadata server of ours."""
    from tests.broker.stores.google.token_server import TokenServer

    async with TokenServer() as tokens:
        tokens.token = token
        monkeypatch.setenv("GCE_METADATA_HOST", tokens.host)
        yield


async def test_tls_under_the_endpoints_own_name(
    ca: trustme.CA, trusted: None, open_google: Open, resolve: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is to an address; the certificate is checked against the name."""
    async with SecretManager(credentials(ca, "secretmanager.example"), "secretmanager.example") as server, metadata("t0ken", monkeypatch):
        server.tokens = {"t0ken"}
        resolve(["127.0.0.1"])
        client = open_google(server.url)
        await client.write(PATH, SecretValue(b"x"))
        assert (await client.read(PATH)).value == SecretValue(b"x")


@pytest.mark.parametrize("case", ["unknown-ca", "another-name"])
async def test_a_certificate_that_does_not_hold_is_told_and_nothing_sent(
    ca: trustme.CA,
    open_google: Open,
    request: pytest.FixtureRequest,
    case: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if case == "another-name":
        request.getfixturevalue("trusted")
    async with (
        SecretManager(credentials(ca, "other.example" if case == "another-name" else "localhost")) as server,
        metadata("t", monkeypatch),
    ):
        with pytest.raises(Misconfigured, match="the endpoint's certificate is not accepted. To fix: .* SSL_CERT_FILE"):
            await open_google(server.url).write(PATH, SecretValue(b"x"))
        assert server.seen == []
    assert capfd.readouterr().err == ""


async def test_a_system_without_certificates_is_told(open_google: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(Misconfigured, match="SSL_CERT_FILE: file .*ca.pem"):
        await open_google("https://localhost:9").healthy()


def test_the_systems_folder_of_certificates_is_read_where_there_is_no_bundle(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    monkeypatch.setattr(module, "system_trust", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: ssl.DefaultVerifyPaths(None, str(tmp_path), "", "", "", ""))
    with pytest.raises(Misconfigured, match="this system has no certificates"):
        module.trusted_pem()
    ca.cert_pem.write_to_path(tmp_path / "9f533f8b.0")
    assert module.trusted_pem().strip() == ca.cert_pem.bytes().strip()


# --- when it breaks ----------------------------------------------------------------------------------------------


async def test_no_connection_is_not_sent_and_soon_tried_again(open_google: Open, server: SecretManager) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = open_google(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(NotSent, match="the endpoint cannot be reached"):
            await client.write(PATH, SecretValue(b"x"))
        port = free.getsockname()[1]
    async with TcpProxy(server.port, port=port), asyncio.timeout(3):
        while True:
            try:
                await client.healthy()
                break
            except NotSent:
                await asyncio.sleep(0.05)
        await client.close()


@pytest.mark.parametrize("cut", [0, 5, 60], ids=["before-anything", "in-the-settings", "in-the-answer"])
async def test_a_connection_that_is_reset_is_unavailable_and_the_next_call_works(
    open_google: Open, server: SecretManager, cut: int
) -> None:
    server.put(NAME, b"canary" * 10_000)
    async with TcpProxy(server.port) as proxy:
        client = open_google(proxy.url)
        proxy.cut = cut
        with pytest.raises(Unavailable) as caught:
            await client.read(PATH)
        assert "canary" not in str(caught.value)
        proxy.cut = None
        async with asyncio.timeout(3):
            while True:
                try:
                    assert (await client.read(PATH)).version == "1"
                    break
                except Unavailable:
                    await asyncio.sleep(0.05)
        await client.close()


async def test_a_connection_that_leads_nowhere_is_left(open_google: Open, server: SecretManager) -> None:
    """TCP would find out after a quarter of an hour."""
    server.put(NAME, b"x")
    async with TcpProxy(server.port) as proxy:
        client = open_google(proxy.url, call=0.3)
        await client.read(PATH)
        proxy.stuck = True
        with pytest.raises(Unavailable, match="DEADLINE_EXCEEDED"):
            await client.read(PATH)
        proxy.stuck = False
        assert (await client.read(PATH)).version == "1"
        assert proxy.connections == 2
        await client.close()


async def test_another_protocol_is_unavailable(open_google: Open) -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary")
        writer.close()

    async with await asyncio.start_server(http, "127.0.0.1", 0) as other:
        client = open_google(f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}", call=1.0)
        with pytest.raises(BrokerError) as caught:
            await client.read(PATH)
        assert isinstance(caught.value, Unavailable)
        assert "canary" not in str(caught.value)
        await client.close()


async def test_one_connection_serves_many_calls(open_google: Open, server: SecretManager) -> None:
    server.put(NAME, b"x")
    async with TcpProxy(server.port) as proxy:
        client = open_google(proxy.url)
        await asyncio.gather(*(client.read(PATH) for _ in range(50)))
        assert proxy.connections == 1
        await client.close()


# --- what it leaves ----------------------------------------------------------------------------------------------

ALONE = """
import asyncio, gc, os, sys, threading
from pathlib import Path
from broker.stores.addresses import Reach
from broker.stores.google.client import GoogleSecretManager
from contract.resources import SecretStore
async def main(url):
    client = GoogleSecretManager(SecretStore("s", "a/g/s", "googleSecretManager", {"project": "acme-prod", "endpoint": url}), reach=Reach(True))
    await client.healthy()
    await client.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        print("left", task)
asyncio.run(main(sys.argv[1]), debug=False)
gc.collect()
print(*(thread.name for thread in threading.enumerate()), sep=", ")
"""


async def test_nothing_is_left_and_nothing_printed(server: SecretManager) -> None:
    """Whatever the environment says about gRPC's traces, which would print what is sent."""
    root = Path(__file__).parents[4]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "GRPC_TRACE": "all", "GRPC_VERBOSITY": "DEBUG", "PYTHONDEVMODE": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", ALONE, server.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (out.decode().strip(), err.decode()) == ("MainThread", "")


async def test_threads_of_a_closed_client_end(open_google: Open, server: SecretManager) -> None:
    await open_google(server.url).healthy()
    before = threading.active_count()
    for _ in range(3):
        client = open_google(server.url)
        await client.healthy()
        await client.close()
    gc.collect()
    assert threading.active_count() <= before


def test_google_is_not_loaded_until_a_store_names_it() -> None:
    code = "import sys, broker.serve, broker.cli; print(*sorted({'grpc', 'google', 'google_crc32c', 'proto'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4])
    assert done.stdout.strip() == ""
