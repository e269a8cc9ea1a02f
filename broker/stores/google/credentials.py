"""Who the broker is to Google: a token for the next call, from workload identity where there is one.

GOOGLE_APPLICATION_CREDENTIALS      login
----------------------------------- | ---------------------------------------------------------------------------------
not set                             | the metadata server (GKE workload identity, Compute Engine): see `metadata`
a file of type external_account     | workload identity federation: a mounted token, exchanged, with or without a service account
a file of type service_account      | a key that was mounted: it signs tokens itself, nothing is asked
any other                           | refused

The file is read again when it changes. Google's own library does the protocol; what it sends goes through our vetted transport. No
token, key or answer is in any message.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from google.auth import identity_pool
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account

from broker.errors import BrokerError, Malformed, Misconfigured
from broker.stores.addresses import Reach
from broker.stores.google.exchange import Bridge, LoginHttp, origin_of
from broker.stores.google.login import SCOPES, Login, Token
from broker.stores.google.metadata import MetadataServer
from contract.fqn import shorten
from contract.values import SecretValue

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
MAX_FILE_BYTES = 64 * 1024

_SOURCE = "credential_source"
_NEEDED = ("audience", "subject_token_type", "token_url")
_URLS = ("token_url", "service_account_impersonation_url")


class FileSource:
    """Tokens by a credential file. Making it reads nothing."""

    def __init__(self, place: str, file: str, http: LoginHttp, reach: Reach) -> None:
        self._place, self._file = f"{place}: {VARIABLE}: file {file}", Path(file)
        self._http, self._reach = http, reach
        self._credentials: Any = None  # google-auth's, which has hardly any types
        self._signature: tuple[int, ...] | None = None

    def changed(self) -> bool:
        return self._credentials is not None and self._stat() != self._signature

    async def token(self) -> Token:
        if self._credentials is None or self.changed():
            self._credentials = None
            self._signature = self._stat()
            self._credentials = self._load(self._content())
        credentials, bridge = self._credentials, Bridge(self._http)
        problem: BrokerError
        try:
            await asyncio.to_thread(credentials.refresh, bridge)
            return Token(SecretValue(str(credentials.token).encode("ascii")), credentials.expiry.replace(tzinfo=UTC).timestamp())
        except OSError as error:
            problem = Misconfigured(f"{self._place}: {_SOURCE}.file cannot be read: {error.strerror}. To fix: mount the token there")
        except (GoogleAuthError, ValueError, TypeError, KeyError, AttributeError):  # they hold what was sent, or what came back
            if bridge.asked:
                problem = Malformed(f"{self._place}: the login's answer holds no token that can be used")
            else:
                problem = Misconfigured(f"{self._place}: {_SOURCE}.file holds no token. To fix: mount the token there, as its format says")
        raise problem

    async def close(self) -> None:
        await self._http.close()

    def _content(self) -> Mapping[str, Any]:
        try:
            with self._file.open("rb") as stream:
                found = json.loads(stream.read(MAX_FILE_BYTES + 1))
        except OSError as error:
            raise Misconfigured(f"{self._place} cannot be read: {error.strerror}. To fix: mount it into the broker") from None
        except ValueError:  # its message may quote the file
            found = None
        if not isinstance(found, dict):
            raise Misconfigured(f"{self._place} is not a JSON object. To fix: the file that Google Cloud gave you, unchanged")
        return found

    def _load(self, content: Mapping[str, Any]) -> Any:
        kind = content.get("type")
        if kind not in ("external_account", "service_account"):
            raise Misconfigured(
                f"{self._place}: found the type {shorten(str(kind), 40)!r}; allowed: external_account (workload identity federation), "
                "service_account. To fix: another file"
            )
        try:
            if kind == "external_account":
                self._check_federation(content)
                return identity_pool.Credentials.from_info(content, scopes=SCOPES)  # type: ignore[no-untyped-call]
            made = service_account.Credentials.from_service_account_info(content, scopes=SCOPES)  # type: ignore[no-untyped-call]
            return made.with_always_use_jwt_access(True)
        except (GoogleAuthError, ValueError, TypeError, KeyError, AttributeError):
            pass  # raised below: the exception may hold the key
        raise Misconfigured(f"{self._place} is no usable {kind} file. To fix: the file that Google Cloud gave you, unchanged")

    def _check_federation(self, content: Mapping[str, Any]) -> None:
        source = content.get(_SOURCE)
        if not isinstance(source, dict) or not isinstance(source.get("file"), str) or set(source) - {"file", "format"}:
            raise Misconfigured(
                f"{self._place}: {_SOURCE}: allowed: file and format, nothing else; programs, URLs and certificates are not used. "
                "To fix: mount a projected service account token, and name its file"
            )
        if not all(isinstance(content.get(field), str) for field in _NEEDED):
            raise ValueError("a field is missing")
        for field in _URLS:
            if content.get(field) is not None:
                place = f"{self._place}: {field}"
                self._reach.check_url(place, origin_of(place, str(content[field])))

    def _stat(self) -> tuple[int, ...] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def open_login(place: str, reach: Reach, seconds: float, *, tls: bool) -> Login | None:
    """None: no login, which is for an emulator over plain HTTP without a credential file: this machine's identity stays here."""
    file = os.environ.get(VARIABLE)
    if file:
        return Login(FileSource(place, file, LoginHttp(place, reach, seconds), reach))
    return Login(MetadataServer.from_environ(place, reach, seconds)) if tls else None
