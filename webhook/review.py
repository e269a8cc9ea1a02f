"""AdmissionReview in, AdmissionReview out: v1, and v1beta1 for those who still send it.

Two channels. A review that cannot be answered is BrokenReview (HTTP 4xx); once a uid is known every outcome is an answer that
echoes it, a pod that cannot be read and a crash included.
"""

import binascii
import codecs
from typing import Any

import msgspec

from webhook.errors import BrokenReview
from webhook.planning import Decision, Inject, Reject
from webhook.pod import RAW_REVIEW, REVIEW, RawReview, Review
from webhook.problem import Problem, Reason, told

API_VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
# etcd refuses a request of more than 1.5 MiB by default, the API server reads at most 3 MiB; as JSON in JSON, with old object
# and managed fields, a review was seen to reach about 7 MiB.
MAX_BYTES = 7 * 1024 * 1024
MAX_WARNINGS = 20  # the API server cuts off what is beyond 4 KiB in all

_CODES = {Reason.DENIED: (403, "Forbidden"), Reason.NOT_READY: (503, "ServiceUnavailable"), Reason.CRASH: (500, "InternalError")}
PIECE = 256 * 1024  # bytes
_utf8 = codecs.getincrementaldecoder("utf-8")
_encode = msgspec.json.Encoder().encode


def decode_review(body: bytes | bytearray) -> Review | tuple[RawReview, Problem]:
    """The review; or its head and a problem, when it can be answered but its pod cannot be read. Raises BrokenReview."""
    try:
        _check_encoding(body)
        review = REVIEW.decode(body)
    except UnicodeDecodeError:
        raise BrokenReview(400, "the body is not UTF-8") from None
    except (msgspec.ValidationError, RecursionError) as error:
        return _head(body), Problem("request.object", Reason.UNREADABLE_POD, "a pod that cannot be read", "a v1 Pod", _sentence(error))
    except msgspec.DecodeError:
        raise BrokenReview(400, "the body is not JSON") from None
    _check(review)
    return review


def answer(review: Review | RawReview, decision: Decision) -> bytes:
    """The answer to a decision, with the uid and apiVersion of the review."""
    response: dict[str, Any] = {"uid": review.request.uid, "allowed": not isinstance(decision, Reject)}
    if isinstance(decision, Inject):
        response["patchType"] = "JSONPatch"
        response["patch"] = binascii.b2a_base64(_encode(decision.patch), newline=False).decode()
    elif isinstance(decision, Reject):
        code, reason = _CODES.get(decision.problems[0].reason, (422, "Invalid"))
        response["status"] = {"code": code, "reason": reason, "message": told(list(decision.problems))}
    if decision.warnings:
        response["warnings"] = decision.warnings[:MAX_WARNINGS]
    return _encode({"apiVersion": review.apiVersion, "kind": "AdmissionReview", "response": response})


def allowed(review: Review | RawReview) -> bool:
    """Whether the review is about something that we do not look at: only the creation of pods is ours."""
    request = review.request
    is_pod = request.resource is None or request.resource.resource in ("pods", "")
    return not is_pod or bool(request.subResource) or request.operation not in ("CREATE", None, "")


def crashed() -> Reject:
    """What a crash becomes: a refusal, since a pod must not start with names in place of values."""
    return Reject((Problem("request.object", Reason.CRASH, "an internal error", "none", "see the webhook's log (event review_crashed)"),))


def _check_encoding(body: bytes | bytearray) -> None:
    """msgspec skips over unknown fields without looking at their encoding. Piece by piece, or a large body is held twice."""
    if len(body) <= PIECE:
        body.decode()
        return
    decoder, view = _utf8(), memoryview(body)
    for start in range(0, len(body), PIECE):
        decoder.decode(view[start : start + PIECE])
    decoder.decode(b"", final=True)


def _head(body: bytes | bytearray) -> RawReview:
    try:
        head = RAW_REVIEW.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise BrokenReview(400, "the body is not an AdmissionReview with apiVersion, kind and request.uid") from None
    _check(head)
    return head


def _check(review: Review | RawReview) -> None:
    if review.kind != "AdmissionReview" or review.apiVersion not in API_VERSIONS:
        raise BrokenReview(400, f"the body is not an AdmissionReview of {' or '.join(API_VERSIONS)}")
    if not review.request.uid:
        raise BrokenReview(400, "request.uid is empty")


def _sentence(error: Exception) -> str:
    """msgspec names the type that it expected and the place; it quotes no content."""
    if isinstance(error, RecursionError):
        return "nest it less deeply"
    return f"correct it ({error})".replace("$.request.object", "the pod")
