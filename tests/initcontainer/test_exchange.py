"""One request over real TLS: whom it trusts, what it sends, and how each failure of the network is told."""

import socket
import ssl
import time
from collections.abc import Iterator

import pytest
import trustme

from initcontainer import exchange
from initcontainer.endpoint import parse_endpoint
from initcontainer.errors import PlanBroken, Refused, Retryable, Untrusted
from initcontainer.exchange import Patience, post, trust
from tests.initcontainer.broker import BrokerStandIn, chunked, cuts, keeps_silent, resets, response, sends, status
from tests.initcontainer.conftest import server_context

PATIENT = Patience(5.0, 5.0, lambda: 60.0)


def ask(broker: BrokerStandIn, ca: str, patience: Patience = PATIENT, url: str = "", body: bytes = b"{}"):
    return post(parse_endpoint(url or broker.url), trust(ca), "the-token", body, patience)


def test_the_request_is_what_the_broker_expects(broker: BrokerStandIn, ca: str) -> None:
    broker.script = [status(200)]
    ask(broker, ca, url=broker.url + "/base", body=b'{"a":1}')
    (seen,) = broker.requests
    assert seen.line == "POST /base/v1/resolve HTTP/1.1"
    assert (seen.body, seen.token) == (b'{"a":1}', "the-token")
    assert seen.headers["host"] == f"localhost:{broker.port}"
    assert (seen.headers["connection"], seen.headers["accept-encoding"]) == ("close", "identity")


def test_proxy_variables_are_ignored(broker: BrokerStandIn, ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    broker.script = [status(200)]
    assert ask(broker, ca).status == 200


def test_a_large_answer_arrives_whole(broker: BrokerStandIn, ca: str) -> None:
    body = bytes(range(256)) * 8192
    for raw in (response(200, body), chunked(body, size=60000)):
        broker.script = [sends(raw)]
        assert ask(broker, ca).body.reveal() == body


def test_an_address_of_numbers_is_verified_too(broker: BrokerStandIn, ca: str) -> None:
    broker.script = [status(200)]
    assert ask(broker, ca, url=f"https://127.0.0.1:{broker.port}").status == 200


def test_only_the_plans_ca_is_trusted(broker: BrokerStandIn, other_authority: trustme.CA) -> None:
    broker.script = [status(200)]
    with pytest.raises(Untrusted, match="the broker's certificate is not accepted: unable to get local issuer"):
        ask(broker, other_authority.cert_pem.bytes().decode())
    assert broker.requests == []


def test_the_systems_cas_are_not_trusted(broker: BrokerStandIn, ca: str, other_authority: trustme.CA, tmp_path, monkeypatch) -> None:
    (tmp_path / "system.pem").write_text(ca)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    broker.script = [status(200)]
    with pytest.raises(Untrusted):
        ask(broker, other_authority.cert_pem.bytes().decode())


def test_one_of_several_cas_is_enough(broker: BrokerStandIn, ca: str, other_authority: trustme.CA) -> None:
    """An old CA stays in the bundle while it is replaced."""
    broker.script = [status(200)]
    assert ask(broker, other_authority.cert_pem.bytes().decode() + ca).status == 200


def test_the_hosts_name_is_checked(authority: trustme.CA, ca: str) -> None:
    broker = BrokerStandIn(server_context(authority, "another.example"))
    try:
        with pytest.raises(Untrusted, match="Hostname mismatch"):
            ask(broker, ca)
    finally:
        broker.close()


def test_old_tls_is_not_spoken(ca: str) -> None:
    assert trust(ca).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("text", ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é"])
def test_a_ca_that_is_none_is_a_broken_plan(text: str) -> None:
    with pytest.raises(PlanBroken, match="plan.ca"):
        trust(text)


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        pytest.param(resets, "cannot be reached", id="a-reset"),
        pytest.param(cuts(b""), "UNEXPECTED_EOF", id="cut-before-an-answer"),
        pytest.param(cuts(response(200, b"hello")[:-2]), "UNEXPECTED_EOF", id="cut-inside-the-body"),
        pytest.param(cuts(b"HTTP/1.1 200 OK\r\n\r\nhello"), "UNEXPECTED_EOF", id="a-cut-is-not-the-end-of-a-body"),
        pytest.param(sends(b""), "in the middle of its answer", id="closed-without-an-answer"),
        pytest.param(sends(response(200, b"hello")[:-2]), "in the middle of its answer", id="half-a-body"),
    ],
)
def test_a_connection_that_breaks_is_tried_again(broker: BrokerStandIn, ca: str, behaviour, told: str) -> None:
    broker.script = [behaviour]
    with pytest.raises(Retryable, match=told):
        ask(broker, ca)


def test_garbage_is_final(broker: BrokerStandIn, ca: str) -> None:
    broker.script = [sends(b"\x00\x01garbage\r\n\r\n")]
    with pytest.raises(Refused, match="does not answer in HTTP"):
        ask(broker, ca)


def test_silence_is_bounded(broker: BrokerStandIn, ca: str) -> None:
    broker.script = [keeps_silent]
    with pytest.raises(Retryable, match="did not answer in time"):
        ask(broker, ca, Patience(5.0, 0.05, lambda: 60.0))


def test_dripping_is_bounded_by_the_deadline(broker: BrokerStandIn, ca: str) -> None:
    """A byte now and then keeps each read happy, not the deadline."""

    def drips(connection, seen) -> None:
        for _ in range(100):
            connection.sendall(b"H")
            time.sleep(0.01)

    broker.script = [drips]
    end = time.monotonic() + 0.15
    with pytest.raises(Retryable, match="did not answer in time"):
        ask(broker, ca, Patience(5.0, 5.0, lambda: end - time.monotonic()))


def test_a_handshake_that_never_comes_is_bounded(ca: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(Retryable, match="did not answer in time"):
        post(parse_endpoint(f"https://127.0.0.1:{deaf.getsockname()[1]}"), trust(ca), "t", b"", Patience(0.05, 5.0, lambda: 60.0))


def test_nobody_there_is_tried_again(ca: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Retryable, match="cannot be reached: Connection refused"):
        post(parse_endpoint(f"https://127.0.0.1:{port}"), trust(ca), "t", b"", PATIENT)


def test_a_name_that_does_not_resolve_is_tried_again(ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Service may be younger than the pod. (The resolver is replaced: no test asks the network.)"""

    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(exchange.socket, "getaddrinfo", unknown)
    with pytest.raises(Retryable, match="Name or service not known"):
        post(parse_endpoint("https://broker.invalid"), trust(ca), "t", b"", PATIENT)


def test_a_resolver_that_hangs_is_bounded(ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange.socket, "getaddrinfo", lambda *_, **__: time.sleep(0.3))
    with pytest.raises(Retryable, match="did not answer in time"):
        post(parse_endpoint("https://broker.invalid"), trust(ca), "t", b"", Patience(0.05, 5.0, lambda: 60.0))
    time.sleep(0.3)  # the look-up's thread ends before the next test


@pytest.fixture
def plain_server() -> Iterator[int]:
    """A server that does not speak TLS."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_server_without_tls_is_told(plain_server: int, ca: str) -> None:
    with pytest.raises(Retryable, match="WRONG_VERSION_NUMBER"):
        post(parse_endpoint(f"https://127.0.0.1:{plain_server}"), trust(ca), "t", b"", PATIENT)


def test_an_address_that_refuses_gives_way_to_the_next(broker: BrokerStandIn, ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """localhost may be ::1 first, where nobody listens."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (1, broker.port)]
    monkeypatch.setattr(exchange.socket, "getaddrinfo", lambda *_, **__: found)
    broker.script = [status(200)]
    assert ask(broker, ca).status == 200
