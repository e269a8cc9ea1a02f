"""How the gRPC connection is made: to vetted addresses alone, under the endpoint's own name, without proxies and without retries.

gRPC would resolve the name itself, later and again, to addresses that nobody has checked. So the name is resolved here, every
address must be one that a store may have, and gRPC is given these addresses, with the name for TLS and the authority beside them.
They are looked up again every minute, and after a failure; a connection that let a call time out is not used again.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.errors import Misconfigured, NotSent
from broker.stores.addresses import Reach
from broker.stores.transport import system_trust
from contract.fqn import shorten

# Before grpc is imported, which reads them once. Its traces print requests and answers, so not even the environment may turn them on.
os.environ.update(GRPC_VERBOSITY="NONE", GRPC_TRACE="", GRPC_ENABLE_FORK_SUPPORT="0")
for _proxy in ("GRPC_ADDRESS_HTTP_PROXY", "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES"):
    os.environ.pop(_proxy, None)

import grpc.aio  # noqa: E402

RESOLVE_SECONDS = 60.0
IDLE_SECONDS = 240.0  # shorter than clouds' NAT gateways forget an idle connection (AWS 350 s)
MAX_ANSWER_BYTES = 1024 * 1024  # a value is at most 64 KiB, a page of versions some 100 KiB


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. Name, login and call, one after the other, end before the broker gives up on all of it (8 s)."""

    resolve: float = 1.0
    login: float = 2.5
    connect: float = 2.5  # within the call
    call: float = 4.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the service is. `tls` is False in development alone."""

    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """Of a URL that Reach has checked. Raises ValueError for one with a path, which gRPC does not have."""
        parts = urlsplit(url)
        if parts.path.strip("/"):
            raise ValueError("gRPC has no path")
        tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if tls else 80), tls)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


@dataclass(slots=True)
class _Line:
    """An open channel, what was made on it, and how many calls use it: a retired one is closed by its last user."""

    channel: grpc.aio.Channel
    service: Any
    target: str
    users: int = 0


class Connection:
    """A gRPC channel that is made when first needed, and made anew when addresses change. Used in one event loop.

    `make` gives the service's client on a channel.
    """

    def __init__(
        self, place: str, endpoint: Endpoint, make: Callable[[grpc.aio.Channel], Any], *, reach: Reach, patience: Patience
    ) -> None:
        self._place, self._endpoint, self._make, self._reach, self._patience = place, endpoint, make, reach, patience
        self._line: _Line | None = None
        self._resolve_at = 0.0
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def service(self) -> AsyncIterator[Any]:
        """Raises Misconfigured for an address where no store may be, NotSent for a name that leads nowhere."""
        line = await self._current()
        line.users += 1
        try:
            yield line.service
        finally:
            line.users -= 1
            if line is not self._line and line.users == 0:
                self._close(line)

    def doubt(self, *, broken: bool) -> None:
        """After a failure: look the name up again before the next call. `broken`: nothing came back, so take another connection too."""
        self._resolve_at = 0.0
        if broken:
            self._retire()

    async def close(self) -> None:
        self._retire()
        while self._closing:
            await asyncio.gather(*self._closing)

    async def _current(self) -> _Line:
        async with self._opening:
            now = asyncio.get_running_loop().time()
            if self._line is None:
                self._line = self._open(await self._target())
                self._resolve_at = now + RESOLVE_SECONDS
            elif now >= self._resolve_at:
                await self._follow(self._line)
                self._resolve_at = now + RESOLVE_SECONDS
            return self._line

    async def _follow(self, line: _Line) -> None:
        """To where the name leads now. While nobody can say, where it led is as good."""
        try:
            target = await self._target()
        except NotSent:
            return
        if target != line.target:
            self._retire()
            self._line = self._open(target)

    async def _target(self) -> str:
        return target_of(await self._addresses(), self._endpoint.port)

    async def _addresses(self) -> list[str]:
        host, port = self._endpoint.host, self._endpoint.port
        try:
            async with asyncio.timeout(self._patience.resolve):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise NotSent(f"{self._place}: '{shorten(host)}' is not resolved in time") from None
        except (OSError, UnicodeError):
            raise NotSent(f"{self._place}: '{shorten(host)}' cannot be resolved") from None
        addresses = list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))
        for address in addresses:
            self._reach.check_address(f"{self._place}: endpoint: '{shorten(host)}' resolves to {address}, which", host, ip_address(address))
        if not addresses:
            raise NotSent(f"{self._place}: '{shorten(host)}' has no address")
        return addresses

    def _open(self, target: str) -> _Line:
        options = channel_options(self._endpoint, self._patience)
        if self._endpoint.tls:
            channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(trusted_pem()), options=options)
        else:
            channel = grpc.aio.insecure_channel(target, options=options)
        return _Line(channel, self._make(channel), target)

    def _retire(self) -> None:
        """Calls that are under way may end; nothing new begins."""
        line, self._line = self._line, None
        if line is not None and line.users == 0:
            self._close(line)

    def _close(self, line: _Line) -> None:
        task = asyncio.get_running_loop().create_task(line.channel.close(), name="close a gRPC channel")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def target_of(addresses: list[str], port: int) -> str:
    """gRPC takes addresses of one family; the resolver puts first the one that this machine reaches best (RFC 6724)."""
    version = ip_address(addresses[0]).version
    family = [address for address in addresses if ip_address(address).version == version]
    return f"ipv{version}:" + ",".join(f"[{address}]:{port}" if version == 6 else f"{address}:{port}" for address in family)


def channel_options(endpoint: Endpoint, patience: Patience) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.default_authority", endpoint.authority),
        ("grpc.primary_user_agent", "tfy-secret-injector"),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.use_local_subchannel_pool", 1),  # closing a channel closes its connections
        ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
        ("grpc.client_idle_timeout_ms", int(IDLE_SECONDS * 1000)),
        # How long one try to connect may take, and how soon the next may follow: the broker's own retries decide about waiting.
        ("grpc.min_reconnect_backoff_ms", int(patience.connect * 1000)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
    return [*options, ("grpc.ssl_target_name_override", endpoint.host)] if endpoint.tls else options


def trusted_pem() -> bytes:
    """The authorities of the system, or those in SSL_CERT_FILE, as gRPC takes them. Raises Misconfigured."""
    found = system_trust().get_ca_certs(binary_form=True)
    if found:
        return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode()
    folder = ssl.get_default_verify_paths().capath  # where OpenSSL looks only when it needs one
    made = b"\n".join(file.read_bytes() for file in sorted(Path(folder).glob("*.[0-9]"))) if folder else b""
    if not made:
        raise Misconfigured("SSL_CERT_FILE: is not set, and this system has no certificates. To fix: name a PEM bundle")
    return made
