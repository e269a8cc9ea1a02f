"""Where a store may be: told from the URL in every spelling, and from what its name resolves to."""

import socket
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from broker.errors import Misconfigured, Unavailable
from broker.stores.addresses import Reach, literal_address, parse_host, refusal
from broker.stores.generic import Generic
from tests.generic_server import Fault, GenericServer

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
    "[64:ff9b:1::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",  # Teredo of 127.0.0.1
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
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1:0:0:0:a9fe:a9fe]",
    "[::ffff:0:169.254.169.254]",
    "[2002:a9fe:a9fe::1]",
    "0xA9.0376.43518",
    "[fe80::a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[fd00:ec2::23]",
    "[fd20:ce::254]",
    "192.0.0.192",
    "100.100.100.200",
    "168.63.129.16",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata.goog",
    "instance-data.ec2.internal",
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
        Reach(allow_loopback=False).check_url("baseUrl", f"https://{host}/")
    assert Reach(allow_loopback=True).check_url("baseUrl", f"https://{host}:8443/x/") == f"https://{host}:8443/x"


@pytest.mark.parametrize("host", METADATA + NOWHERE)
@pytest.mark.parametrize("allow", [True, False])
def test_metadata_and_multicast_are_refused_always(host: str, allow: bool) -> None:
    with pytest.raises(Misconfigured, match="(metadata|no single machine).*To fix: another address$"):
        Reach(allow_loopback=allow).check_url("baseUrl", f"https://{host}")


@pytest.mark.parametrize("host", FINE)
def test_private_networks_and_names_are_fine(host: str) -> None:
    assert Reach(allow_loopback=False).check_url("baseUrl", f"https://{host}") == f"https://{host}"


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
        Reach(allow_loopback=True).check_url("baseUrl", url)
    assert "u:p" not in caught.value.message


def test_plain_http_is_for_development() -> None:
    with pytest.raises(Misconfigured, match="found plain HTTP; allowed: https"):
        Reach(allow_loopback=False).check_url("baseUrl", "http://store.example")
    assert Reach(allow_loopback=True).check_url("baseUrl", "http://10.200.0.1:80")


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


@pytest.mark.parametrize("other", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:169.254.169.254", "fd00:ec2::254", "64:ff9b::7f00:1"])
async def test_a_name_with_one_address_that_no_store_may_have_is_refused_whole(
    open_generic: Callable[..., Generic], monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Which of them is connected to would be chance, or the resolver's will."""
    family = socket.AF_INET6 if ":" in other else socket.AF_INET
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.255.255.1", 443)),
        (family, socket.SOCK_STREAM, 6, "", (other, 443, 0, 0)[: 4 if ":" in other else 2]),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    client = open_generic("https://store.example", allow_loopback=False)
    with pytest.raises(Misconfigured, match="SecretStore test: 'store.example' resolves to .*, which is"):
        await client.read("/path")


async def test_what_a_name_resolves_to_is_looked_at_for_each_connection(
    server: GenericServer, open_generic: Callable[..., Generic], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that was fine when the store was opened, and for its first call, is not trusted for the next connection."""
    addresses = iter(["127.0.0.1", "169.254.169.254"])
    real = socket.getaddrinfo

    def resolve(host: object, *rest: object, **named: object) -> object:
        return real(next(addresses) if host in ("store.example", b"store.example") else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    client = open_generic(f"http://store.example:{server.port}")
    await client.healthy()
    server.faults.append(Fault(reset=True))
    with pytest.raises(Unavailable):
        await client.read("/path")
    with pytest.raises(Misconfigured, match="SecretStore test: 'store.example' resolves to 169.254.169.254, which is link-local"):
        await client.read("/path")
    assert len(server.requests) == 2


HOSTS = ("*.vault.example", "10.0.0.0/8", "store.example")


@pytest.mark.parametrize("host", ["store.example", "STORE.example.", "a.vault.example", "a.b.vault.example", "10.1.2.3"])
def test_a_host_that_the_setting_names_is_fine(host: str) -> None:
    assert Reach(hosts=HOSTS).check_url("baseUrl", f"https://{host}")


@pytest.mark.parametrize("host", ["11.1.2.3", "0x0b.1.2.3"])
def test_an_address_outside_of_the_setting_is_refused(host: str) -> None:
    with pytest.raises(Misconfigured, match="outside of what TFY_SECRET_STORE_HOSTS allows"):
        Reach(hosts=HOSTS).check_url("baseUrl", f"https://{host}")


@pytest.mark.parametrize("host", ["other.example", "vault.example", "evilstore.example", "store.example.evil"])
def test_a_name_that_the_setting_does_not_name_is_judged_by_what_it_resolves_to(host: str) -> None:
    """With networks among the hosts it may resolve into one of them; without, it is refused as it is written."""
    reach = Reach(hosts=HOSTS)
    assert reach.check_url("baseUrl", f"https://{host}")
    reach.check_address("x", host, ip_address("10.9.9.9"))
    with pytest.raises(Misconfigured, match="outside"):
        reach.check_address("x", host, ip_address("11.9.9.9"))
    with pytest.raises(Misconfigured, match="outside"):
        Reach(hosts=("*.vault.example", "store.example")).check_url("baseUrl", f"https://{host}")


def test_the_setting_opens_nothing_that_is_refused_anyway() -> None:
    with pytest.raises(Misconfigured, match="metadata"):
        Reach(hosts=("169.254.0.0/16",)).check_url("baseUrl", "https://169.254.169.254")


@pytest.mark.parametrize("text", ["https://a", "a b", "*", "*.", "10.0.0.0/99", "a/b", ""])
def test_what_is_no_host_is_refused_in_the_setting(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: hosts such as"):
        parse_host(text)
