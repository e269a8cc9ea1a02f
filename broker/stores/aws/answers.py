"""What AWS's answers hold, as the broker has it. An answer is taken only if it is of the name and version that was asked."""

from datetime import UTC, datetime
from typing import Any

from broker.errors import InvalidRequest, Malformed
from broker.stores.aws.names import MANAGED_FIX, is_arn, is_managed
from broker.stores.store import Stored
from contract.values import SecretValue

_FIX = "To fix: is the endpoint that of the service?"
SUFFIX = len("-AbCdEf")  # what Secrets Manager puts behind the name in an ARN


def parameter_of(place: str, name: str, version: str | None, entry: Any) -> Stored:
    """Raises Malformed. `version` is a number that must be the answer's, or a label, which the answer does not repeat."""
    if not isinstance(entry, dict):
        raise Malformed(f"{place}: the answer has no Parameter. {_FIX}")
    if name not in (entry.get("Name"), entry.get("ARN")):
        raise Malformed(f"{place}: the answer is of another parameter")
    found = number_of(place, entry)
    if version is not None and version.isdigit() and version != found:
        raise Malformed(f"{place}: the answer is of version {found}")
    return Stored(SecretValue(_encoded(place, "Value", entry.get("Value"))), found)


def number_of(place: str, entry: dict[str, Any]) -> str:
    version = entry.get("Version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise Malformed(f"{place}: the answer has no number in Version")
    return str(version)


def secret_of(place: str, name: str, entry: dict[str, Any]) -> Stored:
    """Raises Malformed, and InvalidRequest for a managed secret that was reached by an ARN."""
    if not entry.get("Name") and not entry.get("ARN"):  # a page of HTML, half a document: botocore finds nothing in it
        raise Malformed(f"{place}: the answer names no secret. {_FIX}")
    if not is_of(name, entry):
        raise Malformed(f"{place}: the answer is of another secret")
    if is_arn(name) and is_managed(str(entry.get("Name"))):
        raise InvalidRequest(f"{place}: {MANAGED_FIX}")
    data = entry.get("SecretBinary")
    if not isinstance(data, bytes):
        data = _encoded(place, "SecretString", entry.get("SecretString"))
    return Stored(SecretValue(data), id_of(place, entry))


def is_of(name: str, entry: dict[str, Any]) -> bool:
    """Whether this is the secret that a name, a full ARN or one without its suffix is of."""
    arn = entry.get("ARN")
    return name == entry.get("Name") if not is_arn(name) else isinstance(arn, str) and name in (arn, arn[:-SUFFIX])


def id_of(place: str, entry: dict[str, Any]) -> str:
    version = entry.get("VersionId")
    if not isinstance(version, str) or not version:
        raise Malformed(f"{place}: the answer has no VersionId")
    return version


def utc(moment: Any) -> datetime | None:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else None


def _encoded(place: str, field: str, text: Any) -> bytes:
    try:
        if isinstance(text, str):
            return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and no text can hold
        pass  # raised below: the exception holds the value
    raise Malformed(f"{place}: the answer has no text in {field}")
