"""A file with one credential on one line: a token, a JWT, a secret id, a header. Read again when it changes: rotation needs no restart.

Decides what such a file may hold: what an HTTP header can carry, which is also what a token is made of. A message names the
field and its file, never what is in it.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from broker.errors import Misconfigured
from contract.values import SecretValue

MAX_BYTES = 16 * 1024  # servers allow 8 to 16 KiB for a header
_LINE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

Signature = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    signature: Signature
    value: SecretValue


class CredentialFile:
    """`label` is the manifest's field, with what stands before it; `fix` says what to put into the file."""

    def __init__(self, label: str, file: str, fix: str) -> None:
        self.label, self.file, self._fix = label, Path(file), fix
        self._known: _Known | None = None

    def current(self) -> SecretValue:
        """Raises Misconfigured if the file cannot be used now."""
        try:
            if self._known is None or self._known.signature != signature(self.file.stat()):
                self._known = self._read()
        except OSError as error:
            self._known = None
            raise self._fault(f"cannot be read: {error.strerror}") from error
        return self._known.value

    def _read(self) -> _Known:
        with self.file.open("rb") as stream:
            found = signature(os.fstat(stream.fileno()))  # of the file that is read, whatever the name means a moment later
            content = stream.read(MAX_BYTES + 3)
        value = content.removesuffix(b"\n").removesuffix(b"\r")
        if not value:
            raise self._fault("is empty")
        if len(value) > MAX_BYTES:
            raise self._fault(f"holds more than {MAX_BYTES} bytes")
        if not _LINE.fullmatch(value):
            raise self._fault("holds what a header cannot carry; allowed: one line of printable ASCII without outer blanks")
        return _Known(found, SecretValue(value))

    def _fault(self, found: str) -> Misconfigured:
        return Misconfigured(f"{self.label}: file {self.file} {found}. To fix: {self._fix}")


def signature(stat: os.stat_result) -> Signature:
    """What tells that a file is another one: the inode too, since a mounted secret changes by a rename."""
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
