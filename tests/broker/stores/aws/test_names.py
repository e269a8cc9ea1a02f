"""What a path is called in AWS: managed names verbatim, own names within each service's rules, no second spelling of a managed one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidRequest, NotFound
from broker.stores.aws.names import is_managed, parameter_name, secret_id
from broker.stores.aws.versions import choices, selector

REGION = "eu-west-1"
SSM, SECRET = "arn:aws:ssm:eu-west-1:123456789012:parameter/", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
NAMES = {"parameter": parameter_name, "secret": secret_id}
part = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,30}[A-Za-z0-9])?", fullmatch=True)


@given(part, part, part)
def test_a_managed_path_is_the_name_itself_in_both(tenant: str, group: str, key: str) -> None:
    """So there are never two paths for one name, and nothing to decode."""
    path = f"/tfy-secret/{tenant}/{group}/{key}"
    assert parameter_name("p", path, REGION) == secret_id("p", path, REGION) == path
    assert is_managed(path)


@given(st.text(max_size=60))
def test_what_is_let_through_is_what_aws_takes(path: str) -> None:
    for name in NAMES.values():
        try:
            assert name("p", path, REGION) == path
        except InvalidRequest:
            continue
        assert re.fullmatch(r"[A-Za-z0-9/_.+=@-]+", path)


@pytest.mark.parametrize(
    "path", ["/mail/smtp-key", "smtp", "/smtp", "/A.b_c-D/1", "/aws/service/x", "/" + "x" * 966, "x" * 966, SSM + "mail/key", SSM + "key"]
)
def test_names_of_parameters(path: str) -> None:
    assert parameter_name("p", path, REGION) == path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/mail//key", "no parameter can have this name"),
        ("//mail/key", "no parameter can have this name"),
        ("/mail/", "no parameter can have this name"),
        ("mail/key", "no parameter can have this name"),
        ("/mail/a b", "no parameter can have this name"),
        ("/mail/p\u00e4ss", "no parameter can have this name"),
        ("/mail/\uff41", "no parameter can have this name"),
        ("/mail/key:3", "a parameter's name has no ':'. To fix: name a version or label with ?version="),
        (SSM + "mail/key:label", "a parameter's name has no ':'"),
        ("/a" * 16, "found 16 levels; Parameter Store allows 15"),
        ("/" + "x" * 967, "found a name of 968 characters; Parameter Store allows at most 967 in eu-west-1"),
        ("/aws/reference/secretsmanager//tfy-secret/acme/g/K", "no parameter can have this name"),
        ("/aws/reference/secretsmanager/tfy-secret/acme/g/K", "To fix: name it in a SecretStore with awsSecretsManager"),
        (SSM + "aws/reference/secretsmanager/x", "To fix: name it in a SecretStore with awsSecretsManager"),
        (SSM.replace("eu-west-1", "us-east-1") + "a", "found an ARN of 'us-east-1'; this store is in eu-west-1. To fix: a SecretStore"),
        (SECRET + "a", "found an ARN of 'secretsmanager'; this store is ssm. To fix: a SecretStore of that service"),
        (
            "arn:aws:ssm:eu-west-1:1234:parameter/a",
            "found an ARN that is none; allowed: arn:aws:ssm:eu-west-1:123456789012:parameter/<name>",
        ),
        ("arn:aws:ssm:eu-west-1:123456789012:document/a", "found an ARN that is none"),
    ],
)
def test_names_that_no_parameter_has(path: str, found: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(found)):
        parameter_name("p", path, REGION)


@pytest.mark.parametrize(
    "path", ["/mail/smtp-key", "smtp", "mail/k_+=.@-", "ends-in-abc123", SECRET + "mail/key-AbCdEf", SECRET + "mail/key"]
)
def test_names_of_secrets(path: str) -> None:
    assert secret_id("p", path, REGION) == path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/mail/a b", "no secret can have this name; allowed: letters, digits and /_+=.@-"),
        ("/mail/key:1", "no secret can have this name"),
        ("x" * 513, "found a name of 513 characters; Secrets Manager allows at most 512"),
        (SECRET + "x" * 520, "found a name of 520 characters"),
        (SSM + "a", "found an ARN of 'ssm'; this store is secretsmanager"),
        (SECRET.replace("eu-west-1", "eu-west-2") + "a", "found an ARN of 'eu-west-2'"),
        (SECRET + "a:SecretString:b", "no secret can have this name"),
        ("arn:evil:secretsmanager:eu-west-1:123456789012:secret:a", "found an ARN that is none"),
    ],
)
def test_names_that_no_secret_has(path: str, found: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(found)):
        secret_id("p", path, REGION)


@pytest.mark.parametrize(
    "name",
    [
        "/tfy-secret/acme/g/K",
        "tfy-secret/acme/g/K",
        "//tfy-secret/acme/g/K",
        "/tfy-secret//acme/g/K",
        "/tfy-secret/other/x",
        "/tfy-secret/acme/g/K-AbCdEf",
    ],
)
@pytest.mark.parametrize(("service", "arn"), [("parameter", SSM), ("parameter", SSM[:-1]), ("secret", SECRET)])
def test_an_arn_is_no_second_spelling_of_a_managed_secret(service: str, arn: str, name: str) -> None:
    """Group roles know the plain path alone; an ARN would pass them by. Another account's too: it may share its managed secrets."""
    for account in ("123456789012", "999999999999"):
        with pytest.raises(InvalidRequest, match="managed secrets are named tfy-secret://|an ARN that is none"):
            NAMES[service]("p", arn.replace("123456789012", account) + name, REGION)


@pytest.mark.parametrize(("version", "behind"), [(None, ""), ("3", ":3"), ("live", ":live"), ("a.b_c-1", ":a.b_c-1")])
def test_versions_of_parameters(version: str | None, behind: str) -> None:
    assert selector("p", version) == behind


@pytest.mark.parametrize("version", ["", "0", "-0 ", "03", "1a", "\u0661", "9" * 19, "aws-x", "SSMx", "a:b", "a/b", "x" * 101, "1\n"])
def test_versions_that_no_parameter_has(version: str) -> None:
    with pytest.raises(NotFound, match="no version is called so; allowed: a number, or a label"):
        selector("p", version)


def test_versions_of_secrets() -> None:
    uuid, terraform = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "terraform-20240212161600000000000001"
    assert choices("p", None) == [{}]
    assert choices("p", "AWSPREVIOUS") == [{"VersionStage": "AWSPREVIOUS"}]
    assert choices("p", uuid) == [{"VersionId": uuid}]
    assert choices("p", terraform) == [{"VersionId": terraform}, {"VersionStage": terraform}]
    for version in ("", "\u0661", "x" * 257, "a b", "a\n"):
        with pytest.raises(NotFound, match="allowed: a VersionId, or a stage, e.g. AWSPREVIOUS"):
            choices("p", version)
