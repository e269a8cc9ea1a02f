"""Where a store may be: told from the URL in every spelling, and from what its name resolves to."""

import socket
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from broker.errors import Misconfigured
from broker.stores.addresses import literal_address, refusal
from broker.stores.generic import Generic
from broker.stores.transport import check_base_url
from tests.generic_server import GenericServer

LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.255.255.254",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
]
LOOPBACK6 = [
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[::127.0.0.1]",
]
METADATA = [
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "169.254.1",
    "[fe80::1]",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "168.63.129.16",
]
NOWHERE = ["224.0.0.1", "255.255.255.255", "[ff02::1]"]
FINE = [
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "[fd12::1]",
    "8.8.8.8",
    "[2606:4700::1111]",
    "store.acme.example",
    "0x.example",
    "127.0.0.1.example",
]


@pytest.mark.parametrize("host", LOOPBACK + LOOPBACK6)
def test_the_machine_itself_is_refused_unless_allowed(host: str) -> None:
    with pytest.raises(Misconfigured, match="is this machine itself.*TFY_SECRET_ALLOW_LOOPBACK_STORES"):
        check_base_url("baseUrl", f"https://{host}/", allow_loopback=False)
    assert check_base_url("baseUrl", f"https://{host}:8443/x/", allow_loopback=True) == f"https://{host}:8443/x"


@pytest.mark.parametrize("host", METADATA + NOWHERE)
@pytest.mark.parametrize("allow", [True, False])
def test_metadata_and_multicast_are_refused_always(host: str, allow: bool) -> None:
    with pytest.raises(Misconfigured, match="metadata|no single machine"):
        check_base_url("baseUrl", f"https://{host}", allow_loopback=allow)


@pytest.mark.parametrize("host", FINE)
def test_private_networks_and_names_are_fine(host: str) -> None:
    assert check_base_url("baseUrl", f"https://{host}", allow_loopback=False) == f"https://{host}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store",
        "ftp://h",
        "https://",
        "https://u:p@h",
        "https://h?x=1",
        "https://h/?",
        "https://h#f",
        "https://h:0",
        "https://h:99999",
        "https://h h",
        "https://[::1",
        "https://h\\@g",
    ]
    + ["https://\uff11\uff12\uff17.0.0.1", "https://%31%32%37.0.0.1", "https://h/\u00e4", "https://h\n.example", "file:///etc/passwd"],
)
def test_what_is_no_plain_https_url_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="allowed: an https URL") as caught:
        check_base_url("baseUrl", url, allow_loopback=True)
    assert "u:p" not in caught.value.message


def test_plain_http_is_for_development() -> None:
    with pytest.raises(Misconfigured, match="found plain HTTP; allowed: https"):
        check_base_url("baseUrl", "http://store.example", allow_loopback=False)
    assert check_base_url("baseUrl", "http://10.200.0.1:80", allow_loopback=True)


def test_a_name_is_no_literal() -> None:
    assert literal_address("store.example") is None
    assert literal_address("fe80::1%eth0") == ip_address("fe80::1")
    assert refusal(ip_address("10.1.2.3"), allow_loopback=False) is None


async def test_a_name_that_resolves_to_the_machine_itself_is_refused_at_the_connection(
    server: GenericServer, open_generic: Callable[..., Generic]
) -> None:
    client = open_generic(f"https://localhost:{server.port}", allow_loopback=False)
    with pytest.raises(Misconfigured, match="'localhost' resolves to .*, which is this machine itself"):
        await client.read("/path")
    assert server.requests == []


async def test_the_checked_address_is_the_one_that_is_connected_to(
    server: GenericServer, open_generic: Callable[..., Generic], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that answers differently the second time gets no second time."""
    answers = iter([[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]])
    real = socket.getaddrinfo

    def resolve(host: object, *rest: object, **named: object) -> object:
        return next(answers) if host in ("store.example", b"store.example") else real(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    client = open_generic(f"http://store.example:{server.port}")
    await client.healthy()
    assert server.requests[0].headers["Host"] == f"store.example:{server.port}"
