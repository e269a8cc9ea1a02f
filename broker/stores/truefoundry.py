"""Client of TrueFoundry's control plane: its secrets by their own names, read alone, as its documented endpoint gives them.

    GET {baseUrl}/api/svc/v1/control-plane/secret?secret_ref=tfy-secret://<tenant>:<group>:<key>     200 {"value": "..."}, 404

path                    | secret_ref
----------------------- | -----------------------------------------------------------
/tfy-secret/<t>/<g>/<K> | tfy-secret://t:g:K
<t>:<g>:<K>             | the same; not of our own tenant, whose names have roles here
tfy-secret://<t>:<g>:<K>| the same

The endpoint knows no versions and no writing, and there is no other: those are Unsupported. Values are text, exactly.
"""

import re
from urllib.parse import quote

import msgspec

from broker.errors import (
    BrokerError,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    StoreRefused,
    Throttled,
    TooLarge,
    Unavailable,
    Unsupported,
)
from broker.stores.checks import check_path, shown
from broker.stores.credential_file import CredentialFile
from broker.stores.exchange import Answer, Exchange, Patience
from broker.stores.headers import HeaderFiles
from broker.stores.registry import StoreSettings
from broker.stores.store import Stored, StoredVersion
from contract.fqn import MANAGED_FORM, ROOT, SCHEME, is_part
from contract.resources import SecretStore
from contract.values import SecretValue
from contract.wire import MAX_VALUE_BYTES

ENDPOINT = "/api/svc/v1/control-plane/secret"
NOBODYS = f"{SCHEME}tfy-secret-check:health:health"  # what `healthy` asks for: well-formed, and of a tenant that nobody has


class _Secret(msgspec.Struct):
    value: str


_SECRET = msgspec.json.Decoder(_Secret)


class TrueFoundry:
    """A StoreClient. Making it reads no file and opens no connection; raises Misconfigured for what the manifest shows."""

    def __init__(self, store: SecretStore, settings: StoreSettings, *, patience: Patience | None = None) -> None:
        self.place = place = f"SecretStore {store.name}"
        url = settings.reach.check_url(f"{place}: truefoundry.baseUrl", store.settings["baseUrl"])
        fix = "put a token of TrueFoundry's there, such as the cluster's, on one line"
        self._token = CredentialFile(f"{place}: truefoundry.tokenFile", store.settings["tokenFile"], fix)
        self._tenants = {tenant.casefold() for tenant in (settings.tenant, re.split("[/:]", store.fqn)[0]) if tenant}
        self._exchange = Exchange(place, url, HeaderFiles(place, {}), reach=settings.reach, patience=patience)

    async def read(self, path: str, version: str | None = None) -> Stored:
        reference = secret_ref(self.place, path, self._tenants)
        place = self._place(path)
        if version is not None:
            raise Unsupported(f"{place}: TrueFoundry's endpoint gives the newest version alone. To fix: leave out ?version=")
        answer = await self._ask(reference)
        if answer.status != 200:
            raise failure(place, answer)
        return Stored(_value(place, answer), None)

    async def write(self, path: str, value: SecretValue) -> str:  # noqa: ARG002 - the interface's
        raise self._read_only(path)

    async def delete(self, path: str, version: str | None = None) -> None:  # noqa: ARG002 - the interface's
        raise self._read_only(path)

    async def versions(self, path: str) -> list[StoredVersion]:
        secret_ref(self.place, path, self._tenants)
        raise Unsupported(f"{self._place(path)}: TrueFoundry's endpoint has no list of versions")

    async def healthy(self) -> None:
        """A name that no secret has: what says that there is none has taken our token."""
        answer = await self._ask(NOBODYS)
        error = failure(self.place, answer) if answer.status != 200 else None
        if error is not None and not isinstance(error, NotFound | InvalidRequest):
            raise error

    async def close(self) -> None:
        await self._exchange.close()

    async def _ask(self, reference: str) -> Answer:
        bearer = SecretValue(b"Bearer " + self._token.current().reveal())
        return await self._exchange.send("GET", f"{ENDPOINT}?secret_ref={quote(reference, safe='')}", more={"Authorization": bearer})

    def _read_only(self, path: str) -> BrokerError:
        secret_ref(self.place, path, self._tenants)
        return Unsupported(f"{self._place(path)}: this store is read-only. To fix: change the secret in TrueFoundry")

    def _place(self, path: str) -> str:
        return f"{self.place}: path '{shown(path)}'"


def open_client(store: SecretStore, settings: StoreSettings) -> TrueFoundry:
    """Raises Misconfigured."""
    return TrueFoundry(store, settings)


def secret_ref(place: str, path: str, tenants: set[str]) -> str:
    """The name that the control plane has for a path. `tenants`: our own, whose names are managed. Raises InvalidRequest."""
    check_path(path)
    managed = path.startswith(f"/{ROOT}/")
    parts = path.split("/")[2:] if managed else path.removeprefix(SCHEME).split(":")
    if len(parts) != 3 or not all(map(is_part, parts)):
        raise InvalidRequest(
            f"{place}: path '{shown(path)}': is no name of TrueFoundry's. To fix: write <tenant>:<group>:<key>, as TrueFoundry shows it"
        )
    if not managed and parts[0].casefold() in tenants:
        raise InvalidRequest(f"{place}: path '{shown(path)}': managed secrets are named {MANAGED_FORM}. To fix: use that name")
    return SCHEME + ":".join(parts)


def _value(place: str, answer: Answer) -> SecretValue:
    try:
        value = _SECRET.decode(answer.body).value.encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        value = None  # raised below: the exception may hold the value
    if value is None:
        raise Malformed(f"{place}: the answer has no text in 'value'. To fix: is truefoundry.baseUrl right?")
    if len(value) > MAX_VALUE_BYTES:
        raise TooLarge(f"{place}: found a value of {len(value)} bytes; allowed: at most {MAX_VALUE_BYTES}")
    return SecretValue(value)


def failure(place: str, answer: Answer) -> BrokerError:
    """What a status other than 200 means."""
    status = answer.status
    match status:
        case 400 | 422:
            return InvalidRequest(f"{place}: the control plane says that the name is not acceptable ({status})")
        case 401 | 403:
            return StoreRefused(
                f"{place}: the control plane refuses ({status}). To fix: truefoundry.tokenFile needs a token that is valid, and whose "
                "owner may read the secret's group"
            )
        case 404:
            return NotFound(f"{place}: the control plane has no such secret (404)")
        case 429:
            return Throttled(f"{place}: the control plane asks for fewer calls (429)", answer.retry_after)
        case _ if 300 <= status < 400:
            return Misconfigured(
                f"{place}: the control plane answers with a redirect ({status}), which is not followed. "
                "To fix: put the control plane's own URL in truefoundry.baseUrl"
            )
        case _ if status >= 500:
            return Unavailable(f"{place}: the control plane fails ({status})", answer.retry_after)
        case _:
            return Malformed(f"{place}: found status {status}, which the endpoint does not have. To fix: is truefoundry.baseUrl right?")
