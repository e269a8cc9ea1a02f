"""Errors as the SDK maps them: a status, and `{statusCode, message, code, details}`.

status | when                                                     | the SDK raises
------ | -------------------------------------------------------- | ------------------------
400    | not JSON, a wrong query or header                        | BadRequestError
401    | the token is not accepted                                | ApiError
403    | no role; the same for a group that is not there          | ForbiddenError
404    | not there, for a caller who may know                     | NotFoundError
409    | somebody else changed it, or the name is taken           | ConflictError
413    | a body or a value is too large                           | ApiError
422    | the body is JSON and not what is allowed                 | UnprocessableEntityError
424    | the secret store did not do it                           | FailedDependencyError
429    | too many values looked at                                | ApiError, after two tries
503    | the Kubernetes API or the audit log does not answer      | the same

A 409 changes nothing, since the SDK sends it again by itself.
"""

import math

import msgspec
from aiohttp import web

from broker.api.shapes import Problem
from broker.errors import (
    BrokerError,
    Conflict,
    Denied,
    FieldNotFound,
    InvalidRequest,
    Misconfigured,
    NotFound,
    StoreFailed,
    Throttled,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from broker.http import MAX_RETRY_AFTER, Refusal

_STATUSES: tuple[tuple[type[BrokerError], int], ...] = (
    (StoreFailed, 424),
    (Denied, 403),
    (Unauthenticated, 401),
    (NotFound, 404),
    (FieldNotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (InvalidRequest, 422),
    (Unsupported, 424),
    (Misconfigured, 424),
    (Throttled, 429),
    (Unavailable, 503),
)
MEANINGS = {
    400: "Not JSON, or a wrong query or header",
    401: "The token is not accepted",
    403: "No role, or there is no such thing",
    404: "Not there",
    409: "Somebody else changed it, or the name is taken",
    413: "Too large",
    415: "Not application/json",
    422: "Not what is allowed",
    424: "The secret store did not do it",
    429: "Too often",
    503: "Try again",
}


def problem_of(error: BrokerError) -> web.Response:
    status = next((found for kind, found in _STATUSES if isinstance(error, kind)), 500)
    details: list[dict[str, object]] = []
    if isinstance(error, Conflict):
        details = [{"change": change} for change in error.changes]
        details += [{"version": error.version}] if error.version is not None else []
    headers = {}
    if status in {429, 503}:
        headers["Retry-After"] = str(min(MAX_RETRY_AFTER, max(1, math.ceil(getattr(error, "retry_after", None) or 1))))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(status, error.code, error.message, details, headers)


def refusal_of(error: Refusal) -> web.Response:
    return problem(error.status, error.code, error.message, [], error.headers)


def problem(status: int, code: str, message: str, details: list[dict[str, object]], headers: dict[str, str]) -> web.Response:
    body = msgspec.json.encode(Problem(status_code=status, message=message, code=code, details=details))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
