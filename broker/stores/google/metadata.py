"""Tokens from Google's metadata server: GKE workload identity, and the service account of a Compute Engine machine.

It has a link-local address, where no store may be; so it has a transport of its own that reaches nothing else. GCE_METADATA_HOST,
the variable that Google's libraries know, may name the server otherwise, or a loopback address in development.
"""

import json
import os
import re
import time
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import quote

from broker.errors import Malformed, Misconfigured, NotSent
from broker.stores.addresses import Address, Reach
from broker.stores.google.exchange import LoginHttp
from broker.stores.google.login import SCOPES, Token
from contract.fqn import shorten
from contract.values import SecretValue

VARIABLE = "GCE_METADATA_HOST"
DEFAULT_HOST = "169.254.169.254"
ADDRESSES = frozenset(map(ip_address, (DEFAULT_HOST, "fd20:ce::254")))
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_PATH = f"/computeMetadata/v1/instance/service-accounts/default/token?scopes={quote(','.join(SCOPES), safe='')}"
_FLAVOR = "Metadata-Flavor"
_HINT = (
    "To fix: on GKE, workload identity for the broker's Kubernetes service account (and roles/iam.workloadIdentityUser if it stands for a "
    "Google service account); elsewhere, a credential file in GOOGLE_APPLICATION_CREDENTIALS"
)


class MetadataReach(Reach):
    """The metadata server's addresses and no others; with `allow_loopback` loopback ones too."""

    __slots__ = ()

    def check_url(self, place: str, url: str) -> str:  # noqa: ARG002 - the address that it leads to decides
        return url

    def check_address(self, place: str, host: str, address: Address) -> None:  # noqa: ARG002
        if address not in ADDRESSES and not (self.allow_loopback and address.is_loopback):
            raise Misconfigured(f"{VARIABLE}: '{shorten(host)}' is not Google's metadata server. To fix: remove the variable")


class MetadataServer:
    """A Source. `clock` is in seconds since 1970."""

    def __init__(self, place: str, host: str, http: LoginHttp, clock: Callable[[], float] = time.time) -> None:
        self._place, self._url, self._http, self._clock = place, f"http://{host}{_PATH}", http, clock

    @classmethod
    def from_environ(cls, place: str, reach: Reach, seconds: float) -> "MetadataServer":
        """Raises Misconfigured."""
        host = os.environ.get(VARIABLE) or DEFAULT_HOST
        if not _HOST.fullmatch(host):
            raise Misconfigured(f"{place}: {VARIABLE}: found {shorten(host)!r}; allowed: a host, or host:port")
        return cls(place, host, LoginHttp(place, MetadataReach(reach.allow_loopback), seconds))

    def changed(self) -> bool:
        return False

    async def token(self) -> Token:
        try:
            answer = await self._http.send("GET", self._url, headers={_FLAVOR: "Google"}, hint=_HINT)
        except NotSent as error:
            raise NotSent(f"{error.message}: no metadata server answers. {_HINT}") from None
        if answer.headers.get(_FLAVOR) != "Google":
            raise Malformed(f"{self._place}: what answers at the metadata server's address is not Google's. {_HINT}")
        return self._parsed(answer.data)

    async def close(self) -> None:
        await self._http.close()

    def _parsed(self, body: bytes) -> Token:
        try:
            found = json.loads(body)
            return Token(SecretValue(found["access_token"].encode("ascii")), self._clock() + float(found["expires_in"]))
        except (ValueError, KeyError, TypeError, AttributeError):  # they may quote the answer
            pass
        raise Malformed(f"{self._place}: the metadata server's answer holds no token")
