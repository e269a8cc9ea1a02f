"""How requests to the vault and to the login leave: to one origin, over vetted connections, tried once, with bounded answers.

Azure's library builds requests and reads answers above it. What no layer above may judge ends here as a Fault: a lost connection, a
redirect, 429, 5xx, an answer that is no JSON object or too long, and a link to another host, which would get a token. The service's own
words stay out of messages, since they are anybody's; the libraries' logs are silent, since they hold URLs and those words.
"""

import asyncio
import json
import logging
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport

from broker.errors import BrokerError, Malformed, Misconfigured, NotSent, Retryable, Throttled, TooLarge, Unavailable
from broker.stores.addresses import Reach
from broker.stores.azure.patience import Patience
from broker.stores.exchange import certificate_fault, retry_after
from broker.stores.resolver import VettedResolver
from broker.stores.transport import CONNECTIONS, KEEP_ALIVE_SECONDS

# A value of 25 KB as JSON is 150 KB when every character is escaped; a page of 25 versions has some 15 KB.
MAX_ANSWER_BYTES = 1024 * 1024
# What makes the library keep its hands off: the guard repeats calls, nothing is followed, nothing is logged.
SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001 - no handler, no parent: whatever is set, it says nothing
ONE_TRY = {"retry_total": 0, "permit_redirects": False, "logger": SILENT, "logging_enable": False}
for _library in ("azure", "msal"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)


class Fault(Exception):
    """A broker error without its place, which only the caller knows."""

    def __init__(self, kind: type[BrokerError], sentence: str, wait: float | None = None) -> None:
        self._kind, self._sentence, self._wait = kind, sentence, wait
        super().__init__(sentence)

    def at(self, place: str) -> BrokerError:
        message = f"{place}: {self._sentence}"
        return self._kind(message, self._wait) if issubclass(self._kind, Retryable) else self._kind(message)


class Bare(Exception):
    """A refusal without a document: all there is is a status. The library would say that it cannot decode it."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"status {status}")


class _TooLongError(Exception):
    pass


class _PackedError(Exception):
    pass


class _BoundedResponse(aiohttp.ClientResponse):
    async def read(self) -> bytes:
        content = bytearray()
        try:
            if self.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise _PackedError  # the library would unpack it, to any size
            async for chunk in self.content.iter_any():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise _TooLongError
        except BaseException:
            self.close()
            raise
        return bytes(content)


def open_session(reach: Reach, trust: ssl.SSLContext) -> aiohttp.ClientSession:
    """For the vault and its login. No proxy, no cookies; needs a running event loop, and its owner closes it."""
    connector = aiohttp.TCPConnector(
        resolver=VettedResolver(reach), ssl=trust, limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS, ttl_dns_cache=10
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        response_class=_BoundedResponse,
        # Identity, because a small answer can unpack to any size.
        headers={"Accept-Encoding": "identity"},
    )
    # aiohttp sends a request again if a connection that was kept is lost; a PUT may have made a version by then.
    session._retry_connection = False  # noqa: SLF001 - there is no other way to say so
    return session


class OneOrigin(AioHttpTransport):  # type: ignore[misc]  # loaded by a __getattr__, so without a type
    """`who` begins what is said about the other side: the vault, or the login."""

    def __init__(self, session: aiohttp.ClientSession, origin: str, who: str, patience: Patience) -> None:
        super().__init__(
            session=session, session_owner=False, use_env_settings=False, connection_timeout=patience.connect, read_timeout=patience.total
        )
        self._origin, self._who, self._poll = _origin(origin), who, patience.poll

    async def send(self, request: Any, **options: Any) -> Any:
        if _origin(request.url) != self._origin:
            raise Fault(Malformed, f"{self._who} names another host to go on at, which is not asked")
        try:
            response = await super().send(request, **options)
        except _PackedError:
            raise Fault(Malformed, f"{self._who} answers with a packed body, which was not asked for") from None
        except _TooLongError:
            raise Fault(TooLarge, f"{self._who} answers with more than {MAX_ANSWER_BYTES} bytes; it was not read on") from None
        except Misconfigured as error:
            raise Fault(Misconfigured, error.message) from None
        except (AzureError, aiohttp.ClientError, OSError, ValueError) as error:
            raise self._explained(error) from None
        self._check(response)
        return response

    async def sleep(self, duration: float) -> None:
        """Between the library's looks at whether a secret is deleted or recovered yet."""
        await asyncio.sleep(min(duration, self._poll))

    def _check(self, response: Any) -> None:
        status, headers = response.status_code, response.headers
        if status == 429:
            raise Fault(Throttled, f"{self._who} asks for fewer calls (429)", retry_after(headers))
        if status >= 500:
            raise Fault(Unavailable, f"{self._who} fails ({status})", retry_after(headers))
        if 300 <= status < 400:
            raise Fault(Misconfigured, f"{self._who} answers with a redirect ({status}), which is not followed. To fix: its address")
        if status in {401, 204} or _is_document(response):
            return
        if status >= 400:
            raise Bare(status)
        raise Fault(Malformed, f"{self._who} answers with something else than its API says ({status}). To fix: its address")

    def _explained(self, error: BaseException) -> Fault:
        certificate = certificate_fault(error)
        if certificate:
            fix = "correct its names or validity, or name its CA's file in SSL_CERT_FILE"
            return Fault(Misconfigured, f"the certificate of {self._who} is not accepted: {certificate}. To fix: {fix}")
        causes = _causes(error)
        kind = type(causes[1] if len(causes) > 1 else error).__name__  # aiohttp's own word, below Azure's
        if any(isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) for cause in causes):
            return Fault(NotSent, f"{self._who} cannot be reached ({kind})")
        return Fault(Unavailable, f"the connection to {self._who} was lost, or its answer is not HTTP ({kind})")


@dataclass(frozen=True, slots=True)
class _Origin:
    scheme: str
    host: str
    port: int


def _origin(url: str) -> _Origin | None:
    try:
        parts = urlsplit(url)
        if parts.username is not None or parts.password is not None:
            return None
        return _Origin(parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or 443)
    except ValueError:
        return None


def _is_document(response: Any) -> bool:
    """A JSON object whose `value`, if it has one, is text or a list of objects: the library would make text of anything."""
    if "json" not in response.headers.get("Content-Type", "").lower():
        return False
    try:
        document = json.loads(response.content)
    except (ValueError, RecursionError):
        return False
    value = document.get("value") if isinstance(document, dict) else 0
    return value is None or isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, dict) for item in value))


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
