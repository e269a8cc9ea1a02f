"""A Secret Manager of our own over gRPC: what the official client needs, with the service's rules, states and errors.

    async with SecretManager() as server:
        server.url, server.seen, server.faults.append(Fault(StatusCode.UNAVAILABLE)), server.put("name", b"value")

Kept as the service has it: names, 64 KiB, no empty payload, checksums, `latest` is the newest version whatever its state, aliases, pages,
states, projects by id or number, the number in every answer. `tokens`: the bearer tokens that are let in (None: everyone).
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Self

import google_crc32c
import grpc
import grpc.aio
from google.cloud.secretmanager_v1.types import resources, service
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"
PROJECT, NUMBER = "acme-prod", "123456789012"
ENABLED, DISABLED, DESTROYED = (resources.SecretVersion.State[name] for name in ("ENABLED", "DISABLED", "DESTROYED"))
_ID = re.compile(r"[a-zA-Z_0-9-]{1,255}")
_SECRET = re.compile(r"(projects/[^/]+(?:/locations/[^/]+)?)/secrets/([^/]+)")
_VERSION = re.compile(rf"({_SECRET.pattern})/versions/([^/]+)")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
TOO_LARGE = 65536
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

Context = grpc.aio.ServicerContext


@dataclass(frozen=True)
class Fault:
    """What one call gets: an error after a wait, or `answer`, bytes that need not be a message."""

    code: StatusCode | None = None
    text: str = "canary-of-the-service"
    wait: float = 0.0
    answer: bytes | None = None
    details: tuple[Any, ...] = ()


@dataclass
class Version:
    data: bytes
    created: datetime
    state: resources.SecretVersion.State = ENABLED


@dataclass
class Secret:
    """`versions` begin with number 1."""

    parent: str
    name: str
    versions: list[Version] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)
    replication: str = ""

    @property
    def resource(self) -> str:
        return f"{self.parent}/secrets/{self.name}"


@dataclass(frozen=True)
class Seen:
    method: str
    request: Any
    metadata: dict[str, str]
    authority: str
    seconds: float | None


class SecretManager:
    """`credentials` are a gRPC server's, for TLS; the URL is then on `host`."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None, host: str = "localhost", address: str = "127.0.0.1") -> None:
        self._credentials, self._host, self._address = credentials, host, address
        self.secrets: dict[tuple[str, str], Secret] = {}
        self.projects = {PROJECT: NUMBER, "other-project": "210987654321"}
        self.tokens: set[str] | None = None
        self.denied: Callable[[str, str], bool] = lambda *_: False
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.page = 25000
        self.wrong: Callable[[Any], Any] = lambda answer: answer

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        self._listen()
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)

    def _listen(self) -> None:
        if self._credentials is None:
            self.port = self._server.add_insecure_port(f"{self._address}:0")
            self.url = f"http://{self._address}:{self.port}"
        else:
            self.port = self._server.add_secure_port(f"{self._address}:0", self._credentials)
            self.url = f"https://{self._host}:{self.port}"

    # --- what tests do behind the client's back

    def put(self, name: str, *values: bytes, project: str = PROJECT) -> Secret:
        parent = f"projects/{self.projects[project]}"
        secret = self.secrets.setdefault((parent, name), Secret(parent, name))
        secret.versions += [Version(value, EPOCH + timedelta(seconds=len(secret.versions))) for value in values]
        return secret

    def methods(self) -> list[str]:
        return [seen.method for seen in self.seen]

    # --- gRPC

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        table: dict[str, tuple[Any, Any]] = {
            "CreateSecret": (service.CreateSecretRequest, self._create),
            "GetSecret": (service.GetSecretRequest, self._get),
            "UpdateSecret": (service.UpdateSecretRequest, self._update),
            "DeleteSecret": (service.DeleteSecretRequest, self._delete),
            "AddSecretVersion": (service.AddSecretVersionRequest, self._add),
            "AccessSecretVersion": (service.AccessSecretVersionRequest, self._access),
            "GetSecretVersion": (service.GetSecretVersionRequest, self._get_version),
            "ListSecretVersions": (service.ListSecretVersionsRequest, self._list),
            "DestroySecretVersion": (service.DestroySecretVersionRequest, self._destroy),
            "DisableSecretVersion": (service.DisableSecretVersionRequest, self._disable),
            "EnableSecretVersion": (service.EnableSecretVersionRequest, self._enable),
        }
        return {
            name: grpc.unary_unary_rpc_method_handler(self._handled(name, answer), kind.deserialize, _serialized)
            for name, (kind, answer) in table.items()
        }

    def _handled(self, method: str, answer: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
        async def handle(request: Any, context: Context) -> Any:
            metadata = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
            self.seen.append(Seen(method, request, metadata, _authority(context), context.time_remaining()))
            if self.faults:
                fault = self.faults.pop(0)
                await asyncio.sleep(fault.wait)
                if fault.answer is not None:
                    return fault.answer
                if fault.code is not None:
                    await _abort(context, fault.code, fault.text, *fault.details)
            await self._let_in(method, request, metadata, context)
            return self.wrong(await answer(request, context))

        return handle

    async def _let_in(self, method: str, request: Any, metadata: dict[str, str], context: Context) -> None:
        if self.tokens is not None and metadata.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            await _abort(context, StatusCode.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        resource = getattr(request, "name", "") or getattr(request, "parent", "")
        if self.denied(method, resource):
            info = ErrorInfo(reason="IAM_PERMISSION_DENIED", domain="iam.googleapis.com")
            await _abort(context, StatusCode.PERMISSION_DENIED, f"Permission denied on resource '{resource}' (or it may not exist).", info)
        routed = "name" if hasattr(request, "name") else "parent"
        assert metadata["x-goog-request-params"].startswith(f"{routed}=projects/"), "the service routes by this header"

    async def _create(self, request: service.CreateSecretRequest, context: Context) -> resources.Secret:
        if not _ID.fullmatch(request.secret_id):
            await _abort(
                context, StatusCode.INVALID_ARGUMENT, f"The provided Secret ID [{request.secret_id}] does not match the expected format"
            )
        replication = resources.Replication.pb(request.secret.replication).WhichOneof("replication") or ""
        if ("/locations/" in request.parent) == bool(replication):
            await _abort(context, StatusCode.INVALID_ARGUMENT, "The replication field is required, or not allowed for a regional secret.")
        parent = await self._parent(request.parent, context)
        secret = Secret(parent, request.secret_id, replication=replication)
        if (parent, secret.name) in self.secrets:
            await _abort(context, StatusCode.ALREADY_EXISTS, f"Secret [{secret.resource}] already exists.")
        self.secrets[parent, secret.name] = secret
        return resources.Secret(name=secret.resource)

    async def _get(self, request: service.GetSecretRequest, context: Context) -> resources.Secret:
        secret = await self._secret(request.name, context)
        return resources.Secret(name=secret.resource, version_aliases=secret.aliases)

    async def _update(self, request: service.UpdateSecretRequest, context: Context) -> resources.Secret:
        secret = await self._secret(request.secret.name, context)
        for alias, number in request.secret.version_aliases.items():
            if not _ALIAS.fullmatch(alias) or alias in ("latest", "NEW") or not 1 <= number <= len(secret.versions):
                await _abort(context, StatusCode.INVALID_ARGUMENT, f"The version alias [{alias}] is not valid.")
        secret.aliases = dict(request.secret.version_aliases)
        return resources.Secret(name=secret.resource, version_aliases=secret.aliases)

    async def _delete(self, request: service.DeleteSecretRequest, context: Context) -> Empty:
        secret = await self._secret(request.name, context)
        del self.secrets[secret.parent, secret.name]
        return Empty()

    async def _add(self, request: service.AddSecretVersionRequest, context: Context) -> resources.SecretVersion:
        secret = await self._secret(request.parent, context)
        data = request.payload.data
        if not data or len(data) > TOO_LARGE:
            await _abort(context, StatusCode.INVALID_ARGUMENT, "Secret Payload cannot be empty, nor larger than 65536 bytes.")
        if "data_crc32c" in request.payload and request.payload.data_crc32c != google_crc32c.value(data):
            await _abort(context, StatusCode.INVALID_ARGUMENT, "The checksum does not match the payload.")
        secret.versions.append(Version(data, EPOCH + timedelta(seconds=len(secret.versions))))
        return _shown(secret, len(secret.versions))

    async def _access(self, request: service.AccessSecretVersionRequest, context: Context) -> service.AccessSecretVersionResponse:
        secret, number = await self._version(request.name, context)
        version = secret.versions[number - 1]
        name = f"{secret.resource}/versions/{number}"
        if version.state is not ENABLED:
            await _abort(context, StatusCode.FAILED_PRECONDITION, f"Secret Version [{name}] is in {version.state.name} state.")
        payload = resources.SecretPayload(data=version.data, data_crc32c=google_crc32c.value(version.data))
        return service.AccessSecretVersionResponse(name=name, payload=payload)

    async def _get_version(self, request: service.GetSecretVersionRequest, context: Context) -> resources.SecretVersion:
        return _shown(*await self._version(request.name, context))

    async def _list(self, request: service.ListSecretVersionsRequest, context: Context) -> service.ListSecretVersionsResponse:
        """Newest first, as the service does."""
        secret = await self._secret(request.parent, context)
        wanted = set(re.findall("ENABLED|DISABLED|DESTROYED", request.filter)) or {"ENABLED", "DISABLED", "DESTROYED"}
        found = [_shown(secret, n) for n in range(len(secret.versions), 0, -1) if secret.versions[n - 1].state.name in wanted]
        start, size = int(request.page_token or 0), min(request.page_size or self.page, self.page)
        following = str(start + size) if start + size < len(found) else ""
        return service.ListSecretVersionsResponse(versions=found[start : start + size], next_page_token=following, total_size=len(found))

    async def _destroy(self, request: service.DestroySecretVersionRequest, context: Context) -> resources.SecretVersion:
        secret, number = await self._change(request.name, DESTROYED, context)
        secret.versions[number - 1].data = b""
        return _shown(secret, number)

    async def _disable(self, request: service.DisableSecretVersionRequest, context: Context) -> resources.SecretVersion:
        return _shown(*await self._change(request.name, DISABLED, context))

    async def _enable(self, request: service.EnableSecretVersionRequest, context: Context) -> resources.SecretVersion:
        return _shown(*await self._change(request.name, ENABLED, context))

    async def _change(self, name: str, state: resources.SecretVersion.State, context: Context) -> tuple[Secret, int]:
        secret, number = await self._version(name, context)
        if secret.versions[number - 1].state is DESTROYED:
            await _abort(context, StatusCode.FAILED_PRECONDITION, f"Secret Version [{name}] is already in DESTROYED state.")
        secret.versions[number - 1].state = state
        return secret, number

    async def _parent(self, parent: str, context: Context) -> str:
        """With the project's number, whichever way it was asked for."""
        _, project, *rest = parent.split("/")
        numbers = [number for name, number in self.projects.items() if project in (name, number)]
        if not numbers:
            await _abort(context, StatusCode.PERMISSION_DENIED, f"Permission denied on resource project {project}.")
        return "/".join(["projects", numbers[0], *rest])

    async def _secret(self, name: str, context: Context) -> Secret:
        found = _SECRET.fullmatch(name)
        if found is None:
            await _abort(context, StatusCode.INVALID_ARGUMENT, "The resource name is not valid.")
        secret = self.secrets.get((await self._parent(found[1], context), found[2]))
        if secret is None:
            await _abort(context, StatusCode.NOT_FOUND, f"Secret [{name}] not found.")
        return secret

    async def _version(self, name: str, context: Context) -> tuple[Secret, int]:
        found = _VERSION.fullmatch(name)
        if found is None:
            await _abort(context, StatusCode.INVALID_ARGUMENT, "The resource name is not valid.")
        secret, wanted = await self._secret(found[1], context), found[4]
        number = len(secret.versions) if wanted == "latest" else secret.aliases.get(wanted, int(wanted) if wanted.isdecimal() else 0)
        if not 1 <= number <= len(secret.versions):
            await _abort(context, StatusCode.NOT_FOUND, f"Secret Version [{name}] not found.")
        return secret, number


async def _abort(context: Context, code: StatusCode, text: str, *details: Any) -> NoReturn:
    if details:
        status = Status(code=code.value[0], message=text)
        for detail in details:
            status.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, text)
    raise AssertionError("abort raises")


def _shown(secret: Secret, number: int) -> resources.SecretVersion:
    version = secret.versions[number - 1]
    return resources.SecretVersion(name=f"{secret.resource}/versions/{number}", create_time=version.created, state=version.state)


def _serialized(answer: Any) -> bytes:
    if isinstance(answer, bytes):
        return answer
    return answer.SerializeToString() if isinstance(answer, Empty) else type(answer).serialize(answer)


def _authority(context: Context) -> str:
    return getattr(context, "host", lambda: "")() or ""
