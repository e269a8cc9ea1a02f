"""What the init container and the broker say to each other: `POST /v1/resolve`.

    {"version": 1, "modes": ["envfile"], "secrets": ["tfy-secret://acme:payments:DB_PASSWORD", ...]}
    {"version": 1, "answers": [{"fqn": ..., "value": <base64>, "secret_version": "3"},
                               {"fqn": ..., "code": "denied", "message": "..."}]}

One answer for each name asked, in the order asked. A request that cannot be answered at all gets an HTTP status and
`{"code": ..., "message": ...}`. Values are base64, so that any bytes pass exactly.
"""

import binascii
import json

from contract.record import record
from contract.strict import FormatError, fields, loads, strings
from contract.values import SecretValue

VERSION = 1
MAX_SECRETS = 1000  # names in one request; a pod's plan (128 KiB) holds fewer
MAX_REQUEST_BYTES = 1024 * 1024  # MAX_SECRETS names of 1 KiB
MAX_VALUE_BYTES = 1024 * 1024  # the largest value of the Generic Secret Store contract
MAX_RESPONSE_BYTES = 64 * 1024 * 1024  # what the init container reads at most: its own memory is the limit before that

# Codes of one answer. The first two mean "there is nothing there": all that `optional` forgives.
NOT_FOUND, FIELD_NOT_FOUND = "not_found", "field_not_found"
DENIED, INVALID, MISCONFIGURED, UNSUPPORTED = "denied", "invalid", "misconfigured", "unsupported"
STORE_REFUSED, MALFORMED, TOO_LARGE, INTERNAL = "store_refused", "malformed", "too_large", "internal"
THROTTLED, UNAVAILABLE = "throttled", "unavailable"
# Codes of a whole request.
UNAUTHENTICATED, BAD_REQUEST, NODE_TOO_OLD = "unauthenticated", "bad_request", "node_too_old"
CONFLICT = "conflict"

ABSENT = frozenset({NOT_FOUND, FIELD_NOT_FOUND})
RETRYABLE = frozenset({THROTTLED, UNAVAILABLE})


@record
class ResolveRequest:
    """`secrets` are canonical FQNs without `optional`, each once; `modes` are the delivery modes of the plan."""

    secrets: tuple[str, ...]
    modes: tuple[str, ...] = ()


@record
class Resolved:
    """A value and the version that the store calls it, if it has versions."""

    fqn: str
    value: SecretValue
    secret_version: str | None = None


@record
class Unresolved:
    """Why there is no value: a stable code, and a sentence for the person who must act."""

    fqn: str
    code: str
    message: str


Answer = Resolved | Unresolved


def encode_request(request: ResolveRequest) -> bytes:
    document = {"version": VERSION, "modes": request.modes, "secrets": request.secrets}
    return json.dumps(document, separators=(",", ":")).encode()


def decode_request(body: bytes) -> ResolveRequest:
    """Raises FormatError for anything but a request of this version within the limits. FQNs are not parsed here."""
    document = loads(body, "the request")
    _known_version(document, "request")
    _, modes, secrets = fields(document, "request", {"version": int, "modes": list, "secrets": list})
    if len(secrets) > MAX_SECRETS:
        raise FormatError(f"request.secrets: {len(secrets)} names; at most {MAX_SECRETS} in one request")
    request = ResolveRequest(strings(secrets, "request.secrets"), strings(modes, "request.modes"))
    if len(set(request.secrets)) != len(secrets):
        raise FormatError("request.secrets: a name is given twice")
    return request


def encode_response(answers: "Sequence[Answer]") -> bytes:
    document = {"version": VERSION, "answers": [_encode_answer(a) for a in answers]}
    return json.dumps(document, separators=(",", ":")).encode()


def decode_response(body: bytes, request: ResolveRequest) -> "dict[str, Answer]":
    """The answers by name. Raises FormatError unless each name asked has exactly one answer."""
    document = loads(body, "the answer")
    _known_version(document, "answer")
    _, answers = fields(document, "answer", {"version": int, "answers": list})
    found = [_decode_answer(a, f"answer.answers[{i}]") for i, a in enumerate(answers)]
    if [a.fqn for a in found] != list(request.secrets):
        raise FormatError("answer.answers: not one answer for each name, in the order asked")
    return {a.fqn: a for a in found}


def _encode_answer(answer: Answer) -> "dict[str, str]":
    if isinstance(answer, Unresolved):
        return {"fqn": answer.fqn, "code": answer.code, "message": answer.message}
    value = binascii.b2a_base64(answer.value.reveal(), newline=False).decode()
    version = {} if answer.secret_version is None else {"secret_version": answer.secret_version}
    return {"fqn": answer.fqn, "value": value} | version


def _decode_answer(value: object, place: str) -> Answer:
    if isinstance(value, dict) and "code" in value:
        fqn, code, message = fields(value, place, {"fqn": str, "code": str, "message": str})
        return Unresolved(fqn, code, message)
    fqn, encoded, version = fields(value, place, {"fqn": str, "value": str}, {"secret_version": str})
    try:
        return Resolved(fqn, SecretValue(binascii.a2b_base64(encoded, strict_mode=True)), version)
    except ValueError:
        raise FormatError(f"{place}.value: not base64") from None


def _known_version(document: object, place: str) -> None:
    if isinstance(document, dict) and document.get("version") != VERSION:
        raise FormatError(f"{place}: version {str(document.get('version'))[:20]} is not known here; known: {VERSION}")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
