"""How aiobotocore's requests travel: to vetted addresses alone, with the system's trust, no proxy, no redirect, a bounded answer.

It stands in for aiobotocore's own HTTP session, which follows redirects and takes proxies from the environment. One try; a
failure is the broker's own error, and the library's exception, which holds the request with its signature and value, ends here.
"""

from typing import Any, ClassVar, Self

import aiohttp
from aiobotocore.awsrequest import AioAWSResponse
from yarl import URL

from broker.errors import BrokerError, Misconfigured, NotSent, TooLarge, Unavailable
from broker.stores.exchange import MAX_ANSWER_BYTES, certificate_fault
from broker.stores.resolver import VettedResolver
from broker.stores.transport import CONNECTIONS, system_trust
from broker.stores.aws.target import Target

KEEP_ALIVE_SECONDS = 12.0  # what aiobotocore keeps: AWS's own endpoints hold an idle connection longer


class VettedSession:
    """aiobotocore makes one a client and hands it settings of its own, which are not used: `bound_to` says what holds."""

    target: ClassVar[Target]

    def __init__(self, **_: Any) -> None:
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def bound_to(cls, target: Target) -> "type[VettedSession]":
        return type("BoundSession", (cls,), {"target": target})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: Any) -> AioAWSResponse:
        """Any status is an answer. Raises NotSent, Unavailable, TooLarge, Misconfigured."""
        if self._session is None:
            self._session = open_session(self.target)
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers={name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()},
                data=request.body,
                allow_redirects=False,
            ) as response:
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.raw_headers}
                answer = AioAWSResponse(str(response.url), response.status, headers, response)
                answer._content = await bounded(self.target.place, response)  # noqa: SLF001 - what its `content` gives
                return answer
        except BrokerError as error:
            problem: BrokerError = Misconfigured(f"{self.target.place}: {error.message}") if isinstance(error, Misconfigured) else error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            problem = explained(self.target.place, error)
        raise problem


def open_session(target: Target) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=VettedResolver(target.reach), ssl=system_trust(), limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS
        ),
        timeout=aiohttp.ClientTimeout(total=target.patience.total, sock_connect=target.patience.connect),
        # An identity, because a small answer can unpack to any size.
        headers={"Accept-Encoding": "identity"},
        skip_auto_headers={"Content-Type"},
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def bounded(place: str, response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise TooLarge(f"{place}: an answer of more than {MAX_ANSWER_BYTES} bytes; it was not read on")
    return bytes(body)


def explained(place: str, error: Exception) -> BrokerError:
    fault = certificate_fault(error)
    if fault:
        return Misconfigured(
            f"{place}: the endpoint's certificate is not accepted: {fault}. To fix: correct its names or validity, or name its CA's file "
            "in SSL_CERT_FILE"
        )
    kind = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return NotSent(f"{place}: cannot be reached ({kind})")
    if isinstance(error, TimeoutError):
        return Unavailable(f"{place}: no answer in time ({kind})")
    return Unavailable(f"{place}: the connection was lost ({kind})")
