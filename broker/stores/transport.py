"""How connections to outside stores are made: to vetted addresses alone, with the system's trust, no proxy, no cookies, no redirects.

Decides nothing about a store's protocol. The certificates are those of the system, or of SSL_CERT_FILE where a private CA is used.
"""

import os
import re
import socket
import ssl
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpcore
import httpx

from broker.errors import Misconfigured
from broker.stores.addresses import literal_address, refusal
from contract.fqn import shorten

CONNECTIONS = 32
# Shorter than servers keep an idle connection (uvicorn 5 s, nginx 75): a request on one that is just being closed fails, and a
# write may not be repeated.
KEEP_ALIVE_SECONDS = 4.0
# Names that are not ASCII are written as punycode: digits of other scripts would spell addresses.
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9a-fA-F:.]+")
_LOOPBACK_HINT = "To fix: another address, or, in development, TFY_SECRET_ALLOW_LOOPBACK_STORES=true"


def check_base_url(place: str, url: str, *, allow_loopback: bool) -> str:
    """The URL without trailing slashes. Raises Misconfigured."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # What follows is sent as it stands, so the URL must mean the same to every parser.
        usable = parts.port != 0 and bool(_HOST.fullmatch(host)) and not set(url) & set("?#@\\ ") and url.isascii() and url.isprintable()
    except ValueError:
        usable = False
    if not usable or parts.scheme not in ("https", "http"):
        raise Misconfigured(f"{place}: found {shorten(_without_user(url))!r}; allowed: an https URL without user, query and fragment")
    if parts.scheme == "http" and not allow_loopback:
        raise Misconfigured(
            f"{place}: found plain HTTP; allowed: https. To fix: give the store a certificate, or, in development, "
            "TFY_SECRET_ALLOW_LOOPBACK_STORES=true"
        )
    address = literal_address(host)
    reason = refusal(address, allow_loopback=allow_loopback) if address else None
    if reason:
        raise Misconfigured(f"{place}: '{host}' {reason}. {_LOOPBACK_HINT}")
    return url.rstrip("/")


def open_http(*, allow_loopback: bool, connect_seconds: float, total_seconds: float) -> httpx.AsyncClient:
    """A client that a store owns and closes. Raises Misconfigured if the system's certificates cannot be read."""
    client = httpx.AsyncClient(
        transport=_VettedTransport(allow_loopback=allow_loopback),
        timeout=httpx.Timeout(total_seconds, connect=connect_seconds),
        follow_redirects=False,
        trust_env=False,
        # Identity, because a small answer can unpack to any size.
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tfy-secret-injector"},
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _without_user(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]


def _trust() -> ssl.SSLContext:
    file = os.environ.get("SSL_CERT_FILE")
    try:
        return _trust_of(file, Path(file).stat().st_mtime_ns if file else 0)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"SSL_CERT_FILE: file {file} holds no certificates that can be read. To fix: name a PEM bundle") from error


@lru_cache(maxsize=2)
def _trust_of(file: str | None, _changed: int) -> ssl.SSLContext:
    """Shared by all stores: reading a system's 140 certificates takes some 30 ms, and stores are opened in the event loop."""
    return ssl.create_default_context(cafile=file)


class _VettedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a pool with our network backend, which httpx itself gives no way to name."""

    def __init__(self, *, allow_loopback: bool) -> None:
        trust = _trust()
        super().__init__(verify=trust, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            http1=True,
            http2=False,
            network_backend=VettedBackend(allow_loopback=allow_loopback),
        )


class VettedBackend(httpcore.AnyIOBackend):
    """Resolves a name, checks each address, and connects to the address it has checked."""

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        *rest: Any,
        **named: Any,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolve(host, port, timeout)
        for address in addresses:
            reason = refusal(ip_address(address.partition("%")[0]), allow_loopback=self._allow_loopback)
            if reason:
                raise Misconfigured(f"'{shorten(host)}' resolves to {address}, which {reason}. {_LOOPBACK_HINT}")
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await super().connect_tcp(address, port, timeout and timeout / len(addresses), *rest, **named)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


async def _resolve(host: str, port: int, timeout: float | None) -> list[str]:  # noqa: ASYNC109 - as above
    try:
        with anyio.fail_after(timeout):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout("the name is not resolved in time") from error
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name cannot be resolved") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
