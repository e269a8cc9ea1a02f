"""The generic client against a real server that misbehaves: that one call is one try, what each fault is called, what is never shown."""

import asyncio
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme
import ssl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from broker.stores.exchange import MAX_ANSWER_BYTES
from broker.stores.generic import Generic
from contract.values import SecretValue
from contract.wire import MAX_VALUE_BYTES
from tests.generic_server import Fault, GenericServer

CREDENTIAL = "canary-credential-7f3a"
PATH = "/tfy-secret/acme/payments/DB_PASSWORD"
VALUE = SecretValue(b"canary-value-2b6e")
Open = Callable[..., Generic]


def ok(document: object) -> Fault:
    return Fault(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


# --- the contract on the wire ------------------------------------------------------------------------------------


async def test_requests_are_what_the_contract_says(generic: Generic, server: GenericServer) -> None:
    path = "/a b/\u00e4?&#%+="
    await generic.write(path, VALUE)
    await generic.read(path)
    await generic.read(path, "1")
    await generic.delete(path, "1")
    encoded = "%2Fa%20b%2F%C3%A4%3F%26%23%25%2B%3D"
    assert [(seen.method, seen.target) for seen in server.requests] == [
        ("PUT", "/secrets"),
        ("GET", f"/secrets?path={encoded}"),
        ("GET", f"/secrets?path={encoded}&version=1"),
        ("DELETE", "/secrets"),
    ]
    assert [seen.headers.get("Content-Type") for seen in server.requests] == ["application/json", None, None, "application/json"]
    assert all(seen.headers["X-Store-Key"] == CREDENTIAL for seen in server.requests)
    assert all(seen.headers["Accept-Encoding"] == "identity" for seen in server.requests)


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        pytest.param("3", ['"3"', "3"], id="a-count"),
        pytest.param("03", ['"03"'], id="a-leading-zero"),
        pytest.param("v3", ['"v3"'], id="a-name"),
        pytest.param("9" * 200, [f'"{"9" * 200}"'], id="digits-past-any-count"),
    ],
)
async def test_a_refused_version_is_sent_again_as_a_number_if_it_can_be_one(
    generic: Generic, server: GenericServer, monkeypatch: pytest.MonkeyPatch, version: str, sent: list[str]
) -> None:
    bodies: list[str] = []
    monkeypatch.setattr(server, "delete", lambda body: bodies.append(json.dumps(body["version"])) or (400, {}))
    with pytest.raises(InvalidRequest):
        await generic.delete(PATH, version)
    assert bodies == sent


@pytest.mark.parametrize("slash", ["", "/", "//"], ids=["bare", "slash", "slashes"])
async def test_a_base_url_may_have_a_path(open_generic: Open, slash: str) -> None:
    async with GenericServer({"X-Store-Key": CREDENTIAL}, prefix="/team/v1") as server:
        client = open_generic(server.url + slash)
        await client.write(PATH, VALUE)
        assert (await client.read(PATH)).value == VALUE
        assert server.requests[0].target == "/team/v1/secrets"
        await client.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), min_size=1, max_size=5))
def test_any_text_survives_json(texts: list[str]) -> None:
    """Both spellings that servers use: escaped and not; one way through our own encoder, the other through our decoder."""
    from broker.stores.exchange import Answer
    from broker.stores.generic import document, put_body

    for text in texts:
        sent = json.loads(put_body("p", PATH, SecretValue(text.encode())))
        assert sent == {"path": PATH, "value": text}
        for escaped in (True, False):
            assert document(Answer(200, "", None, json.dumps({"value": text}, ensure_ascii=escaped).encode())) == {"value": text}


async def test_bytes_that_are_no_text_are_refused_before_they_are_sent(generic: Generic, server: GenericServer) -> None:
    for value in (b"\xff", b"\xed\xa0\x80", b"ok\xc3"):
        with pytest.raises(InvalidRequest, match="not UTF-8"):
            await generic.write(PATH, SecretValue(value))
    assert server.requests == []


async def test_a_version_may_be_a_number(generic: Generic, server: GenericServer) -> None:
    for version, name in ((7, "7"), ("v-7", "v-7"), (1.5, "1.5"), (10**20, "100000000000000000000")):
        server.faults = [ok({"version": version, "more": []})]
        assert await generic.write(PATH, VALUE) == name


@pytest.mark.parametrize(
    "document",
    [{}, {"version": None}, {"version": True}, {"version": ""}, {"version": ["1"]}, [], "1", {"version": "a\nb"}, {"version": "x" * 300}],
)
async def test_a_put_without_a_version_is_malformed(generic: Generic, server: GenericServer, document: object) -> None:
    server.faults = [ok(document)]
    with pytest.raises(Malformed, match="names no 'version'"):
        await generic.write(PATH, VALUE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"canary"',
        b"{}",
        b'{"value": null}',
        b'{"value": 12345}',
        b'{"value": true}',
        b'{"value": {"a": "canary"}}',
        b'{"value": "canary\\ud800"}',
    ]
    + [
        b'{"value": "canary',
        b"<html>canary",
        b"\xff\xfe\x00",
        b'{"value": "a", "value": "canary"}',
        b"[" * 200000,
        b'{"value": NaN}',
        '{"value": "canary"}'.encode("utf-16"),
    ],
    ids=range(17),
)
async def test_an_answer_without_text_is_malformed_and_not_shown(generic: Generic, server: GenericServer, body: bytes) -> None:
    server.faults = [Fault(200, {}, body)]
    with pytest.raises(Malformed, match="no text in 'value'") as caught:
        await generic.read(PATH)
    assert "canary" not in caught.value.message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "a decoder's exception would hold the body"


# --- statuses ----------------------------------------------------------------------------------------------------

STATUSES: list[tuple[int, type[BrokerError]]] = [
    (204, Malformed),
    (301, Misconfigured),
    (302, Misconfigured),
    (307, Misconfigured),
    (400, InvalidRequest),
    (401, StoreRefused),
    (403, StoreRefused),
    (404, NotFound),
    (405, Malformed),
    (413, TooLarge),
    (418, Malformed),
    (429, Throttled),
    (500, Unavailable),
    (502, Unavailable),
    (503, Unavailable),
    (504, Unavailable),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
async def test_each_status_has_its_error_and_no_echo(
    generic: Generic, server: GenericServer, status: int, error: type[BrokerError]
) -> None:
    """The store's text may quote the request: nothing of it goes on."""
    echo = Fault(
        status, {"Location": f"http://other.example/{CREDENTIAL}", "X-Echo": CREDENTIAL}, b"" if status == 204 else CREDENTIAL.encode()
    )
    calls = [lambda: generic.read(PATH)]
    if status != 204:
        calls += [lambda: generic.write(PATH, VALUE), lambda: generic.delete(PATH, "3")]
    for call in calls:
        server.faults = [echo]
        with pytest.raises(error) as caught:
            await call()
        assert type(caught.value) is error
        assert "SecretStore test" in caught.value.message
        assert PATH in caught.value.message
        assert "canary" not in caught.value.message + repr(caught.value)
        server.faults = []


async def test_a_redirect_is_not_followed(generic: Generic, server: GenericServer) -> None:
    server.faults = [Fault(302, {"Location": "/secrets?path=elsewhere"})]
    with pytest.raises(Misconfigured, match=r"a redirect \(302\), which is not followed. To fix: put the final URL in baseUrl"):
        await generic.read(PATH)
    assert len(server.requests) == 1


# --- one try -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Fault(429), Throttled, id="429"),
        pytest.param(Fault(500), Unavailable, id="500"),
        pytest.param(Fault(502), Unavailable, id="502"),
        pytest.param(Fault(503, {"Retry-After": "1"}), Unavailable, id="503"),
        pytest.param(Fault(504), Unavailable, id="504"),
        pytest.param(Fault(reset=True), Unavailable, id="reset"),
        pytest.param(Fault(raw=b""), Unavailable, id="closed"),
        pytest.param(Fault(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), Unavailable, id="half-a-body"),
        pytest.param(Fault(raw=b"nonsense\r\n\r\n"), Unavailable, id="not-http"),
        pytest.param(Fault(404), NotFound, id="404"),
    ],
)
async def test_each_call_is_one_try(generic: Generic, server: GenericServer, fault: Fault, error: type[BrokerError]) -> None:
    """Another try is the guard's to make. What may have arrived is not NotSent: a write must not be repeated then."""
    await generic.write(PATH, VALUE)
    for call in (lambda: generic.read(PATH), lambda: generic.write(PATH, VALUE), lambda: generic.delete(PATH), generic.healthy):
        server.faults = [fault]
        server.requests.clear()
        if call == generic.healthy and error is NotFound:
            continue
        with pytest.raises(error) as caught:
            await call()
        assert type(caught.value) is error
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "told"),
    [("60", 60.0), ("nonsense", None), ("-1", None), ("", None), ("9" * 40, None), ("Thu, 01 Jan 2015 00:00:00 GMT", 0.0), ("1.5", None)],
)
@pytest.mark.parametrize(("status", "error"), [(429, Throttled), (503, Unavailable)])
async def test_retry_after_reaches_the_caller(
    generic: Generic, server: GenericServer, header: str, told: float | None, status: int, error: type[Throttled | Unavailable]
) -> None:
    server.faults = [Fault(status, {"Retry-After": header})]
    with pytest.raises(error) as caught:
        await generic.read(PATH)
    assert caught.value.retry_after == told


async def test_retry_after_may_be_a_date(generic: Generic, server: GenericServer) -> None:
    server.faults = [Fault(503, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)})]
    with pytest.raises(Unavailable) as caught:
        await generic.read(PATH)
    assert caught.value.retry_after is not None
    assert 1 < caught.value.retry_after <= 3


async def test_a_refused_connection_has_sent_nothing(open_generic: Open) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        client = open_generic(f"http://127.0.0.1:{taken.getsockname()[1]}")
        for call in (client.read(PATH), client.write(PATH, VALUE), client.delete(PATH), client.healthy()):
            with pytest.raises(NotSent, match=r"cannot be reached \(ConnectError\)") as caught:
                await call
            assert caught.value.__context__ is None, "the library's exception holds the request and its headers"


async def test_a_name_that_does_not_resolve_is_unavailable(open_generic: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(NotSent, match="cannot be reached"):
        await open_generic("https://store.example").read(PATH)


# --- time and size -----------------------------------------------------------------------------------------------


async def test_a_slow_answer_ends_at_the_deadline(open_generic: Open, server: GenericServer) -> None:
    client = open_generic(server.url, total=0.1)
    server.faults = [Fault(200, wait=5)]
    with pytest.raises(Unavailable, match=r"no answer"):
        await client.read(PATH)
    assert len(server.requests) == 1


async def test_a_body_that_trickles_ends_at_the_deadline(open_generic: Open) -> None:
    """Each byte comes in time, so only a deadline over all of it helps."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as slow:
        client = open_generic(f"http://127.0.0.1:{slow.sockets[0].getsockname()[1]}", total=0.15)
        async with asyncio.timeout(2):  # the deadline holds, not only its message
            with pytest.raises(Unavailable, match="no answer within 0.15 s"):
                await client.read(PATH)
        await client.close()
        await asyncio.sleep(0.03)


async def test_a_huge_answer_is_not_read_to_its_end(open_generic: Open) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while sent < 20 * MAX_ANSWER_BYTES:
                writer.write(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
                await writer.drain()
                sent += 0x100000
        except ConnectionError:
            pass
        writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as endless:
        client = open_generic(f"http://127.0.0.1:{endless.sockets[0].getsockname()[1]}")
        with pytest.raises(TooLarge, match="more than 8388608 bytes"):
            await client.read(PATH)
        await client.close()
        await asyncio.sleep(0.01)
    assert sent < 3 * MAX_ANSWER_BYTES


async def test_a_value_of_the_largest_size_fits_in_any_spelling_and_no_larger_one(generic: Generic, server: GenericServer) -> None:
    server.faults = [Fault(200, {}, b'{"value": "' + rb"\u0001" * MAX_VALUE_BYTES + b'"}')]
    assert len((await generic.read(PATH)).value) == MAX_VALUE_BYTES
    server.faults = [ok({"value": "m" * (MAX_VALUE_BYTES + 1)})]
    with pytest.raises(TooLarge, match="found a value of 1048577 bytes"):
        await generic.read(PATH)


async def test_a_packed_answer_is_not_unpacked(generic: Generic, server: GenericServer) -> None:
    import gzip

    server.faults = [Fault(200, {"Content-Encoding": "gzip"}, gzip.compress(b'{"value": "x"}'))]
    with pytest.raises(Malformed):
        await generic.read(PATH)


# --- the rest ----------------------------------------------------------------------------------------------------


async def test_cookies_are_not_kept(generic: Generic, server: GenericServer) -> None:
    server.faults = [Fault(400, {"Set-Cookie": "session=1; Path=/"})]
    await generic.healthy()
    await generic.healthy()
    assert "Cookie" not in server.requests[1].headers


async def test_the_environments_proxy_is_not_used(server: GenericServer, open_generic: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await open_generic(server.url).healthy()
    assert len(server.requests) == 1


async def test_connections_are_used_again(generic: Generic, server: GenericServer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: (opened.append(1), real(*a, **k))[1])
    for _ in range(5):
        await generic.healthy()
    assert len(opened) <= 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, None),
        (404, None),
        (200, None),
        (401, StoreRefused),
        (403, StoreRefused),
        (429, Throttled),
        (500, Unavailable),
        (301, Misconfigured),
    ],
)
async def test_health_is_asked_without_a_path(
    generic: Generic, server: GenericServer, status: int, error: type[BrokerError] | None
) -> None:
    server.faults = [Fault(status)]
    if error is None:
        await generic.healthy()
    else:
        with pytest.raises(error):
            await generic.healthy()
    assert server.requests[0].target == "/secrets"


async def test_versions_are_unsupported_without_a_call(generic: Generic, server: GenericServer) -> None:
    with pytest.raises(Unsupported):
        await generic.versions(PATH)
    assert server.requests == []


async def test_logs_show_no_value_and_no_credential(generic: Generic, server: GenericServer, caplog: pytest.LogCaptureFixture) -> None:
    """At every level, of httpx and httpcore too."""
    caplog.set_level("DEBUG")
    await generic.write(PATH, VALUE)
    await generic.read(PATH)
    server.faults = [Fault(500, {}, CREDENTIAL.encode())]
    with pytest.raises(Unavailable):
        await generic.read(PATH)
    assert caplog.records, "the libraries log at this level"
    assert "canary" not in caplog.text


# --- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def server_context(ca: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


async def test_a_private_ca_is_named_in_ssl_cert_file(ca: trustme.CA, trusted: None, open_generic: Open) -> None:
    async with GenericServer({"X-Store-Key": CREDENTIAL}, tls=server_context(ca, "localhost")) as server:
        client = open_generic(server.url)
        await client.write(PATH, VALUE)
        assert (await client.read(PATH)).value == VALUE
        await client.close()


@pytest.mark.parametrize("case", ["unknown-ca", "another-name"])
async def test_a_certificate_that_does_not_hold_is_told_and_nothing_sent(
    ca: trustme.CA, open_generic: Open, request: pytest.FixtureRequest, case: str
) -> None:
    if case == "another-name":
        request.getfixturevalue("trusted")
    name = "other.example" if case == "another-name" else "localhost"
    async with GenericServer(tls=server_context(ca, name)) as server:
        client = open_generic(server.url)
        with pytest.raises(Misconfigured, match="the store's certificate is not accepted: .*(issuer|mismatch)"):
            await client.write(PATH, VALUE)
        assert server.requests == []
        await client.close()


def test_a_bundle_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_generic: Open) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(Misconfigured, match="SSL_CERT_FILE: file .*missing.pem"):
        open_generic("https://store.example")
