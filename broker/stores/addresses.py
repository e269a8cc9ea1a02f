"""Which addresses a secret store may have: none of the machine's own, none that hand out the machine's credentials.

Private networks are where stores live and are allowed; a setting may narrow that to named hosts and networks. Checked twice: the
host as it is written, in every spelling of an IP address that a resolver takes (127.1, 0x7f.1, 2130706433, ::ffff:127.0.0.1), so
that a bad manifest is told at once; and each address that the name resolves to, right before the connection is made to that very
address, so that DNS cannot change its mind.
"""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from broker.errors import Misconfigured
from contract.fqn import shorten

Address = IPv4Address | IPv6Address

# Services of clouds that give credentials or configuration to whoever asks from inside; those within 169.254/16 are link-local.
_METADATA = (
    ip_network("fd00:ec2::/32"),  # AWS: metadata (::254), and the agent that gives pods their credentials (::23)
    ip_network("fd20:ce::254"),  # Google
    ip_network("100.100.100.200"),  # Alibaba
    ip_network("168.63.129.16"),  # Azure
    ip_network("192.0.0.192"),  # Oracle
)
# Names that mean one of these wherever they resolve; elsewhere they resolve to nothing, which would look like an outage.
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})
# Networks whose last four bytes are an IPv4 address, which a translator or the kernel turns them into.
_IPV4_INSIDE = (
    ip_network("64:ff9b::/96"),  # NAT64
    ip_network("64:ff9b:1::/48"),  # NAT64 of one's own
    ip_network("::ffff:0:0:0/96"),  # SIIT
)
_THIS_NETWORK = ip_network("0.0.0.0/8")  # Linux connects 0.0.0.0 to itself
# Names that are not ASCII are written as punycode: digits of other scripts would spell addresses.
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9a-fA-F:.]+")
_ITSELF, _METADATA_SERVICE = "is this machine itself", "is a cloud's metadata service"
_FIX = "To fix: another address"


@dataclass(frozen=True, slots=True)
class Reach:
    """Where stores may be. `hosts`: names, `*.name` for all below one, and networks such as 10.0.0.0/8; none given: anywhere."""

    allow_loopback: bool = False
    hosts: tuple[str, ...] = ()

    def check_url(self, place: str, url: str) -> str:
        """The URL without trailing slashes, for a store to be reached at. Raises Misconfigured."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
            # What follows is sent as it stands, so the URL must mean the same to every parser.
            usable = (
                parts.port != 0 and bool(_HOST.fullmatch(host)) and not set(url) & set("?#@\\ ") and url.isascii() and url.isprintable()
            )
        except ValueError:
            usable = False
        if not usable or parts.scheme not in ("https", "http"):
            raise Misconfigured(f"{place}: found {shorten(_without_user(url))!r}; allowed: an https URL without user, query and fragment")
        if parts.scheme == "http" and not self.allow_loopback:
            raise Misconfigured(
                f"{place}: found plain HTTP; allowed: https. To fix: give the store a certificate, or, in development, "
                "TFY_SECRET_ALLOW_LOOPBACK_STORES=true"
            )
        address = literal_address(host)
        if address is not None:
            self.check_address(f"{place}: '{host}'", host, address)
        elif host.lower().removesuffix(".") in _METADATA_NAMES:
            raise Misconfigured(f"{place}: '{host}' {_METADATA_SERVICE}. {_FIX}")
        elif not self._named(host) and not self._networks():
            raise Misconfigured(f"{place}: '{shorten(host)}' {self._outside}")
        return url.rstrip("/")

    def check_address(self, place: str, host: str, address: Address) -> None:
        """Raises Misconfigured for an address not to connect to. `host` resolves to it or spells it; `place` begins the sentence."""
        reason = refusal(address, allow_loopback=self.allow_loopback)
        if reason:
            development = ", or, in development, TFY_SECRET_ALLOW_LOOPBACK_STORES=true" if reason == _ITSELF else ""
            raise Misconfigured(f"{place} {reason}. {_FIX}{development}")
        inner = _inner(address)
        if self.hosts and not self._named(host) and not any(inner in network for network in self._networks()):
            raise Misconfigured(f"{place} {self._outside}")

    def _named(self, host: str) -> bool:
        name = host.lower().removesuffix(".")
        return not self.hosts or any(
            name.endswith(known[1:].lower()) if known.startswith("*.") else name == known.lower() for known in self.hosts
        )

    def _networks(self) -> list[IPv4Network | IPv6Network]:
        return [ip_network(known) for known in self.hosts if _is_network(known)]

    @property
    def _outside(self) -> str:
        return (
            f"is outside of what TFY_SECRET_STORE_HOSTS allows: {', '.join(self.hosts)}. To fix: another address, or add it to the setting"
        )


def parse_host(text: str) -> str:
    """One entry of `Reach.hosts`. Raises ValueError."""
    if _is_network(text) or re.fullmatch(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?", text):
        return text
    raise ValueError("allowed: hosts such as vault.example, *.amazonaws.com or 10.0.0.0/8")


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _without_user(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]


def literal_address(host: str) -> Address | None:
    """The IP address that a host is a spelling of; None: a name, which only a resolver can tell."""
    host = host.removeprefix("[").removesuffix("]").removesuffix(".")
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))  # the resolver's own reading of decimal, octal, hexadecimal and short forms
    except OSError:
        return None


def refusal(address: Address, *, allow_loopback: bool) -> str | None:
    """Why a store may not be there, as the end of a sentence; None: it may."""
    inner = _inner(address)
    if inner.is_loopback or inner.is_unspecified or inner in _THIS_NETWORK:
        return None if allow_loopback else _ITSELF
    if inner.is_link_local:
        return "is link-local, where clouds serve their metadata"
    if any(inner in network for network in _METADATA):
        return _METADATA_SERVICE
    if inner.is_multicast or inner == IPv4Address("255.255.255.255"):
        return "is no single machine"
    return None


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _IPV4_INSIDE):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    compatible = IPv4Address(int(address)) if 1 < int(address) < 2**32 else None
    return address.ipv4_mapped or address.sixtofour or teredo or compatible or address
