"""How connections to outside stores are made: to vetted addresses alone, with the system's trust, no proxy, no cookies, no redirects.

Decides nothing about a store's protocol. The certificates are those of the system, or of SSL_CERT_FILE where a private CA is used,
or of a file that the SecretStore names.
"""

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol

import anyio
import httpcore
import httpx

from broker.errors import Misconfigured
from broker.stores.addresses import Reach
from broker.stores.credential_file import Signature, signature
from contract.fqn import shorten

CONNECTIONS = 32
# Shorter than servers keep an idle connection (uvicorn 5 s, nginx 75): a request on one that is just being closed fails, and a
# write may not be repeated.
KEEP_ALIVE_SECONDS = 4.0


def open_http(*, reach: Reach, connect_seconds: float, total_seconds: float, trust: "Trust | None" = None) -> httpx.AsyncClient:
    """A client that a store owns and closes. Raises Misconfigured if the system's certificates cannot be read."""
    client = httpx.AsyncClient(
        transport=_VettedTransport(reach, trust or SystemTrust(system_trust())),
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


class Trust(Protocol):
    """Whose certificates are accepted. `current` gives the same context for as long as the same ones are."""

    def current(self) -> ssl.SSLContext: ...


@dataclass(frozen=True, slots=True)
class SystemTrust:
    """As it was when the store was opened."""

    context: ssl.SSLContext

    def current(self) -> ssl.SSLContext:
        return self.context


class FileTrust:
    """The authorities of one file and no others, read again when it changes. `label` is the manifest's field that names it."""

    def __init__(self, label: str, file: str) -> None:
        self._label, self._file = label, Path(file)
        self._known: tuple[Signature, ssl.SSLContext] | None = None

    def current(self) -> ssl.SSLContext:
        """Raises Misconfigured if the file cannot be used now."""
        try:
            found = signature(self._file.stat())
            if self._known is None or self._known[0] != found:
                self._known = (found, ssl.create_default_context(cafile=self._file))
        except (OSError, ssl.SSLError) as error:
            self._known = None
            raise Misconfigured(
                f"{self._label}: file {self._file} holds no certificates that can be read. To fix: put the CA's certificate there, as PEM"
            ) from error
        return self._known[1]


class _VettedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a pool with our network backend, which httpx itself gives no way to name.

    A pool trusts what it was made with, so another trust is another pool; the old one is closed when its last request is done.
    """

    def __init__(self, reach: Reach, trust: Trust) -> None:
        super().__init__(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)  # trusts no one, and is never used
        self._reach, self._trust = reach, trust
        self._trusted: ssl.SSLContext | None = None
        self._retired: list[httpcore.AsyncConnectionPool] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        trusted = self._trust.current()
        if trusted is not self._trusted:
            self._retired.append(self._pool)
            self._pool, self._trusted = self._open_pool(trusted), trusted
        if self._retired:
            await self._close_retired()
        return await super().handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._retired:
            await pool.aclose()
        await super().aclose()

    async def _close_retired(self) -> None:
        done = [pool for pool in self._retired if all(connection.is_idle() or connection.is_closed() for connection in pool.connections)]
        self._retired = [pool for pool in self._retired if pool not in done]
        for pool in done:
            await pool.aclose()

    def _open_pool(self, trusted: ssl.SSLContext) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=trusted,
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            http1=True,
            http2=False,
            network_backend=VettedBackend(reach=self._reach),
        )


class VettedBackend(httpcore.AnyIOBackend):
    """Resolves a name, checks each address, and connects to the address it has checked.

    Those who want the same name share one lookup: a resolver that hangs holds one of the few threads that all stores look names up in,
    not one for each call.
    """

    def __init__(self, *, reach: Reach) -> None:
        self._reach = reach
        self._lookups: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        *rest: Any,
        **named: Any,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port, timeout)
        for address in addresses:
            self._reach.check_address(f"'{shorten(host)}' resolves to {address}, which", host, ip_address(address.partition("%")[0]))
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await super().connect_tcp(address, port, timeout and timeout / len(addresses), *rest, **named)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _resolve(self, host: str, port: int, timeout: float | None) -> list[str]:  # noqa: ASYNC109 - as above
        lookup = self._lookups.get((host, port))
        if lookup is None:
            lookup = self._lookups[host, port] = asyncio.get_running_loop().create_task(_addresses(host, port))
            lookup.add_done_callback(lambda done: self._looked_up((host, port), done))
        try:
            with anyio.fail_after(timeout):
                return await asyncio.shield(lookup)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name is not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error

    def _looked_up(self, name: tuple[str, int], done: asyncio.Task[list[str]]) -> None:
        del self._lookups[name]
        if not done.cancelled():
            done.exception()  # those who waited for it may have gone


async def _addresses(host: str, port: int) -> list[str]:
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
