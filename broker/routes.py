"""The HTTP routes: what each one needs of a request, and how its answer looks. Decisions are made by `resolve` and `people`.

method, path                         | who    | request                  | answer
------------------------------------ | ------ | ------------------------ | ------------------------------------
POST   /v1/resolve                   | pods   | `contract.wire`          | `contract.wire`
GET    /v1/secrets[?group=]          | people |                          | {"secrets": [FQN]}
GET    /v1/secrets/value?fqn=        | people |                          | {"fqn", "value": <base64>, "version"}
GET    /v1/secrets/versions?fqn=     | people |                          | {"fqn", "versions": [{"version", "created"}]}
PUT    /v1/secrets                   | people | {"fqn", "value": base64} | {"fqn", "version"}
DELETE /v1/secrets                   | people | {"fqn", "version"?}      | {}
"""

import binascii
from dataclasses import dataclass

import structlog
from aiohttp import web

from broker import audit
from broker.audit import Audit, Line, Origin
from broker.errors import InvalidRequest, Unauthenticated
from broker.http import Refusal, json_response, query, read_json, text_fields
from broker.identity import Authenticator, Caller, bearer
from broker.metrics import Metrics
from broker.modes import Kubelets, check_modes
from broker.people import People
from broker.resolve import Resolver
from contract import wire
from contract.keys import RESOLVE_PATH
from contract.strict import FormatError
from contract.values import SecretValue

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request-id", str)
MAX_WRITE_BYTES = wire.MAX_VALUE_BYTES // 3 * 4 + 16 * 1024  # a value as base64, and its name


@dataclass(frozen=True, slots=True)
class Routes:
    """Everything that the routes use."""

    authenticator: Authenticator
    resolver: Resolver
    people: People
    audit: Audit
    metrics: Metrics
    kubelets: Kubelets | None = None

    def table(self) -> list[web.RouteDef]:
        return [
            web.post(RESOLVE_PATH, self.resolve),
            web.get("/v1/secrets", self.names, allow_head=False),
            web.get("/v1/secrets/value", self.value, allow_head=False),
            web.get("/v1/secrets/versions", self.versions, allow_head=False),
            web.put("/v1/secrets", self.write),
            web.delete("/v1/secrets", self.delete),
        ]

    async def resolve(self, request: web.Request) -> web.Response:
        with self.metrics.resolve_seconds.time():
            caller, origin = await self._pod(request)
            try:
                asked = wire.decode_request(await read_json(request, wire.MAX_REQUEST_BYTES))
            except FormatError as error:
                raise Refusal(400, wire.BAD_REQUEST, str(error)) from None
            check_modes(asked.modes, caller, self.kubelets)
            answers = await self.resolver.resolve(caller, asked.secrets, origin)
            return web.Response(body=wire.encode_response(answers), content_type="application/json")

    async def names(self, request: web.Request) -> web.Response:
        caller, origin = await self.person(request)
        (group,) = query(request, optional=("group",))
        return json_response({"secrets": await self.people.names(caller, group, origin)})

    async def value(self, request: web.Request) -> web.Response:
        caller, origin = await self.person(request)
        (fqn,) = query(request, required=("fqn",))
        stored = await self.people.value(caller, str(fqn), origin)
        encoded = binascii.b2a_base64(stored.value.reveal(), newline=False).decode()
        return json_response({"fqn": fqn, "value": encoded, "version": stored.version})

    async def versions(self, request: web.Request) -> web.Response:
        caller, origin = await self.person(request)
        (fqn,) = query(request, required=("fqn",))
        found = await self.people.versions(caller, str(fqn), origin)
        made = [{"version": v.version, "created": v.created.isoformat() if v.created else None} for v in found]
        return json_response({"fqn": fqn, "versions": made})

    async def write(self, request: web.Request) -> web.Response:
        caller, origin = await self.person(request)
        fqn, encoded = text_fields(await read_json(request, MAX_WRITE_BYTES), ("fqn", "value"))
        version = await self.people.write(caller, str(fqn), _decode(str(encoded)), origin)
        return json_response({"fqn": fqn, "version": version})

    async def delete(self, request: web.Request) -> web.Response:
        caller, origin = await self.person(request)
        fqn, version = text_fields(await read_json(request, MAX_WRITE_BYTES), ("fqn",), ("version",))
        await self.people.delete(caller, str(fqn), version, origin)
        return json_response({})

    async def _pod(self, request: web.Request) -> tuple[Caller, Origin]:
        return await self._identified(request, pod=True)

    async def person(self, request: web.Request) -> tuple[Caller, Origin]:
        return await self._identified(request, pod=False)

    async def _identified(self, request: web.Request, *, pod: bool) -> tuple[Caller, Origin]:
        """Who asks. A refused one is written down too."""
        unknown = Origin(request[REQUEST_ID], request.remote)
        try:
            headers = request.headers.getall("Authorization", [])
            if len(headers) > 1:
                raise Unauthenticated("the Authorization header is given more than once")
            token = bearer(headers[0] if headers else None)
            caller = await (self.authenticator.pod(token) if pod else self.authenticator.person(token))
        except Unauthenticated as error:
            await self.audit.write(
                unknown, [Line(f"{request.method} {request.path}", None, audit.DENY, error.code, event="unauthenticated")]
            )
            raise
        structlog.contextvars.bind_contextvars(caller=caller.name)
        return caller, Origin(unknown.request, unknown.source, caller)


def _decode(encoded: str) -> SecretValue:
    try:
        return SecretValue(binascii.a2b_base64(encoded, strict_mode=True))
    except ValueError:
        pass  # raised below, so that no traceback carries the content
    raise InvalidRequest("request.value: not base64")
