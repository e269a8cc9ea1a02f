"""What `?version=` may say: a number or label in Parameter Store, a VersionId or stage in Secrets Manager.

What no version can be called is NotFound without a call.
"""

import re

from broker.errors import NotFound

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_LABEL = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]{0,99}")
_RESERVED = ("aws", "ssm")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ID = re.compile(r"[A-Za-z0-9-]{32,64}")  # a client may have made it up: Terraform's begin with terraform-
_STAGE = re.compile(r"[\x21-\x7e]{1,256}")


def is_number(version: str) -> bool:
    return _NUMBER.fullmatch(version) is not None


def selector(place: str, version: str | None) -> str:
    """What stands behind a parameter's name."""
    if version is None:
        return ""
    if not is_number(version) and (not _LABEL.fullmatch(version) or version.lower().startswith(_RESERVED)):
        raise NotFound(f"{place}: no version is called so; allowed: a number, or a label of letters, digits, '_', '.' and '-'")
    return f":{version}"


def choices(place: str, version: str | None) -> list[dict[str, str]]:
    """What to ask Secrets Manager for, one after the other: what may be an id may be a stage too."""
    if version is None:
        return [{}]
    if _UUID.fullmatch(version):
        return [{"VersionId": version}]
    if not _STAGE.fullmatch(version):
        raise NotFound(f"{place}: no version is called so; allowed: a VersionId, or a stage, e.g. AWSPREVIOUS")
    stage = {"VersionStage": version}
    return [{"VersionId": version}, stage] if _ID.fullmatch(version) else [stage]
