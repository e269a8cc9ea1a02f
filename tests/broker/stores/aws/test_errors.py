"""What each refusal of AWS means, and who must act."""

import re

import pytest

from broker.errors import BrokerError, InvalidRequest, Malformed, Misconfigured, NotFound, SoftDeleted, StoreRefused, Throttled, Unavailable
from broker.stores.aws.errors import Exists, Expired, Failing, NotPermitted, Refusal, explain

CASES: list[tuple[Refusal, type[BrokerError], str]] = [
    *[
        (Refusal(code, "Rate exceeded", 400, 7.0), Throttled, f"p: AWS asks for fewer calls ({code})")
        for code in ("ThrottlingException", "TooManyUpdates", "RequestLimitExceeded", "ProvisionedThroughputExceededException")
        + ("Throttling", "RequestThrottled", "TooManyRequestsException", "SlowDown", "KMSThrottlingException")
    ],
    (Refusal("", "", 429), Throttled, "p: AWS asks for fewer calls (status 429)"),
    (Refusal("LimitExceededException"), Throttled, "(LimitExceededException), or a quota of the account is used up"),
    (
        Refusal("AccessDeniedException"),
        NotPermitted,
        "p: AWS does not allow ssm:GetParameter (AccessDeniedException). To fix: allow it in the policy",
    ),
    (Refusal("<html>", "", 403), NotPermitted, "p: AWS does not allow ssm:GetParameter (status 403)"),
    (
        Refusal("AccessDeniedException", "User is not authorized to perform: kms:Decrypt"),
        NotPermitted,
        "the KMS key cannot be used (AccessDeniedException)",
    ),
    (
        Refusal("AccessDeniedException", "The ciphertext refers to a key that does not exist"),
        NotPermitted,
        "allow the broker's role kms:Decrypt on it",
    ),
    (Refusal("InvalidKeyId"), NotPermitted, "the KMS key cannot be used (InvalidKeyId). To fix: enable the key"),
    (Refusal("DecryptionFailure"), NotPermitted, "the KMS key cannot be used (DecryptionFailure)"),
    (Refusal("EncryptionFailure"), NotPermitted, "kms:GenerateDataKey too, to write"),
    (Refusal("KMSInvalidStateException"), NotPermitted, "the KMS key cannot be used (KMSInvalidStateException)"),
    (
        Refusal("ExpiredTokenException"),
        Expired,
        "credentials have expired (ExpiredTokenException). To fix: is the mounted token or file renewed?",
    ),
    (Refusal("ExpiredToken", "", 403), Expired, "credentials have expired"),
    (
        Refusal("UnrecognizedClientException"),
        StoreRefused,
        "AWS does not accept the broker's credentials (UnrecognizedClientException). To fix:",
    ),
    (Refusal("InvalidSignatureException", "", 403), StoreRefused, "is the node's clock right?"),
    (Refusal("ParameterNotFound"), NotFound, "p: AWS has no such secret (ParameterNotFound)"),
    (Refusal("ParameterVersionNotFound"), NotFound, "p: AWS has no such version (ParameterVersionNotFound)"),
    (Refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret."), NotFound, "AWS has no such secret"),
    (
        Refusal("ResourceNotFoundException", "can't find the specified secret value for staging label: X"),
        NotFound,
        "AWS has no such version",
    ),
    (
        Refusal("InvalidRequestException", "because it was marked for deletion."),
        SoftDeleted,
        "the secret is deleted, and AWS keeps it for its recovery window",
    ),
    (Refusal("InvalidRequestException", "something else"), InvalidRequest, "is not acceptable (InvalidRequestException)"),
    (Refusal("ValidationException"), InvalidRequest, "the name, version or value is not acceptable (ValidationException)"),
    (Refusal("ResourceExistsException"), Exists, "there is a secret of that name already"),
    (Refusal("ParameterMaxVersionLimitExceeded"), InvalidRequest, "To fix: aws ssm unlabel-parameter-version"),
    (Refusal("ParameterLimitExceeded"), StoreRefused, "ask AWS for a higher quota"),
    (Refusal("HierarchyTypeMismatchException"), InvalidRequest, "is no SecureString"),
    (Refusal("InternalServerError", "", 500), Failing, "p: AWS fails (InternalServerError)"),
    (Refusal("502", "<html>", 502, 3.0), Failing, "p: AWS fails (status 502)"),
    (Refusal("302", "", 302), Misconfigured, "answers with a redirect (302), which is not followed. To fix: put the final URL in endpoint"),
    (Refusal("RegionDisabledException", "", 403), Misconfigured, "STS is switched off in this region"),
    (Refusal("IDPCommunicationError"), Unavailable, "STS cannot reach the cluster's OIDC provider"),
    (Refusal("InvalidIdentityToken"), StoreRefused, "register the cluster's OIDC provider"),
    (Refusal("IDPRejectedClaim", "", 403), StoreRefused, "the audience of the mounted token"),
    (
        Refusal("com.amazon.coral.service#UnknownOperationException"),
        Malformed,
        "is answered with UnknownOperationException, which AWS does not say",
    ),
    (Refusal("canary value 91c2!", "", 418), Malformed, "ssm:GetParameter is answered with status 418"),
]


@pytest.mark.parametrize(
    ("refusal", "kind", "text"), CASES, ids=[f"{case[0].code}-{case[0].status}-{number}" for number, case in enumerate(CASES)]
)
def test_each_refusal_says_who_must_act(refusal: Refusal, kind: type[BrokerError], text: str) -> None:
    error = explain("p", "ssm:GetParameter", refusal)
    assert type(error) is kind
    assert re.search(re.escape(text), error.message), error.message
    assert "canary" not in error.message + str(refusal)


def test_what_aws_asks_to_wait_is_passed_on() -> None:
    assert [explain("p", "x", Refusal("ThrottlingException", retry_after=7.0)).retry_after] == [7.0]
    assert [explain("p", "x", Refusal("", "", 503, retry_after=3.0)).retry_after] == [3.0]
