"""What Google's errors mean, by their status code, and who must act. The service's own text is not repeated: it may quote anything.

code                                   | error
-------------------------------------- | --------------------------------------------------------------
NOT_FOUND                              | NotFound
FAILED_PRECONDITION                    | Disabled; NotFound for a version that was destroyed
PERMISSION_DENIED, UNAUTHENTICATED     | StoreRefused: which role is missing, which login is not accepted
INVALID_ARGUMENT, OUT_OF_RANGE         | InvalidRequest
RESOURCE_EXHAUSTED                     | Throttled, with the delay that the service asks for
UNIMPLEMENTED                          | Misconfigured: something else answers there
DATA_LOSS                              | Malformed
all others                             | Unavailable: try again; NotSent where there was no connection

The text is looked at for one thing alone, to tell errors apart that share a code; a lie there changes a sentence, not a decision.
"""

from google.api_core.exceptions import GoogleAPICallError
from google.rpc.error_details_pb2 import RetryInfo
from grpc import StatusCode

from broker.errors import (
    BrokerError,
    Disabled,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    NotSent,
    StoreRefused,
    Throttled,
    Unavailable,
)

LONGEST_DELAY = 3600.0
# What Google says in ErrorInfo.reason when it is not a role that is missing.
_SWITCHED_OFF = frozenset({"SERVICE_DISABLED", "BILLING_DISABLED", "CONSUMER_INVALID", "CONSUMER_SUSPENDED", "API_KEY_SERVICE_BLOCKED"})
_CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification Check failed", "certificate verify failed")


def failure(place: str, role: str, error: GoogleAPICallError) -> BrokerError:
    """`place` begins the sentence; `role` is the smallest that allows what was tried."""
    match code_of(error):
        case StatusCode.NOT_FOUND:
            return NotFound(f"{place}: the project has no such secret or version")
        case StatusCode.FAILED_PRECONDITION:
            return _not_usable(place, error)
        case StatusCode.PERMISSION_DENIED:
            return _denied(place, role, error)
        case StatusCode.UNAUTHENTICATED:
            return StoreRefused(
                f"{place}: Google does not accept our login (UNAUTHENTICATED). To fix: the service account or workload identity behind the "
                "broker; it may be deleted, disabled, or of another audience"
            )
        case StatusCode.INVALID_ARGUMENT | StatusCode.OUT_OF_RANGE:
            return InvalidRequest(f"{place}: the service says that the name, version or value is not acceptable (INVALID_ARGUMENT)")
        case StatusCode.RESOURCE_EXHAUSTED:
            return _exhausted(place, error)
        case StatusCode.UNIMPLEMENTED:
            return Misconfigured(f"{place}: what answers there is not Secret Manager (UNIMPLEMENTED). To fix: is endpoint right?")
        case StatusCode.DATA_LOSS:
            return Malformed(f"{place}: the service says that the data is damaged (DATA_LOSS). To fix: write the secret again")
        case code:
            return _unavailable(place, code, error)


def code_of(error: GoogleAPICallError) -> StatusCode | None:
    code = error.grpc_status_code
    return code if isinstance(code, StatusCode) else None


def text_of(error: GoogleAPICallError) -> str:
    return str(error.message or "")


def _not_usable(place: str, error: GoogleAPICallError) -> BrokerError:
    text = text_of(error)
    if "DESTROYED" in text:
        return NotFound(f"{place}: the version was destroyed, which is final. To fix: write the value again, or name another version")
    if "DISABLED" in text:
        return Disabled(f"{place}: the version is disabled. To fix: enable it (gcloud secrets versions enable), or name another version")
    return Disabled(f"{place}: the version is disabled or destroyed, or the project's policy forbids this (FAILED_PRECONDITION)")


def _denied(place: str, role: str, error: GoogleAPICallError) -> BrokerError:
    if error.reason in _SWITCHED_OFF:
        return StoreRefused(
            f"{place}: the project cannot be used ({error.reason}). To fix: enable secretmanager.googleapis.com and billing in it, or "
            "correct its name"
        )
    return StoreRefused(
        f"{place}: the broker may not do this (PERMISSION_DENIED), or the secret or project does not exist. To fix: grant {role} on the "
        "secret or the project to the broker's service account or workload identity"
    )


def _exhausted(place: str, error: GoogleAPICallError) -> BrokerError:
    if "larger than max" in text_of(error):  # gRPC's own sentence, made on this side
        return Malformed(f"{place}: an answer larger than any that Secret Manager gives. To fix: is endpoint right?")
    return Throttled(f"{place}: the project's quota is used up (RESOURCE_EXHAUSTED)", _delay(error))


def _delay(error: GoogleAPICallError) -> float | None:
    for detail in error.details:
        if isinstance(detail, RetryInfo):
            seconds = float(detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9)
            return min(max(0.0, seconds), LONGEST_DELAY)
    return None


def _unavailable(place: str, code: StatusCode | None, error: GoogleAPICallError) -> BrokerError:
    if code is StatusCode.UNAVAILABLE and any(words in text_of(error) for words in _CERTIFICATE):
        return Misconfigured(
            f"{place}: the endpoint's certificate is not accepted. To fix: correct its names or validity, or name its CA's file in "
            "SSL_CERT_FILE"
        )
    if code is StatusCode.UNAVAILABLE and text_of(error).startswith("failed to connect"):  # gRPC's own sentence too
        return NotSent(f"{place}: the endpoint cannot be reached")
    if code is StatusCode.DEADLINE_EXCEEDED:
        return Unavailable(f"{place}: no answer in time (DEADLINE_EXCEEDED)")
    return Unavailable(f"{place}: the service cannot be reached or fails ({code.name if code else 'no status'})")
