"""What AWS's refusals mean: the code that AWS answers with, to the broker's error and a sentence that says who must act.

AWS's own message is looked into for two distinctions and never repeated: it may quote what we sent. A code that is not known is
shown only if it looks like one.
"""

import re
from collections.abc import Callable

from broker.errors import (
    BrokerError,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    SoftDeleted,
    StoreRefused,
    Throttled,
    Unavailable,
)


class Refusal(Exception):
    """An answer of AWS that says no. Never leaves `broker.stores.aws`."""

    def __init__(self, code: str, text: str = "", status: int = 400, retry_after: float | None = None) -> None:
        self.code, self.text, self.status, self.retry_after = code, text.lower(), status, retry_after
        super().__init__(code if _CODE.fullmatch(code) else "unknown")


class NotPermitted(StoreRefused):
    """The role lacks a permission, or may not use a key: this concerns one secret, or one operation, and others may be readable."""


class Expired(StoreRefused):
    """The credentials are past their time: worth a new login, once."""


class Exists(InvalidRequest):
    """There is a secret of that name already."""


class Failing(Unavailable):
    """The service itself answers that it fails."""


_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{2,63}")
_THROTTLES = frozenset(
    {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "RequestLimitExceeded"}
    | {"TooManyRequestsException", "TooManyUpdates", "ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded"}
    | {"LimitExceededException", "LimitExceeded", "BandwidthLimitExceeded", "SlowDown", "PriorRequestNotComplete"}
    | {"TransactionInProgressException", "EC2ThrottledException"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_CREDENTIALS = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature"}
    | {"IncompleteSignatureException", "InvalidAccessKeyId", "InvalidToken", "MissingAuthenticationToken", "RequestTimeTooSkewed"}
    | {"MissingAuthenticationTokenException", "AuthFailure", "OptInRequired", "NotSignedUp"}
)
_ABSENT = frozenset({"ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFoundException"})
_KEY = frozenset({"InvalidKeyId", "DecryptionFailure", "EncryptionFailure"})  # and all that begin with KMS
_INVALID = frozenset(
    {"ValidationException", "ValidationError", "InvalidParameterException", "InvalidParameterValue", "InvalidRequestException"}
    | {"ParameterPatternMismatchException", "HierarchyLevelLimitExceededException", "UnsupportedParameterType", "SerializationException"}
    | {"InvalidAllowedPatternException"}
)
_OUTAGES = frozenset({"InternalServerError", "InternalServiceError", "InternalFailure", "ServiceUnavailable"})

_SENTENCES: dict[str, tuple[type[BrokerError], str]] = {
    "ResourceExistsException": (Exists, "there is a secret of that name already"),
    "ParameterMaxVersionLimitExceeded": (
        InvalidRequest,
        "the parameter has 100 versions and the oldest has a label, which AWS keeps. To fix: aws ssm unlabel-parameter-version",
    ),
    "ParameterLimitExceeded": (
        StoreRefused,
        "the account has as many parameters in this region as AWS allows. To fix: delete some, or ask AWS for a higher quota",
    ),
    "HierarchyTypeMismatchException": (
        InvalidRequest,
        "the parameter is there and is no SecureString, and AWS does not change a parameter's type. To fix: delete it and write it again",
    ),
    "RegionDisabledException": (Misconfigured, "STS is switched off in this region. To fix: switch it on in the account's settings"),
    "IDPCommunicationError": (Unavailable, "STS cannot reach the cluster's OIDC provider"),
    "InvalidIdentityToken": (
        StoreRefused,
        "STS does not accept the token. To fix: register the cluster's OIDC provider with the account, for sts.amazonaws.com",
    ),
    "IDPRejectedClaim": (
        StoreRefused,
        "STS says that the token has ended, or is for another audience. To fix: the audience of the mounted token",
    ),
}


def explain(place: str, permission: str, refusal: Refusal) -> BrokerError:
    """`permission` is the one that the call needs, e.g. ssm:GetParameter."""
    code = refusal.code.rpartition("#")[2].partition(":")[0]
    for meant, reason in _REASONS:
        if meant(code, refusal.status):
            return reason(place, permission, code, refusal)
    return Malformed(
        f"{place}: {permission} is answered with {_shown(code, refusal)}, which AWS does not say. To fix: is the endpoint the service's?"
    )


def _shown(code: str, refusal: Refusal) -> str:
    """A proxy or a faulty service may have put anything in the code's place."""
    return code if _CODE.fullmatch(code) else f"status {refusal.status}"


def _throttled(place: str, _permission: str, code: str, refusal: Refusal) -> BrokerError:
    quota = ", or a quota of the account is used up" if code.startswith("LimitExceeded") else ""
    return Throttled(f"{place}: AWS asks for fewer calls ({_shown(code, refusal)}){quota}", refusal.retry_after)


def _known(place: str, _permission: str, code: str, _refusal: Refusal) -> BrokerError:
    kind, sentence = _SENTENCES[code]
    return kind(f"{place}: {sentence} ({code})")


def _denied(place: str, permission: str, code: str, refusal: Refusal) -> BrokerError:
    if "kms" in refusal.text or "ciphertext" in refusal.text:
        return _key(place, permission, code, refusal)
    return NotPermitted(
        f"{place}: AWS does not allow {permission} ({_shown(code, refusal)}). To fix: allow it in the policy of the broker's role"
    )


def _key(place: str, _permission: str, code: str, refusal: Refusal) -> BrokerError:
    return NotPermitted(
        f"{place}: the KMS key cannot be used ({_shown(code, refusal)}). To fix: enable the key, and allow the broker's role "
        "kms:Decrypt on it (kms:GenerateDataKey too, to write), in the role's policy and the key's"
    )


def _expired(place: str, _permission: str, code: str, _refusal: Refusal) -> BrokerError:
    return Expired(f"{place}: AWS says that the broker's credentials have expired ({code}). To fix: is the mounted token or file renewed?")


def _credentials(place: str, _permission: str, code: str, _refusal: Refusal) -> BrokerError:
    return StoreRefused(
        f"{place}: AWS does not accept the broker's credentials ({code}). To fix: are they of this partition and account, unchanged, "
        "and is the node's clock right?"
    )


def _absent(place: str, _permission: str, code: str, refusal: Refusal) -> BrokerError:
    version = code == "ParameterVersionNotFound" or "version" in refusal.text or "staging label" in refusal.text
    return NotFound(f"{place}: AWS has no such {'version' if version else 'secret'} ({code})")


def _invalid(place: str, _permission: str, code: str, refusal: Refusal) -> BrokerError:
    if code == "InvalidRequestException" and "delet" in refusal.text:
        return SoftDeleted(
            f"{place}: the secret is deleted, and AWS keeps it for its recovery window. To fix: write it again, or bring it back "
            "(aws secretsmanager restore-secret)"
        )
    return InvalidRequest(f"{place}: AWS says that the name, version or value is not acceptable ({code})")


def _failing(place: str, _permission: str, code: str, refusal: Refusal) -> BrokerError:
    return Failing(f"{place}: AWS fails ({code if code in _OUTAGES else f'status {refusal.status}'})", refusal.retry_after)


def _redirect(place: str, _permission: str, _code: str, refusal: Refusal) -> BrokerError:
    return Misconfigured(
        f"{place}: the endpoint answers with a redirect ({refusal.status}), which is not followed. To fix: put the final URL in endpoint"
    )


# The first that holds; a status decides where the code is not known.
_REASONS: tuple[tuple[Callable[[str, int], bool], Callable[[str, str, str, Refusal], BrokerError]], ...] = (
    (lambda code, status: code in _THROTTLES or "hrottl" in code or status == 429, _throttled),
    (lambda code, _: code in _SENTENCES, _known),
    (lambda code, _: code in _EXPIRED, _expired),
    (lambda code, _: code in _CREDENTIALS, _credentials),
    (lambda code, _: code in _ABSENT, _absent),
    (lambda code, _: code in _KEY or code.startswith("KMS"), _key),
    (lambda code, _: code in _INVALID, _invalid),
    (lambda code, status: code in _OUTAGES or status >= 500, _failing),
    (lambda code, status: code in _DENIED or status in (401, 403), _denied),
    (lambda _, status: 300 <= status < 400, _redirect),
)
