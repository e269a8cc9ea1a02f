"""The broker's address, as the plan spells it: an https URL with a host, perhaps a port, perhaps a path before ours.

Parsed here instead of by `urllib.parse` or a pattern, each of which costs a pod's start more than the rest of this module: the
plan is made by our own webhook, so anything unusual is a fault.
"""

from contract.fqn import shorten
from contract.keys import RESOLVE_PATH
from contract.record import record

_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_SIX = frozenset("0123456789ABCDEFabcdef:.")


@record
class Endpoint:
    """`host` without brackets, as a socket and a certificate name it; `target` and `authority` as HTTP writes them."""

    host: str
    port: int
    target: str
    authority: str

    def __str__(self) -> str:
        return f"https://{self.authority}{self.target}"


def parse_endpoint(url: str) -> Endpoint:
    """Raises ValueError, which says what is allowed."""
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.removesuffix("/").partition("/")
    host, colon, digits = _host_and_port(authority)
    port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0 if colon else 443
    known = _SIX if authority.startswith("[") else _LETTERS
    if scheme != "https" or not host or not known.issuperset(host) or not 0 < port < 65536 or not (_LETTERS | {"/"}).issuperset(path):
        raise ValueError(f"found '{shorten(url)}'; allowed: an https URL such as https://broker.example:8443")
    base = f"/{path}" if path else ""
    shown = f"[{host}]" if known is _SIX else host
    return Endpoint(host, port, base + RESOLVE_PATH, shown if port == 443 else f"{shown}:{port}")


def _host_and_port(authority: str) -> tuple[str, str, str]:
    if not authority.startswith("["):
        return authority.partition(":")
    host, bracket, port = authority[1:].partition("]")
    if not bracket or (port and not port.startswith(":")):
        return "", "", ""
    return host, port[:1], port[1:]
