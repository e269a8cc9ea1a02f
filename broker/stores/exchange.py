"""One HTTP request to an outside store and its bounded answer: one try. Knows no store's protocol.

what happens                             | what it is
---------------------------------------- | -----------------------------------------------------------------
no connection                            | NotSent: the store has seen nothing, so a write may be tried again
connection lost, answer cut short        | Unavailable: the store may have done it
no time left                             | Unavailable, as above
any status                               | the answer, for the caller to judge

Whether there is another try, and when, is `broker.guard`'s. Messages hold no body and no header of either side: a store's own
error text may quote what we sent.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from broker.errors import BrokerError, Misconfigured, NotSent, TooLarge, Unavailable
from broker.stores.addresses import Reach
from broker.stores.headers import HeaderFiles
from broker.stores.transport import Trust, open_http
from contract.values import SecretValue

# A value of 1 MiB as JSON: six bytes a character when all are escaped, and room for other fields.
MAX_ANSWER_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds of one try."""

    connect: float = 3.0
    total: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. The body may hold a secret and stays out of the repr."""

    status: int
    media_type: str
    retry_after: float | None
    body: bytes = field(repr=False)


class Exchange:
    """Requests to one base URL with one set of credentials. `place` begins every message."""

    def __init__(
        self,
        place: str,
        base_url: str,
        headers: HeaderFiles,
        *,
        reach: Reach,
        patience: Patience | None = None,
        trust: Trust | None = None,
        trust_field: str = "SSL_CERT_FILE",
    ) -> None:
        """`trust_field` is where a person names the CA's file."""
        self.place, self.base_url, self.headers = place, base_url, headers
        self._patience, self._trust_field = patience or Patience(), trust_field
        self._http = open_http(reach=reach, connect_seconds=self._patience.connect, total_seconds=self._patience.total, trust=trust)

    async def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        credentials: bool = True,
        more: Mapping[str, SecretValue] | None = None,
    ) -> Answer:
        """Raises Unavailable, Misconfigured, TooLarge; every HTTP status is an Answer. `body` is JSON, `more` are more headers."""
        given = (self.headers.current() if credentials else {}) | dict(more or {})
        headers = {name.encode(): value.reveal() for name, value in given.items()}
        if body is not None:
            headers[b"Content-Type"] = b"application/json"
        request = self._http.build_request(method, self.base_url + target, headers=headers, content=body)
        try:
            async with asyncio.timeout(self._patience.total):
                return await self._once(request)
        except TimeoutError:
            raise Unavailable(f"{self.place}: no answer within {self._patience.total:g} s") from None

    async def close(self) -> None:
        await self._http.aclose()

    async def _once(self, request: httpx.Request) -> Answer:
        # The library's exception holds the request, and so the credentials: it ends here, not in a chain.
        try:
            response = await self._http.send(request, stream=True)
            try:
                return await self._answer(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            failure = self._explained(error)
        except Misconfigured as error:  # of an address or a CA's file, which do not all know whose they are
            failure = error if error.message.startswith(self.place) else Misconfigured(f"{self.place}: {error.message}")
        raise failure

    async def _answer(self, response: httpx.Response) -> Answer:
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise TooLarge(f"{self.place}: an answer of more than {MAX_ANSWER_BYTES} bytes; it was not read on")
        return Answer(response.status_code, media_type, retry_after(response.headers), bytes(body))

    def _explained(self, error: httpx.HTTPError) -> BrokerError:
        certificate = certificate_fault(error)
        if certificate:
            fix = f"correct its names or validity, or name its CA's file in {self._trust_field}"
            return Misconfigured(f"{self.place}: the store's certificate is not accepted: {certificate}. To fix: {fix}")
        kind = type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return NotSent(f"{self.place}: cannot be reached ({kind})")
        if isinstance(error, httpx.TimeoutException):
            return Unavailable(f"{self.place}: no answer in time ({kind})")
        return Unavailable(f"{self.place}: the connection was lost ({kind})")


def certificate_fault(error: BaseException | None) -> str | None:
    while error is not None:
        # aiohttp's own kind of it has no message; the one below it has.
        if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_message"):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds or a date, as RFC 9110 10.2.3 has it; anything else is not there."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
