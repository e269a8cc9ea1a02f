"""What a path is called in AWS. A managed path is the name itself, character for character, in both services: nothing is mapped.

path                              | Parameter Store                       | Secrets Manager
--------------------------------- | ------------------------------------- | ---------------------------------------
/tfy-secret/<tenant>/<group>/<key> | the parameter's name                 | the secret's name
own path                          | letters, digits, `_.-`, 15 levels     | letters, digits, `/_+=.@-`, 512 characters
ARN                               | ours or one shared with us, read only | full or partial (without -AbCdEf), read only
ARN of a managed secret           | refused                               | refused

The last row keeps a group's roles from being passed by: access is decided by the path, and only the plain spelling of a managed
secret is known there. An ARN must be of the store's service and region, which is where the request goes; AWS decides whether
another account's may be read.
"""

import re

from broker.errors import InvalidRequest
from broker.stores.checks import check_path
from contract.fqn import ROOT

MAX_LEVELS = 15
MAX_PARAMETER_ARN = 1011  # what AWS counts is the name with the ARN in front
MAX_SECRET_NAME = 512
_PARAMETER = re.compile(r"/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_SECRET = re.compile(r"[A-Za-z0-9/_+=.@-]+")
_ARN = re.compile(r"arn:aws[a-z-]{0,12}:([a-z0-9-]+):([a-z0-9-]*):([0-9]{12}):(.+)")
_SECRETS_IN_SSM = "/aws/reference/secretsmanager"
MANAGED_FIX = (
    f"this is another spelling of a path below /{ROOT}/. To fix: managed secrets are named tfy-secret://<tenant>:<group>:<key>, "
    f"others below /{ROOT}/ by their plain path"
)


def is_arn(name: str) -> bool:
    return name.startswith("arn:")


def is_managed(name: str) -> bool:
    """Whether a name lies in the space of managed secrets, in any spelling that a lenient reader takes for it."""
    return [part for part in name.split("/") if part][:1] == [ROOT]


def parameter_name(place: str, path: str, region: str) -> str:
    """A parameter's name or ARN. Raises InvalidRequest."""
    check_path(path)
    if is_arn(path):
        name = _of_arn(place, path, "ssm", region, "parameter/")
    else:
        name = path
        limit = MAX_PARAMETER_ARN - len(f"arn:{_partition(region)}:ssm:{region}:123456789012:parameter{'/' * (path[0] != '/')}")
        if len(name) > limit:
            raise InvalidRequest(f"{place}: found a name of {len(name)} characters; Parameter Store allows at most {limit} in {region}")
    if ":" in name:
        raise InvalidRequest(f"{place}: a parameter's name has no ':'. To fix: name a version or label with ?version=")
    if not _PARAMETER.fullmatch(name) or ("/" in name[1:] and not name.startswith("/")):
        raise InvalidRequest(
            f"{place}: no parameter can have this name; allowed: letters, digits, '_', '.', '-', and a '/' before each level"
        )
    if name.count("/") > MAX_LEVELS:
        raise InvalidRequest(f"{place}: found {name.count('/')} levels; Parameter Store allows {MAX_LEVELS}")
    if name.lower().startswith(_SECRETS_IN_SSM):
        raise InvalidRequest(f"{place}: this is a secret of Secrets Manager. To fix: name it in a SecretStore with awsSecretsManager")
    return path


def secret_id(place: str, path: str, region: str) -> str:
    """A secret's name or ARN. Raises InvalidRequest."""
    check_path(path)
    name = _of_arn(place, path, "secretsmanager", region, "secret:") if is_arn(path) else path
    if not _SECRET.fullmatch(name):
        raise InvalidRequest(f"{place}: no secret can have this name; allowed: letters, digits and /_+=.@-")
    if len(name) > MAX_SECRET_NAME + (len("-AbCdEf") if is_arn(path) else 0):
        raise InvalidRequest(f"{place}: found a name of {len(name)} characters; Secrets Manager allows at most {MAX_SECRET_NAME}")
    return path


def refuse_arn(place: str, name: str) -> None:
    if is_arn(name):
        raise InvalidRequest(f"{place}: what is named by an ARN is read only. To fix: name it by its path")


def _of_arn(place: str, arn: str, service: str, region: str, kind: str) -> str:
    """The name inside an ARN, which may be read by it."""
    found = _ARN.fullmatch(arn)
    if found is None or (found[1] == service and not found[4].startswith(kind)):
        raise InvalidRequest(f"{place}: found an ARN that is none; allowed: arn:aws:{service}:{region}:123456789012:{kind}<name>")
    if found[1] != service:
        raise InvalidRequest(f"{place}: found an ARN of '{found[1]}'; this store is {service}. To fix: a SecretStore of that service")
    if found[2] != region:
        raise InvalidRequest(f"{place}: found an ARN of '{found[2]}'; this store is in {region}. To fix: a SecretStore of that region")
    name = found[4].removeprefix(kind)
    if is_managed(name):
        raise InvalidRequest(f"{place}: {MANAGED_FIX}")
    # A parameter's ARN drops the leading '/' of its name.
    return f"/{name}" if kind == "parameter/" and "/" in name else name


def _partition(region: str) -> str:
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
