"""The ways in: how the broker becomes a token of Vault's, from what is mounted into its pod. Nothing static is needed but with tokenFile.

way        | sent to auth/<path>/login      | files, read again when they change
---------- | ------------------------------ | --------------------------------------------------------
kubernetes | role, jwt                      | the pod's own token, or a projected one with an audience
jwt        | role, jwt                      | tokenFile
appRole    | role_id, secret_id             | roleIdFile, secretIdFile
tokenFile  | (the token itself)             | tokenFile

Decides nothing about when: that is `tokens`'.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from broker.errors import BrokerError, Malformed, Misconfigured, StoreRefused
from broker.stores.credential_file import CredentialFile
from broker.stores.exchange import Answer
from broker.stores.vault.answers import parsed
from broker.stores.vault.entry import encoded
from broker.stores.vault.errors import failure, said
from broker.stores.vault.names import parse_mount
from contract.values import SecretValue

POD_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a file's name
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")  # a header must carry it
Ask = Callable[[str, str, bytes | None, SecretValue | None], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, and for how many seconds it holds (0: for good, as far as we know)."""

    token: SecretValue
    seconds: float
    renewable: bool


class Login(Protocol):
    """`place` begins messages. `ours`: the token was made for us, and is given back when the store is closed."""

    place: str
    ours: bool

    def credentials(self) -> SecretValue:
        """What is mounted now; the same for as long as the files are. Raises Misconfigured."""
        ...

    async def grant(self, credentials: SecretValue, ask: Ask) -> Grant:
        """Raises StoreRefused, Misconfigured, Malformed and what a request raises."""
        ...


class _Auth(msgspec.Struct):
    client_token: str
    lease_duration: int
    renewable: bool


class _AuthAnswer(msgspec.Struct):
    auth: _Auth


class _Lookup(msgspec.Struct):
    ttl: int = 0
    renewable: bool = False


class _LookupAnswer(msgspec.Struct):
    data: _Lookup


def granted(place: str, answer: Answer) -> Grant:
    """From the answer to a login or a renewal. Raises Malformed."""
    found = parsed(_AuthAnswer, answer.body)
    if found is None or not _TOKEN.fullmatch(found.auth.client_token):
        raise Malformed(f"{place}: the answer holds no token. To fix: is vault.address right?")
    return Grant(SecretValue(found.auth.client_token.encode()), max(0.0, found.auth.lease_duration), found.auth.renewable)


class MethodLogin:
    """At an auth method: a body of fields, of which some are in files."""

    ours = True

    def __init__(self, place: str, path: str, fields: Mapping[str, str | CredentialFile], fix: str) -> None:
        self.place, self._path, self._fields, self._fix = place, path, dict(fields), fix

    def credentials(self) -> SecretValue:
        return SecretValue(encoded({name: _text(field) for name, field in self._fields.items()}))

    async def grant(self, credentials: SecretValue, ask: Ask) -> Grant:
        place = f"{self.place}: login at auth/{self._path}"
        answer = await ask("POST", f"/v1/auth/{quote(self._path)}/login", credentials.reveal(), None)
        if answer.status != 200:
            raise self._refusal(place, answer)
        return granted(place, answer)

    def _refusal(self, place: str, answer: Answer) -> BrokerError:
        if answer.status in {400, 401, 403}:
            return StoreRefused(f"{place}: refused ({answer.status}). To fix: {self._fix}")
        if answer.status == 404 and "namespace" not in said(answer):
            return Misconfigured(f"{place}: there is no such auth method. To fix: enable it, or name its path")
        return failure(place, answer, "the login")


class FileLogin:
    """A token that someone else keeps alive, such as an agent's."""

    ours = False

    def __init__(self, place: str, file: CredentialFile) -> None:
        self.place, self._file = place, file

    def credentials(self) -> SecretValue:
        return self._file.current()

    async def grant(self, credentials: SecretValue, ask: Ask) -> Grant:
        """A token whose policies do not let it look at itself (403) is used as it is; if it is no good, the read tells."""
        answer = await ask("GET", "/v1/auth/token/lookup-self", None, credentials)
        if answer.status == 403:
            return Grant(credentials, 0.0, renewable=False)
        if answer.status != 200:
            raise failure(f"{self.place}: look at the token", answer, "capability 'read' on 'auth/token/lookup-self'")
        found = parsed(_LookupAnswer, answer.body)
        if found is None:
            raise Malformed(f"{self.place}: the answer about the token is not Vault's. To fix: is vault.address right?")
        return Grant(credentials, max(0.0, found.data.ttl), found.data.renewable)


def _text(field: str | CredentialFile) -> str:
    return field if isinstance(field, str) else field.current().reveal().decode()


def open_login(store: str, auth: Mapping[str, Any]) -> Login:
    """`auth` is the manifest's. Reads no file; raises Misconfigured for a path that cannot be one."""
    ((way, given),) = auth.items()
    label = f"{store}: vault.auth.{way}"

    def file(field: str, fix: str, default: str = "") -> CredentialFile:
        return CredentialFile(f"{label}.{field}", given.get(field) or default, fix)

    if way == "tokenFile":
        return FileLogin(label, CredentialFile(label, given, "put a token there, on one line"))
    path = parse_mount(f"{label}.path", given.get("path") or way.lower())
    if way == "appRole":
        fields: dict[str, str | CredentialFile] = {
            "role_id": file("roleIdFile", "put the role id there, on one line"),
            "secret_id": file("secretIdFile", "put a secret id there, on one line"),
        }
        return MethodLogin(label, path, fields, "put a role id and a secret id that are valid into roleIdFile and secretIdFile")
    token = file("tokenFile", "mount a projected service account token there", POD_TOKEN)
    fix = f"there must be such an auth method, and its role '{given['role']}' take the token's service account, audience and issuer"
    return MethodLogin(label, path, {"role": given["role"], "jwt": token}, fix)
