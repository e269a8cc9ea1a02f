"""How connections to outside stores are made: to vetted addresses alone, with the system's trust, no proxy, no cookies, no redirects.

Decides nothing about a store's protocol. The certificates are those of the system, or of SSL_CERT_FILE where a private CA is used.
"""

import os
import socket
import ssl
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import httpcore
import httpx

from broker.errors import Misconfigured
from broker.stores.addresses import Reach
from contract.fqn import shorten

CONNECTIONS = 32
# Shorter than servers keep an idle connection (uvicorn 5 s, nginx 75): a request on one that is just being closed fails, and a
# write may not be repeated.
KEEP_ALIVE_SECONDS = 4.0


def open_http(*, reach: Reach, connect_seconds: float, total_seconds: float) -> httpx.AsyncClient:
    """A client that a store owns and closes. Raises Misconfigured if the system's certificates cannot be read."""
    client = httpx.AsyncClient(
        transport=_VettedTransport(reach=reach),
        timeout=httpx.Timeout(total_seconds, connect=connect_seconds),
        follow_redirects=False,
        trust_env=False,
        # Identity, because a small answer can unpack to any size.
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tfy-secret-injector"},
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def system_trust() -> ssl.SSLContext:
    """The authorities that stores' certificates are checked with; SSL_CERT_FILE names others. Raises Misconfigured."""
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

    def __init__(self, *, reach: Reach) -> None:
        trust = system_trust()
        super().__init__(verify=trust, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust,
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            http1=True,
            http2=False,
            network_backend=VettedBackend(reach=reach),
        )


class VettedBackend(httpcore.AnyIOBackend):
    """Resolves a name, checks each address, and connects to the address it has checked."""

    def __init__(self, *, reach: Reach) -> None:
        self._reach = reach

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
            self._reach.check_address(f"'{shorten(host)}' resolves to {address}, which", host, ip_address(address.partition("%")[0]))
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
