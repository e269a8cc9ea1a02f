"""A thin async client of the Kubernetes API: JSON in and out over one aiohttp session, errors as types.

Decides how a call is authenticated (the pod's token file, read again when it changes and on 401), how long it may take, and
which failures are worth a retry. Leaves out types for Kubernetes' objects and retries: a caller knows what it can repeat.
aiohttp is here already for the servers; a typed client library costs the webhook tens of MiB. Neither tokens nor bodies that
we send are ever in an error; what the API server says is, except about Secrets.
"""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import aiohttp
import msgspec

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
TIMEOUT = 10.0  # seconds for one call; the API server's own limit for a slow one is 60
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONNECTIONS = 32  # at most; a burst of TokenReviews shares them


class KubeError(Exception):
    """The API server did not do what was asked. `reason` is Kubernetes' word (`Forbidden`, `Invalid`), `status` 0 without an answer."""

    retryable = False

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason, self.message = status, reason, message
        super().__init__(f"{message} ({status} {reason})")


class NotFound(KubeError):
    """No such object, or no such kind: its CRD may not be installed."""


class Conflict(KubeError):
    """It exists already, or someone changed it since we read it: read again."""


class Gone(KubeError):
    """The resource version or continue token is too old: list again."""


class TooLong(KubeError):
    """The answer has more bytes than the caller takes."""


class Refused(KubeError):
    """401 or 403: the service account's token or rights."""


class Unreachable(KubeError):
    """No answer, or 429 or 5xx: try again, after `retry_after` seconds where the server named a time."""

    retryable = True
    retry_after: float | None = None


_CLASSES: dict[int, type[KubeError]] = {401: Refused, 403: Refused, 404: NotFound, 409: Conflict, 410: Gone, 429: Unreachable}


class Token(Protocol):
    """Where the bearer token comes from."""

    def read(self) -> str | None: ...

    def refresh(self) -> bool:
        """Read it again after a 401; False when that gave nothing new."""
        ...


class FixedToken:
    """A token that does not change, or none (a client certificate is in the TLS context)."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def read(self) -> str | None:
        return self._token

    def refresh(self) -> bool:
        return False


class TokenFile:
    """A projected token: the kubelet replaces the file when 80 % of its life is over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._token: str | None = None

    def read(self) -> str | None:
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                self._token, self._seen = self._path.read_text().strip(), seen
        except (OSError, ValueError):
            pass  # the last token may still do; if not, the API server's 401 says so
        return self._token

    def refresh(self) -> bool:
        before, self._seen = self._token, None
        return self.read() != before


class Kube:
    """One API server. Safe for concurrent use in one event loop; `close` when done."""

    def __init__(
        self,
        base_url: str,
        *,
        tls: ssl.SSLContext | None = None,
        token: Token | str | None = None,
        namespace: str = "default",
        timeout: float = TIMEOUT,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._tls = tls
        self._token: Token = FixedToken(token) if token is None or isinstance(token, str) else token
        self._namespace = namespace
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def in_cluster(cls, folder: Path = SERVICE_ACCOUNT, environ: Mapping[str, str] = os.environ) -> "Kube":
        """From what the kubelet gives every pod. Raises KubeError outside a cluster."""
        host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise KubeError(
                0,
                "NotInCluster",
                "KUBERNETES_SERVICE_HOST: found nothing; every pod has it. To fix: set TFY_SECRET_MANIFESTS to run without a cluster",
            )
        try:
            tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
            namespace = (folder / "namespace").read_text().strip()
        except OSError as error:
            place = f"{folder}: its ca.crt or namespace cannot be read"
            raise KubeError(0, "NotInCluster", f"{place}. To fix: set automountServiceAccountToken: true on the pod") from error
        address = f"[{host}]" if ":" in host else host
        return cls(f"https://{address}:{port}", tls=tls, token=TokenFile(folder / "token"), namespace=namespace)

    @property
    def namespace(self) -> str:
        """The namespace that we run in."""
        return self._namespace

    async def get(self, path: str, *, params: Mapping[str, str] | None = None) -> Any:
        return _decoded(await self.read("GET", path, params=params), path)

    async def post(self, path: str, body: Any) -> Any:
        return _decoded(await self.read("POST", path, body=body), path)

    async def put(self, path: str, body: Any) -> Any:
        return _decoded(await self.read("PUT", path, body=body), path)

    async def patch(self, path: str, body: Any, *, content_type: str = MERGE_PATCH) -> Any:
        return _decoded(await self.read("PATCH", path, body=body, content_type=content_type), path)

    async def delete(self, path: str, body: Any = None) -> Any:
        """`body`: DeleteOptions, such as the resourceVersion that must still be there."""
        return _decoded(await self.read("DELETE", path, body=body), path)

    async def read(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        most: int | None = None,
    ) -> bytes:
        """One call's answer, undecoded, for callers that need little of a large one. Raises TooLong past `most` bytes."""
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        sent = None if body is None else msgspec.json.encode(body)
        headers = {"Accept": accept} | ({} if sent is None else {"Content-Type": content_type})
        async with self._answer(method, path, params=params, data=sent, headers=headers, timeout=timeout) as answer:
            return await answer.read() if most is None else await _bounded(answer, most, path)

    @asynccontextmanager
    async def stream(self, path: str, *, params: Mapping[str, str], accept: str = JSON, idle: float) -> AsyncIterator[aiohttp.StreamReader]:
        """An answer without an end; Unreachable when nothing came for `idle` seconds."""
        timeout = aiohttp.ClientTimeout(total=None, connect=self._timeout, sock_read=idle)
        async with self._answer("GET", path, params=params, headers={"Accept": accept}, timeout=timeout) as answer:
            yield answer.content

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def _answer(self, method: str, path: str, *, headers: dict[str, str], **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful answer; anything else as a KubeError. Once more when a 401 is met with a newer token."""
        try:
            while True:
                async with self._request(method, path, headers, options) as answer:
                    if answer.status == 401 and self._token.refresh():
                        continue
                    if answer.status >= 300:
                        raise await _refusal(answer, method, path)
                    yield answer
                    return
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            message = f"{method} {path}: the Kubernetes API server at {self._base_url} does not answer"
            raise Unreachable(0, type(error).__name__, message) from error

    def _request(self, method: str, path: str, headers: dict[str, str], options: dict[str, Any]) -> Any:
        token = self._token.read()
        if token:
            headers = headers | {"Authorization": f"Bearer {token}"}
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, socket_factory=_keepalive_socket)
            self._session = aiohttp.ClientSession(connector=connector)
        tls = True if self._tls is None else self._tls
        return self._session.request(method, self._base_url + path, headers=headers, ssl=tls, allow_redirects=False, **options)


def _decoded(body: bytes, path: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except ValueError:
        raise KubeError(200, "NotJSON", f"{path}: the answer is not JSON; is something else at the API server's address?") from None


async def _bounded(answer: aiohttp.ClientResponse, most: int, path: str) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > most:
            raise TooLong(200, "TooLong", f"{path}: the answer has more than {most} bytes")
    return bytes(body)


async def _refusal(answer: aiohttp.ClientResponse, method: str, path: str) -> KubeError:
    """The Status object as an exception. About Secrets the reason alone, since a message may quote what it refuses."""
    try:
        status = msgspec.json.decode(await answer.read())
    except ValueError:
        status = None
    if not isinstance(status, dict):
        status = {}
    reason = str(status.get("reason") or answer.reason or "Unknown")
    said = "" if "/secrets" in path else str(status.get("message") or "")[:500]
    kind = _CLASSES.get(answer.status, Unreachable if answer.status >= 500 else KubeError)
    error = kind(answer.status, reason, f"{method} {path}: {said or 'refused'}")
    wait = answer.headers.get("Retry-After", "")
    if isinstance(error, Unreachable) and wait.isdecimal():
        error.retry_after = float(wait)
    return error


def _keepalive_socket(info: Any) -> socket.socket:
    """A connection whose other end vanished is noticed in half a minute, not at the next write."""
    family, kind, protocol, *_ = info
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
