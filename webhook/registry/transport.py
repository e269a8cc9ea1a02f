"""HTTP to registries: bounded in size, time and redirects; TLS everywhere but on localhost; aiohttp's exceptions stop here.

Whoever writes a pod names the host that is asked, so nothing of an answer may come back to them but its status, plain HTTP goes
to localhost only if the registry itself is there, and an Authorization header never leaves the origin that it was made for.
Leaves out HTTP proxies. Exceptions are mapped outside of `except`, so that none of aiohttp's, which hold request headers, is chained.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy
from yarl import URL

from contract.fqn import shorten
from webhook.registry.errors import LookupFailed, LookupReason, NoTls
from webhook.registry.trust import Trust

CONNECTIONS, CONNECTIONS_PER_HOST = 32, 8  # one registry that hangs leaves the others three quarters
REDIRECTS = (301, 302, 303, 307, 308)
MAX_REDIRECTS = 5  # a registry, its mirror's choice of a region, its storage: three are seen in the wild
SMALL = 262_144  # bytes; all but a few manifests and configurations are smaller
LARGE_AT_ONCE = 2  # of those that are not, so that hostile images cannot fill the memory: 16 MiB at most


@dataclass(frozen=True, slots=True)
class Request:
    """`limit` is the largest body that is read. `local`: localhost may be asked in plain HTTP. Headers are not in the repr."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    limit: int
    local: bool
    form: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is empty unless the status is 200. `elsewhere`: another origin than the one that was asked gave it."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes = field(repr=False)
    elsewhere: bool = False


class Transport:
    """One session for all registries."""

    def __init__(self, trust: Trust, timeout: float, resolver: AbstractResolver | None = None) -> None:
        self._trust, self._resolver = trust, resolver
        # half of the whole time for a connection or a silence, so that a dead address leaves time for the next one
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout / 2, sock_read=timeout / 2)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._opened: aiohttp.ClientSession | None = None

    async def fetch(self, request: Request, redirects: int = MAX_REDIRECTS) -> Answer:
        """Follow redirects, and send no Authorization to another origin. Raises LookupFailed."""
        asked = request
        for _ in range(redirects + 1):
            answer = await self._once(asked)
            if answer.status not in REDIRECTS:
                return replace(answer, elsewhere=asked.url.origin() != request.url.origin())
            asked = _redirected(asked, answer)
        host = request.url.host
        raise LookupFailed(
            LookupReason.MALFORMED, f"'{host}' redirects more than {redirects} times" if redirects else f"'{host}' redirects"
        )

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _once(self, request: Request) -> Answer:
        secure = check(request.url, request.local)
        tls = await self._trust.context() if secure else True
        try:
            async with self._session().request(
                request.method, request.url, headers=request.headers, data=request.form, ssl=tls, allow_redirects=False
            ) as response:
                return await self._answer(response, request)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failed = _failure(error, request)
        raise failed

    async def _answer(self, response: aiohttp.ClientResponse, request: Request) -> Answer:
        """Other bodies than those asked for are read a little, which keeps the connection, and thrown away."""
        if response.status != 200:
            await _read(response, bytearray(), SMALL)
            return Answer(response.status, response.headers, b"")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise LookupFailed(LookupReason.MALFORMED, f"'{request.url.host}' answers compressed, which it was asked not to")
        body = bytearray()
        if request.method != "HEAD" and (response.content_length or 0) > request.limit:
            raise _too_large(request)
        if not await _read(response, body, min(SMALL, request.limit)):
            async with self._large:
                if not await _read(response, body, request.limit):
                    raise _too_large(request)
        return Answer(200, response.headers, bytes(body))

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, limit_per_host=CONNECTIONS_PER_HOST, resolver=self._resolver)
            self._opened = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "tfy-secret-injector", "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._opened


def is_local(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def check(url: URL, local: bool) -> bool:
    """Whether it is https. Raises LookupFailed for what must not be asked."""
    if url.scheme == "https" and url.host and not url.user and not url.password:
        return True
    if url.scheme == "http" and local and is_local(url.host):
        return False
    sentence = (
        f"'{shorten(f'{url.scheme}://{url.host}')}' would be asked without TLS; allowed: https, and http only for a registry on localhost"
    )
    raise LookupFailed(LookupReason.INSECURE, sentence, "serve the registry over TLS")


def _redirected(request: Request, answer: Answer) -> Request:
    """Signed URLs must stay as they are written, hence `encoded`."""
    try:
        target = request.url.join(URL(answer.headers.get("Location", ""), encoded=True)).with_fragment(None)
        same = target.origin() == request.url.origin()
    except ValueError:
        target, same = request.url, False
    if target == request.url:
        raise LookupFailed(LookupReason.MALFORMED, f"'{request.url.host}' redirects to nowhere")
    kept = {name: value for name, value in request.headers.items() if same or name != "Authorization"}
    return replace(request, url=target, headers=kept)


async def _read(response: aiohttp.ClientResponse, body: bytearray, limit: int) -> bool:
    """Whether it ended within the limit."""
    while len(body) <= limit:
        chunk = await response.content.readany()
        if not chunk:
            return True
        body += chunk
    return False


def _too_large(request: Request) -> LookupFailed:
    return LookupFailed(LookupReason.TOO_LARGE, f"'{request.url.host}' sends more than the {request.limit} bytes that are read")


def _failure(error: Exception, request: Request) -> LookupFailed:
    host = request.url.host_port_subcomponent  # a registry of its own often has a port of its own
    if isinstance(error, TimeoutError):
        return LookupFailed(LookupReason.TIMEOUT, f"'{host}' did not answer in time")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        fix = "name its CA in TFY_SECRET_REGISTRY_CA_FILE, or correct the certificate"
        return LookupFailed(LookupReason.INSECURE, f"the certificate of '{host}' is not trusted{_verdict(error)}", fix)
    if request.url.scheme == "https" and isinstance(error, (aiohttp.ClientConnectionError, OSError)) and request.local:
        return NoTls(LookupReason.UNREACHABLE, f"'{host}' cannot be reached")
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return LookupFailed(LookupReason.INSECURE, f"'{host}' does not speak TLS as it must", "serve the registry over TLS 1.2 or newer")
    if isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)):
        return LookupFailed(LookupReason.UNREACHABLE, f"'{host}' cannot be reached ({type(error).__name__})")
    return LookupFailed(LookupReason.MALFORMED, f"'{host}' does not answer as HTTP prescribes ({type(error).__name__})")


def _verdict(error: aiohttp.ClientConnectorCertificateError) -> str:
    """OpenSSL's word: expired, another name, an unknown CA."""
    cause = error.certificate_error
    return f" ({cause.verify_message})" if isinstance(cause, ssl.SSLCertVerificationError) else ""
