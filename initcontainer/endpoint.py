"""The broker's address, as the plan spells it: an https URL with a host, perhaps a port, perhaps a path before ours.

Parsed by one pattern instead of `urllib.parse`: the plan is made by our own webhook, so anything unusual is a fault.
"""

import re

from contract.fqn import shorten
from contract.keys import RESOLVE_PATH
from contract.record import record

_URL = re.compile(r"https://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*)/?")


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
    match = _URL.fullmatch(url)
    port = int(match.group(3) or 443) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError(f"found '{shorten(url)}'; allowed: an https URL such as https://broker.example:8443")
    six, name, _, base = match.groups()
    host = f"[{six}]" if six else name
    return Endpoint(six or name, port, base + RESOLVE_PATH, host if port == 443 else f"{host}:{port}")
