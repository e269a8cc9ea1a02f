"""Google Secret Manager as a store: its official async client over our vetted connection, one try a call.

operation | calls
--------- | -----------------------------------------------------------------------
read      | AccessSecretVersion; without a version the newest one, whatever its state
write     | AddSecretVersion; where there is no secret yet, CreateSecret before it
delete    | DestroySecretVersion of one version, which is final; else DeleteSecret
versions  | ListSecretVersions, page by page: those that are enabled
healthy   | AccessSecretVersion of a name among the managed ones that no secret has

Decides what goes over the wire and what comes back as a value; names, errors, the connection and the login have files of their own.
Values are bytes, with Google's checksum both ways. The library's errors end here.
"""

import logging
import re
from datetime import UTC, datetime
from typing import Any

from broker.errors import InvalidRequest, Malformed, Misconfigured, NotFound, TooLarge, Unavailable
from broker.stores.addresses import Reach
from broker.stores.checks import shown
from broker.stores.google.channel import Connection, Endpoint, Patience  # before all else that imports grpc
from broker.stores.google.credentials import open_login
from broker.stores.google.errors import code_of, failure
from broker.stores.google.login import Login
from broker.stores.google.names import PREFIX, Name, find_name, is_number, is_parent, number_of
from broker.stores.registry import StoreSettings
from broker.stores.store import Stored, StoredVersion
from contract.fqn import shorten
from contract.resources import SecretStore
from contract.values import SecretValue

import google_crc32c
import grpc.aio
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.secretmanager_v1.services.secret_manager_service import SecretManagerServiceAsyncClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import grpc_asyncio
from google.cloud.secretmanager_v1.types import Replication, Secret, SecretPayload, SecretVersion

MAX_VALUE_BYTES = 64 * 1024  # Google's own limit for a payload
PAGE = 500
MAX_PAGES = 100
DEFAULT_ENDPOINT = "https://secretmanager.googleapis.com"
NEVER = f"{PREFIX}health"  # has no group and no key, so it is no managed secret's name
ACCESSOR, ADDER, VERSIONS, ADMIN, VIEWER = (  # the smallest that allow a call
    f"roles/secretmanager.{role}" for role in ("secretAccessor", "secretVersionAdder", "secretVersionManager", "admin", "viewer")
)
_LOCATION = re.compile(r"secretmanager\.([a-z0-9-]+)\.rep\..+")

# The library would log every request and answer, payloads included, at level debug.
logging.getLogger(grpc_asyncio.__name__).disabled = True


class GoogleSecretManager:
    """A StoreClient. Making it opens no connection and reads no file; raises Misconfigured for what the manifest shows."""

    def __init__(self, store: SecretStore, *, reach: Reach, patience: Patience | None = None) -> None:
        self._place = f"SecretStore {store.name}"
        url = reach.check_url(f"{self._place}: endpoint", store.settings.get("endpoint") or DEFAULT_ENDPOINT)
        try:
            endpoint = Endpoint.parse(url)
        except ValueError:
            raise Misconfigured(f"{self._place}: endpoint: found a path; allowed: https://<host>[:<port>]") from None
        self._parent = _parent(self._place, store.settings["project"], endpoint.host)
        self._patience = patience or Patience()
        self._login: Login | None = open_login(self._place, reach, self._patience.login, tls=endpoint.tls)
        self._connection = Connection(self._place, endpoint, _service, reach=reach, patience=self._patience)

    async def read(self, path: str, version: str | None = None) -> Stored:
        name = find_name(self._parent, path, version)
        place = self._at(path, version)
        answer = await self._call(place, ACCESSOR, "access_secret_version", {"name": name.version_resource})
        number = number_of(answer.name, name)
        if number is None or (name.version is not None and is_number(name.version) and number != name.version):
            raise Malformed(f"{place}: the answer is about another secret or version. To fix: is endpoint right?")
        data = answer.payload.data
        if len(data) > MAX_VALUE_BYTES:
            raise TooLarge(f"{place}: found a value of {len(data)} bytes; allowed: at most {MAX_VALUE_BYTES}")
        if "data_crc32c" in answer.payload and answer.payload.data_crc32c != google_crc32c.value(data):
            raise Unavailable(f"{place}: the value does not have the checksum that came with it: damaged on the way, or stored so")
        return Stored(SecretValue(data), number)

    async def write(self, path: str, value: SecretValue) -> str:
        name = _unversioned(find_name(self._parent, path), path)
        place = self._at(path)
        if not len(value):
            raise InvalidRequest(f"{place}: the value is empty, which Google does not keep. To fix: one of a byte or more")
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"{place}: found a value of {len(value)} bytes; allowed: at most {MAX_VALUE_BYTES}")
        try:
            made = await self._add(place, name, value)
        except NotFound:
            await self._create(place, name)
            made = await self._add(place, name, value)
        number = number_of(made.name, name)
        if number is None:
            raise Malformed(f"{place}: the answer names no version of this secret. To fix: is endpoint right?")
        return number

    async def delete(self, path: str, version: str | None = None) -> None:
        name = find_name(self._parent, path, version)
        place = self._at(path, version)
        if name.version is None:
            await self._call(place, ADMIN, "delete_secret", {"name": name.resource})
            return
        if not is_number(name.version):
            raise InvalidRequest(
                f"{place}: '{name.version}' may be another version a moment later, and destroying one is final. To fix: its number"
            )
        await self._call(place, VERSIONS, "destroy_secret_version", {"name": name.version_resource})

    async def versions(self, path: str) -> list[StoredVersion]:
        name = _unversioned(find_name(self._parent, path), path)
        place = self._at(path)
        found: list[StoredVersion] = []
        request: dict[str, Any] = {"parent": name.resource, "page_size": PAGE, "filter": "state:ENABLED"}
        for _ in range(MAX_PAGES):
            page = await self._call(place, VIEWER, "list_secret_versions", request)
            found += [_listed(place, name, version) for version in page.versions if version.state == SecretVersion.State.ENABLED]
            if not page.next_page_token:
                return sorted(found, key=lambda version: int(version.version))
            request["page_token"] = page.next_page_token
        raise Malformed(f"{place}: the list of versions does not end. To fix: is endpoint right?")

    async def healthy(self) -> None:
        """NOT_FOUND says that the project is there, the API on, and our login allowed to read secrets with managed names."""
        name = Name(self._parent, NEVER)
        try:
            await self._call(self._place, ACCESSOR, "access_secret_version", {"name": name.version_resource})
        except NotFound:
            return

    async def close(self) -> None:
        await self._connection.close()
        if self._login is not None:
            await self._login.close()

    async def _add(self, place: str, name: Name, value: SecretValue) -> Any:
        data = value.reveal()
        payload = SecretPayload(data=data, data_crc32c=google_crc32c.value(data))
        return await self._call(place, ADDER, "add_secret_version", {"parent": name.resource, "payload": payload})

    async def _create(self, place: str, name: Name) -> None:
        """Where it is kept is Google's choice, unless the endpoint is a location's. One that another call has just made is as good."""
        secret = Secret() if "/locations/" in name.parent else Secret(replication=Replication(automatic=Replication.Automatic()))
        request = {"parent": name.parent, "secret_id": name.secret, "secret": secret}
        await self._call(place, ADMIN, "create_secret", request, unless=grpc.StatusCode.ALREADY_EXISTS)

    async def _call(self, place: str, role: str, method: str, request: dict[str, Any], unless: grpc.StatusCode | None = None) -> Any:
        """`unless` is a code that is no error here, and gives None. `role` is the smallest that allows the call."""
        answer = await self._asked(method, request)
        if isinstance(answer, GoogleAPICallError):
            if unless is not None and code_of(answer) is unless:
                return None
            raise failure(place, role, answer)
        if answer is None and method != "delete_secret":  # what the library gives for bytes that are no answer
            raise Malformed(f"{place}: the answer is not one of Secret Manager's. To fix: is endpoint right?")
        return answer

    async def _asked(self, method: str, request: dict[str, Any]) -> Any:
        """The answer or the library's error. One call; one more with a new login where a token that has served is not accepted any more.

        The address is looked at before the login: nobody logs in for a place where no store may be.
        """
        async with self._connection.service() as service:
            if self._login is None:
                return await self._once(service, method, request, ())
            while True:
                known, token = self._login.known, await self._login.current()
                bearer = (("authorization", f"Bearer {token.value.reveal().decode()}"),)
                answer = await self._once(service, method, request, bearer)
                if not isinstance(answer, GoogleAPICallError) or code_of(answer) is not grpc.StatusCode.UNAUTHENTICATED:
                    return answer
                self._login.forget(token)
                if token is not known:
                    return answer

    async def _once(self, service: Any, method: str, request: dict[str, Any], metadata: tuple[tuple[str, str], ...]) -> Any:
        """The library's error ends where it is looked at: it may hold what was sent."""
        try:
            return await getattr(service, method)(request=request, retry=None, timeout=self._patience.call, metadata=metadata)
        except GoogleAPICallError as error:
            self._doubt(code_of(error))
            return error.with_traceback(None)

    def _doubt(self, code: grpc.StatusCode | None) -> None:
        """After DEADLINE_EXCEEDED the connection may lead nowhere, which TCP notices after many minutes."""
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            self._connection.doubt(broken=code is grpc.StatusCode.DEADLINE_EXCEEDED)

    def _at(self, path: str, version: str | None = None) -> str:
        return f"{self._place}: path '{shown(path)}'" + ("" if version is None else f" version '{shown(version)}'")


def open_client(store: SecretStore, settings: StoreSettings) -> GoogleSecretManager:
    """Raises Misconfigured."""
    return GoogleSecretManager(store, reach=settings.reach)


def _service(channel: grpc.aio.Channel) -> SecretManagerServiceAsyncClient:
    """The universe is named so that no variable names another: it says nothing here, since address and login are ours."""
    transport = grpc_asyncio.SecretManagerServiceGrpcAsyncIOTransport(channel=channel)
    return SecretManagerServiceAsyncClient(transport=transport, client_options=ClientOptions(universe_domain="googleapis.com"))


def _parent(place: str, project: str, host: str) -> str:
    """Names in a location's own service (secretmanager.<location>.rep.googleapis.com) carry the location."""
    found = _LOCATION.fullmatch(host)
    parent = f"projects/{project}" + (f"/locations/{found[1]}" if found else "")
    if not is_parent(parent):
        raise Misconfigured(f"{place}: project: found {shorten(project, 40)!r}; allowed: a project's id or number, e.g. acme-prod")
    return parent


def _unversioned(name: Name, path: str) -> Name:
    if name.version is not None:
        raise InvalidRequest(f"path '{shown(path)}': names a version; here a secret is needed. To fix: leave /versions/... out")
    return name


def _listed(place: str, name: Name, version: SecretVersion) -> StoredVersion:
    number = number_of(version.name, name)
    if number is None:
        raise Malformed(f"{place}: the list names what is no version of this secret. To fix: is endpoint right?")
    created = version.create_time
    return StoredVersion(number, None if created is None else datetime.fromtimestamp(created.timestamp(), UTC))
