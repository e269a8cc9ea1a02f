"""Which addresses a secret store may have: none of the machine's own, none that hand out the machine's credentials.

Private networks are where stores live and are allowed. Checked twice: the host as it is written, in every spelling of an IP
address that a resolver takes (127.1, 0x7f.1, 2130706433, ::ffff:127.0.0.1), so that a bad manifest is told at once; and each
address that the name resolves to, right before the connection is made to that very address, so that DNS cannot change its mind.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

# Services of clouds that give credentials or configuration to whoever asks from inside; those within 169.254/16 are link-local.
_METADATA = {
    ip_address("fd00:ec2::254"),  # AWS
    ip_address("fd20:ce::254"),  # Google
    ip_address("100.100.100.200"),  # Alibaba
    ip_address("168.63.129.16"),  # Azure
    ip_address("192.0.0.192"),  # Oracle
}
_NAT64 = ip_network("64:ff9b::/96")
_THIS_NETWORK = ip_network("0.0.0.0/8")  # Linux connects 0.0.0.0 to itself


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
        return None if allow_loopback else "is this machine itself"
    if inner.is_link_local:
        return "is link-local, where clouds serve their metadata"
    if inner in _METADATA:
        return "is a cloud's metadata service"
    if inner.is_multicast or inner == IPv4Address("255.255.255.255"):
        return "is no single machine"
    return None


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    compatible = IPv4Address(int(address)) if 1 < int(address) < 2**32 else None
    return address.ipv4_mapped or address.sixtofour or teredo or compatible or address
