"""Request headers whose values are in files: a store's static credentials. Read again when a file changes, so rotation needs no restart.

Decides what a header may be called and hold. A message names the header and its file, never what is in it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.errors import Misconfigured
from contract.fqn import shorten
from contract.values import SecretValue

MAX_VALUE_BYTES = 16 * 1024  # servers allow 8 to 16 KiB for a header

# The ones that the client itself sets, or that say how the connection is used.
RESERVED = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "cookie", "expect", "host", "keep-alive"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

_Signature = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    signature: _Signature
    value: SecretValue


class HeaderFiles:
    """Headers by name, each from a file. `current` raises Misconfigured if a file cannot be used now."""

    def __init__(self, place: str, files: Mapping[str, str]) -> None:
        self._place = place
        self._files = {name: Path(file) for name, file in files.items()}
        self._known: dict[str, _Known] = {}
        _check_names(place, files)

    def __bool__(self) -> bool:
        return bool(self._files)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._files)

    def current(self) -> dict[str, SecretValue]:
        return {name: self._value(name, file) for name, file in self._files.items()}

    def _value(self, name: str, file: Path) -> SecretValue:
        known = self._known.get(name)
        try:
            if known is None or known.signature != _signature(file.stat()):
                known = self._known[name] = self._read(name, file)
        except OSError as error:
            self._known.pop(name, None)
            raise self._fault(name, file, f"cannot be read: {error.strerror}") from error
        return known.value

    def _read(self, name: str, file: Path) -> _Known:
        with file.open("rb") as stream:
            signature = _signature(os.fstat(stream.fileno()))  # of the file that is read, whatever the name means a moment later
            content = stream.read(MAX_VALUE_BYTES + 3)
        value = content.removesuffix(b"\n").removesuffix(b"\r")
        if not value:
            raise self._fault(name, file, "is empty")
        if len(value) > MAX_VALUE_BYTES:
            raise self._fault(name, file, f"holds more than {MAX_VALUE_BYTES} bytes")
        if not _VALUE.fullmatch(value):
            raise self._fault(name, file, "holds what a header cannot carry; allowed: one line of printable ASCII without outer blanks")
        return _Known(signature, SecretValue(value))

    def _fault(self, name: str, file: Path, found: str) -> Misconfigured:
        return Misconfigured(f"{self._place}: headerFiles.{name}: file {file} {found}. To fix: put the header's value there, on one line")


def _signature(stat: os.stat_result) -> _Signature:
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def _check_names(place: str, names: Mapping[str, str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not _NAME.fullmatch(name):
            raise Misconfigured(f"{place}: headerFiles: found the name '{shorten(name, 40)}'; allowed: a header's name, e.g. X-Api-Key")
        if name.lower() in RESERVED:
            raise Misconfigured(f"{place}: headerFiles.{name}: the client sets this header itself. To fix: remove it")
        if name.lower() in seen:
            raise Misconfigured(f"{place}: headerFiles.{name}: given twice, in different case. To fix: remove one of the two")
        seen.add(name.lower())
