"""Where a server's certificate comes from, and how a new one goes live without a restart.

Decides that a pair serves only after it was tried alone: it parses, key and certificate belong together, it is not expired.
Each pair gets an SSL context of its own; the listener's context hands every new handshake to the newest good one. So
nothing of an old pair lingers (OpenSSL keeps one certificate a key type) and a file that changes while it is read cannot
break the live one. Who issues certificates is left to `webhook.certificates` and cert-manager.
"""

import asyncio
import os
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

_NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME; our own clock decides, and says it better
EVERY = 2.0  # seconds between looks at the files; three stat calls each
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
log = structlog.get_logger()
Seen = tuple[tuple[int, int, int] | None, ...]


def utc_now() -> datetime:
    return datetime.now(UTC)


class TlsError(ValueError):
    """Why a certificate and key cannot serve; a sentence without their content."""


class NotYetValid(TlsError):
    """The pair is good, and its time has not come."""


class TlsSource(Protocol):
    """What a listener and the probes need to know. `current` stays the same object for the life of the source."""

    @property
    def current(self) -> ssl.SSLContext: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def healthy(self) -> bool: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def ca_bundle(self) -> str | None: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...


class LivePair:
    """The context that a listener holds, in front of the newest good pair."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._newest: ssl.SSLContext | None = None
        self.expires_at: datetime | None = None
        self.current = _server_context()
        self.current.sni_callback = self._hand_over

    @property
    def healthy(self) -> bool:
        return self.expires_at is not None and self._now() < self.expires_at

    def renew(self, certificate: bytes, key: bytes) -> None:
        """Serve new handshakes with this pair. Raises TlsError, and then the old one stays.

        One that is not valid yet takes no good one's place; where there is none it may do: our clock may be the one that is late.
        """
        now = self._now()
        made, starts_at, expires_at = try_pair(certificate, key, now)
        if starts_at > now and self.healthy:
            raise NotYetValid(
                f"tls.crt: the certificate is not valid before {starts_at:%Y-%m-%dT%H:%M:%SZ}; the one in use stays until then"
            )
        self._newest, self.expires_at = made, expires_at

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """OpenSSL calls this in every handshake, also without a server name, before it picks a certificate."""
        if self._newest is not None:
            connection.context = self._newest


class TlsFiles:
    """tls.crt, tls.key and ca.crt of a folder, as cert-manager and the kubelet write them."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = utc_now, every: float = EVERY) -> None:
        self._folder, self._every = folder, every
        self._live = LivePair(now)
        self._seen: Seen | None = None
        self._task: asyncio.Task[None] | None = None
        self._problem: str | None = None
        self.ca_bundle: str | None = None

    @property
    def current(self) -> ssl.SSLContext:
        return self._live.current

    @property
    def expires_at(self) -> datetime | None:
        return self._live.expires_at

    @property
    def healthy(self) -> bool:
        """A certificate is loaded and has not expired; a bad newer pair does not change that."""
        return self._live.healthy

    @property
    def problem(self) -> str | None:
        """Why the newest files are not in use, or what is in use is no good."""
        if self._problem or self.healthy:
            return self._problem
        return f"{self._folder}/tls.crt: the certificate in use has expired"

    async def start(self) -> None:
        """Load what is there. Bad or missing files are a state (`healthy` is False), and looked at again."""
        self.look()
        self._task = asyncio.create_task(self.watch(), name="watch TLS files")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            self.look()

    def look(self) -> None:
        """Take the files in if they changed since the last look; a pair that cannot serve is logged once."""
        seen = tuple(_identity(self._folder / name) for name in ("tls.crt", "tls.key", "ca.crt"))
        if seen == self._seen:
            return
        self._seen = seen
        before = self._problem
        try:
            self._live.renew(_read(self._folder / "tls.crt"), _read(self._folder / "tls.key"))
            self.ca_bundle = bundle_in(_read(self._folder / "ca.crt"), "ca.crt") if seen[2] else None
            self._problem = None
            log.info("certificate_loaded", folder=str(self._folder), expires_at=str(self.expires_at))
        except ValueError as error:
            self._problem = f"{self._folder}: {error}"
            if isinstance(error, NotYetValid):
                self._seen = None  # the same files are good later
            if self._seen or self._problem != before:
                log.error("certificate_refused", folder=str(self._folder), reason=str(error), still_serving=self.healthy)  # noqa: TRY400 - the reason says it all


def bundle_in(content: bytes, name: str) -> str:
    """What others may be handed to trust: certificates that can be read. Raises TlsError."""
    try:
        found = certificates_alone(content.decode())
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except (ssl.SSLError, ValueError):
        raise TlsError(f"{name}: no certificates in PEM could be read") from None
    return found


def certificates_alone(pem: str) -> str:
    """Without the private key that some tools keep in the same file: a bundle is shown to everyone who may see a pod."""
    return "".join(f"{block}\n" for block in _CERTIFICATE.findall(pem)) if "PRIVATE KEY" in pem else pem


def try_pair(certificate: bytes, key: bytes, now: datetime) -> tuple[ssl.SSLContext, datetime, datetime]:
    """A server context with the pair, and when its leaf begins and expires: found out by a handshake in memory. Raises TlsError."""
    client = _client_context(certificate)
    server = _server_context()
    try:
        with _as_file(certificate + b"\n" + key) as path:
            server.load_cert_chain(path, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError("tls.key does not belong to tls.crt; write both files of one pair") from None
        raise TlsError("tls.key: no private key in PEM without a password could be read") from None
    starts_at, expires_at = _shake_hands(client, server)
    if expires_at <= now:
        raise TlsError(f"tls.crt: the certificate expired at {expires_at:%Y-%m-%dT%H:%M:%SZ}; renew it")
    return server, starts_at, expires_at


def _client_context(certificate: bytes) -> ssl.SSLContext:
    """Trusts the certificate itself at any time, and looks whether it is one for servers."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    try:
        client.load_verify_locations(cadata=certificate.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise TlsError("tls.crt: no certificate in PEM could be read") from None
    return client


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[datetime, datetime]:
    """Begin and end of life of the certificate that the server shows. Needs no parser of certificates, which would cost a server 8 MiB."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)
    open_ends = list(ends)
    try:
        while open_ends:
            one = open_ends.pop(0)
            try:
                one.do_handshake()
            except ssl.SSLWantReadError:
                open_ends.append(one)
    except ssl.SSLError as error:
        raise TlsError(f"tls.crt: a client would refuse it ({getattr(error, 'verify_message', None) or error.reason})") from None
    shown = ends[0].getpeercert() or {}
    starts_at, expires_at = (datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown[end])), UTC) for end in ("notBefore", "notAfter"))
    return starts_at, expires_at


def _no_password() -> str:
    raise TlsError("tls.key: the key has a password; give one without")


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that holds the content for a moment: in memory where the system can, else a file of ours alone."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pair", os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as named:  # made with mode 0600
            named.write(content)
            named.flush()
            yield named.name


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path.name}: cannot be read ({error.strerror})") from None
