"""The requests of a login, for Google's library: over our vetted transport, bounded in time and size, and errors said by status.

The library calls from a thread of its own; the request runs in the event loop, where the transport lives. Nothing of an answer that
is not a success reaches the library or a message: it may quote what was sent.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from google.auth import transport

from broker.errors import BrokerError, Malformed, Misconfigured, NotSent, StoreRefused, Throttled
from broker.stores.addresses import Reach
from broker.stores.exchange import certificate_fault, retry_after
from broker.stores.transport import open_http

MAX_ANSWER_BYTES = 256 * 1024
_FEDERATION = (
    "To fix: the workload identity pool, its provider and audience, and roles/iam.workloadIdentityUser on the service account, if one "
    "is named"
)
_URL = re.compile(r"(https?://[^/?#@\\\s]+)(?:/[A-Za-z0-9/._:@~?=&%+-]*)?")


class Answer(transport.Response):
    """A success, as the library wants it."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self._status, self._headers, self._data = status, headers, data

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    @property
    def data(self) -> bytes:
        return self._data


class LoginHttp:
    """`place` begins every message."""

    def __init__(self, place: str, reach: Reach, seconds: float) -> None:
        self._place, self._reach, self._seconds = place, reach, seconds
        self._http = open_http(reach=reach, connect_seconds=seconds, total_seconds=seconds)

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, hint: str = _FEDERATION
    ) -> Answer:
        """A 200. Raises BrokerErrors for all else."""
        where = f"{self._place}: login at {urlsplit(url).hostname}"
        self._reach.check_url(where, origin_of(where, url))
        try:
            async with asyncio.timeout(self._seconds):
                return await self._once(where, hint, self._http.build_request(method, url, headers=dict(headers), content=body))
        except TimeoutError:
            raise NotSent(f"{where}: no answer within {self._seconds:g} s") from None

    async def close(self) -> None:
        await self._http.aclose()

    async def _once(self, where: str, hint: str, request: httpx.Request) -> Answer:
        problem: BrokerError
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code != 200:
                    raise _refusal(where, hint, response)
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise Malformed(f"{where}: an answer of more than {MAX_ANSWER_BYTES} bytes; it was not read on")
                return Answer(200, response.headers, bytes(body))
            finally:
                await response.aclose()
        except httpx.HTTPError as error:  # it holds the request
            problem = _explained(where, error)
        raise problem


class Bridge(transport.Request):
    """What the library calls in its thread. `asked`: whether it has sent anything."""

    def __init__(self, http: LoginHttp) -> None:
        self._http, self._loop = http, asyncio.get_running_loop()
        self.asked = False

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the login has its own
        **_: Any,
    ) -> Answer:
        self.asked = True
        return asyncio.run_coroutine_threadsafe(self._http.send(method, url, headers=headers or {}, body=body), self._loop).result()


def origin_of(place: str, url: str) -> str:
    """The part of a URL that says where it leads. A service account's email stands in some paths. Raises Misconfigured."""
    found = _URL.fullmatch(url)
    if found is None:
        raise Misconfigured(f"{place}: allowed: an https URL without user, query and fragment")
    return found[1]


def _explained(where: str, error: httpx.HTTPError) -> BrokerError:
    """Whatever happens to a login, the store has seen nothing."""
    certificate = certificate_fault(error)
    if certificate:
        fix = "correct its names or validity, or name its CA's file in SSL_CERT_FILE"
        return Misconfigured(f"{where}: the certificate is not accepted: {certificate}. To fix: {fix}")
    return NotSent(f"{where}: cannot be reached, or the connection was lost ({type(error).__name__})")


def _refusal(where: str, hint: str, response: httpx.Response) -> BrokerError:
    status = response.status_code
    if status == 429:
        return Throttled(f"{where}: asks for fewer logins (429)", retry_after(response.headers))
    if status >= 500:
        return NotSent(f"{where}: fails ({status})", retry_after(response.headers))
    if 300 <= status < 400:
        return Misconfigured(f"{where}: answers with a redirect ({status}), which is not followed")
    return StoreRefused(f"{where}: our login is refused ({status}). {hint}")
