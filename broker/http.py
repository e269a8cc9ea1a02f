"""HTTP as the broker speaks it: bodies bounded and strict, errors as `{"code", "message"}` with the status that fits.

status | codes                                     | who acts
------ | ----------------------------------------- | ---------------------
400    | bad_request, invalid                      | the caller
401    | unauthenticated                           | the caller
403    | denied                                    | the caller
404    | not_found, field_not_found                | the caller
409    | conflict                                  | the caller
413    | too_large                                 | the caller
501    | unsupported                               | nobody: the store cannot
502    | misconfigured, store_refused, malformed   | the operator
429    | throttled                                 | nobody: try again
503    | unavailable                               | nobody: try again
500    | internal                                  | the operator
"""

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from broker.errors import BrokerError
from contract import wire
from contract.strict import FormatError, fields, loads

STATUS = {
    wire.BAD_REQUEST: 400,
    wire.INVALID: 400,
    wire.UNAUTHENTICATED: 401,
    wire.DENIED: 403,
    wire.NODE_TOO_OLD: 403,
    wire.NOT_FOUND: 404,
    wire.FIELD_NOT_FOUND: 404,
    wire.CONFLICT: 409,
    wire.TOO_LARGE: 413,
    wire.UNSUPPORTED: 501,
    wire.MISCONFIGURED: 502,
    wire.STORE_REFUSED: 502,
    wire.MALFORMED: 502,
    wire.THROTTLED: 429,
    wire.UNAVAILABLE: 503,
    wire.INTERNAL: 500,
}
BODY_SECONDS = 10.0  # a caller that sends slower than this keeps a connection for nothing
MAX_RETRY_AFTER = 60  # seconds; longer than any caller's deadline

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Server": "tfy-secret-broker",
}


# Of a response that is no JSON (the web page): its own headers, in place of HEADERS of the same name.
OWN_HEADERS: web.ResponseKey[Mapping[str, str]] = web.ResponseKey("own-headers", Mapping)


class Refusal(Exception):
    """A request that gets this status and no more; for what is no BrokerError: methods, routes, media types."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}
        super().__init__(message)


def json_response(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(document, separators=(",", ":")).encode(), content_type="application/json", headers=headers
    )


def error_response(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return json_response({"code": code, "message": message}, status, headers)


def broker_error_response(error: BrokerError) -> web.Response:
    headers: dict[str, str] = {}
    if error.code in wire.RETRYABLE:
        headers["Retry-After"] = str(min(MAX_RETRY_AFTER, max(1, math.ceil(getattr(error, "retry_after", None) or 1))))
    if error.code == wire.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return error_response(STATUS.get(error.code, 500), error.code, error.message, headers)


async def read_json(request: web.Request, limit: int) -> bytes:
    """The body of a JSON request, of at most `limit` bytes. Raises Refusal."""
    if request.content_type != "application/json":
        raise Refusal(415, wire.BAD_REQUEST, "Content-Type: allowed: application/json")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise _too_large(limit)
    except web.RequestPayloadError:
        raise Refusal(400, wire.BAD_REQUEST, "the body cannot be read: it is not encoded as its headers say") from None
    except TimeoutError:
        raise Refusal(408, wire.BAD_REQUEST, f"the body did not arrive within {BODY_SECONDS:g} seconds") from None
    return bytes(body)


def text_fields(body: bytes, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[str | None]:
    """Strings of a JSON object, in the order named; unknown ones are refused. Raises Refusal, which shows no content."""
    try:
        return fields(loads(body, "the request"), "request", dict.fromkeys(required, str), dict.fromkeys(optional, str))
    except FormatError as error:
        raise Refusal(400, wire.BAD_REQUEST, str(error)) from None


def query(request: web.Request, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> list[str | None]:
    """Query parameters in the order named, each once; unknown ones are refused."""
    given = request.query
    for name in set(given):
        if name not in required + optional or len(given.getall(name)) != 1:
            raise Refusal(400, wire.BAD_REQUEST, f"query: allowed: {', '.join(required + optional) or 'no parameters'}, each once")
    for name in required:
        if name not in given:
            raise Refusal(400, wire.BAD_REQUEST, f"query: '{name}' is missing")
    return [given.get(name) for name in required + optional]


def _too_large(limit: int) -> Refusal:
    return Refusal(413, wire.TOO_LARGE, f"the body is larger than {limit} bytes")
