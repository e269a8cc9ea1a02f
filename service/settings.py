"""Read settings once, from a mapping that is passed in, and report every fault together.

A program's settings module lists `Setting`s and turns them into one frozen object; docs/settings.md is made from the same lists.
"""

import ipaddress
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from contract.fqn import PART_RULE, is_part
from contract.resources import SUBJECT_FORM, is_subject

T = TypeVar("T")
PREFIX = "TFY_SECRET_"
_USERINFO = re.compile(r"(?<=//)\S*@")  # of a URL: a password may stand there, and faults are printed
_BETWEEN_SUBJECTS = re.compile(r",|\s(?=\s*(?:user|team|serviceaccount|namespace):)")


class SettingsError(ValueError):
    """Everything that is wrong with the environment, one fault a line."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One environment variable. `parse` raises ValueError with what is allowed. `default` None: it must be given."""

    name: str
    parse: Callable[[str], T]
    default: str | None
    doc: str


class Reader:
    """Takes settings from an environment and collects the faults; `finish` raises them.

    A name that is nearly one of ours and is not set is told on standard error. Other names under the prefix may belong to the
    other programs, which may well share an environment.
    """

    def __init__(self, environ: Mapping[str, str], known: tuple[Setting[Any], ...]) -> None:
        self._environ = environ
        self.faults: list[str] = []
        names = [setting.name for setting in known]
        missing = [name for name in names if name not in environ]
        for name in sorted(environ):
            near = get_close_matches(name, missing, 1, 0.9) if name.startswith(PREFIX) and name not in names else []
            if near:
                sys.stderr.write(f"warning: {name} is not a setting of this program; did you mean {near[0]}?\n")

    def read(self, setting: Setting[T]) -> T:
        text = self._environ.get(setting.name, setting.default)
        try:
            if text is None:
                raise ValueError("it must be given")
            return setting.parse(text)
        except ValueError as error:
            found = "nothing" if setting.name not in self._environ else f"'{_USERINFO.sub('...@', text or '')}'"
            self.faults.append(f"{setting.name}: found {found}; {error}")
            return None  # type: ignore[return-value]  # finish() raises before anyone reads it

    def given(self, setting: Setting[T]) -> bool:
        return bool(self._environ.get(setting.name))

    def finish(self) -> None:
        if self.faults:
            raise SettingsError(self.faults)


def text(value: str) -> str:
    return value


def filled(value: str) -> str:
    if not value.strip():
        raise ValueError("allowed: any text but none")
    return value


def fqn_part(value: str) -> str:
    if not is_part(value):
        raise ValueError(f"allowed: {PART_RULE}")
    return value


def flag(value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", ""):
        raise ValueError("allowed: true or false")
    return value.lower() in ("true", "1")


def path(value: str) -> Path:
    return Path(filled(value))


def optional_path(value: str) -> Path | None:
    return Path(value) if value else None


def seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 86400:
        raise ValueError("allowed: seconds, from 0 to 86400")
    return number


def count(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("allowed: a whole number, 0 or more")
    return int(value)


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"allowed: {', '.join(allowed)}")
        return value

    return parse


def names(value: str) -> frozenset[str]:
    """A list separated by commas or white space."""
    return frozenset(part for part in re.split(r"[,\s]+", value) if part)


def subjects(value: str) -> frozenset[str]:
    """A list separated by commas, or by white space before the next one: a team's name may hold blanks."""
    found = frozenset(part.strip() for part in _BETWEEN_SUBJECTS.split(value) if part.strip())
    if not all(is_subject(subject) for subject in found):
        raise ValueError(f"allowed: {SUBJECT_FORM}; several with commas between them")
    return found


def url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("allowed: an https URL such as https://broker.example:8443")
    return value.rstrip("/")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 takes a free one, which the log names."""

    host: str
    port: int


def address(value: str) -> Address:
    """`host:port`; IPv6 in brackets."""
    host, _, port = value.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError("allowed: host:port, e.g. 0.0.0.0:8443")
    host = host.removeprefix("[").removesuffix("]")
    if ":" in host:
        ipaddress.ip_address(host)
    return Address(host or "0.0.0.0", int(port))  # noqa: S104 - a pod listens on every address of its own


def optional_address(value: str) -> Address | None:
    return address(value) if value else None


TENANT = Setting("TFY_SECRET_TENANT", fqn_part, None, "The tenant that this installation serves: the first part of every managed FQN.")
LISTEN = Setting("TFY_SECRET_LISTEN", address, "0.0.0.0:8443", "Where to serve, over TLS (`host:port`; port 0 takes a free one).")
METRICS_LISTEN = Setting(
    "TFY_SECRET_METRICS_LISTEN",
    optional_address,
    "0.0.0.0:9090",
    "Plain HTTP for `/metrics`, `/livez` and `/readyz`; empty turns it off, as TFY_SECRET_MANIFESTS does unless an address is given.",
)
TLS_DIR = Setting("TFY_SECRET_TLS_DIR", optional_path, "", "Folder with `tls.crt`, `tls.key` and `ca.crt`, reloaded when they change.")
MANIFESTS = Setting(
    "TFY_SECRET_MANIFESTS", optional_path, "", "Folder of SecretStore and SecretGroup manifests; when set, no Kubernetes API is used."
)
LOG_LEVEL = Setting("TFY_SECRET_LOG_LEVEL", choice("debug", "info", "warning", "error"), "info", "The least level that is logged.")
TENANT_ADMINS = Setting(
    "TFY_SECRET_TENANT_ADMINS", subjects, "", "Subjects (comma-separated) that have every role in every group, e.g. `team:platform`."
)


def metrics_listen(reader: Reader) -> Address | None:
    """Off-cluster webhook and broker share a machine, and one port would not do for both: there it is on only when asked for."""
    address = reader.read(METRICS_LISTEN)
    return address if reader.given(METRICS_LISTEN) or not reader.given(MANIFESTS) else None


COMMON: tuple[Setting[Any], ...] = (TENANT, LISTEN, METRICS_LISTEN, TLS_DIR, MANIFESTS, LOG_LEVEL, TENANT_ADMINS)
