"""Static keys from a mounted credentials file, in AWS's own format: the last way to log in, for clusters outside of AWS.

    [default]
    aws_access_key_id = ...
    aws_secret_access_key = ...
    aws_session_token = ...        # only with temporary keys

Read again when the file changes, so that keys rotate without a restart. Messages name the file and the field, never what is in it.
"""

import os
from configparser import ConfigParser, Error
from pathlib import Path

from broker.errors import Misconfigured
from broker.stores.aws.keys import Keys
from broker.stores.credential_file import Signature, signature

MAX_BYTES = 64 * 1024


class KeysFile:
    """A `logins.Login`. Making it reads nothing."""

    def __init__(self, place: str, file: str, profile: str) -> None:
        self._place, self._file, self._profile = f"{place}: login: AWS_SHARED_CREDENTIALS_FILE: file {file}", Path(file), profile
        self._known: tuple[Signature, Keys] | None = None

    async def keys(self) -> Keys:
        try:
            if self._known is None or self._known[0] != signature(self._file.stat()):
                self._known = self._read()
        except OSError as error:
            self._known = None
            raise self._fault(f"cannot be read: {error.strerror}") from error
        return self._known[1]

    def expire(self, used: Keys) -> None:
        """Read the file once more: it may have changed within what its times can tell."""
        if self._known is not None and used is self._known[1]:
            self._known = None

    async def close(self) -> None:
        """Nothing is open."""

    def _read(self) -> tuple[Signature, Keys]:
        with self._file.open("rb") as stream:
            found = signature(os.fstat(stream.fileno()))
            content = stream.read(MAX_BYTES)
        parser = ConfigParser(interpolation=None, default_section="\0")  # `[default]` is a profile like any other
        try:
            parser.read_string(content.decode())
            readable = True
        except (Error, ValueError):  # raised below: they quote lines of the file
            readable = False
        if not readable:
            raise self._fault("is no credentials file")
        if not parser.has_section(self._profile):
            raise self._fault(f"has no profile '{self._profile}'")
        fields = parser[self._profile]
        for name in ("aws_access_key_id", "aws_secret_access_key"):
            if not fields.get(name):
                raise self._fault(f"has no {name} in profile '{self._profile}'")
        return found, Keys(fields["aws_access_key_id"], fields["aws_secret_access_key"], fields.get("aws_session_token") or None)

    def _fault(self, found: str) -> Misconfigured:
        return Misconfigured(f"{self._place} {found}. To fix: write [default], aws_access_key_id and aws_secret_access_key into it")
