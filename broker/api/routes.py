"""The API's HTTP routes, made from the table of operations: who asks, the request taken apart, the answer or the problem as JSON."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from broker.api import openapi, shapes
from broker.api.handlers import Call, Handlers
from broker.api.intake import body_of, if_match, query_of
from broker.api.operations import OPENAPI, OPERATIONS, Operation
from broker.api.problems import problem_of, refusal_of
from broker.audit import Origin
from broker.errors import BrokerError
from broker.groups.service import Groups
from broker.http import Refusal
from broker.identity import Caller

Identify = Callable[[web.Request], Awaitable[tuple[Caller, Origin]]]
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")


class Api:
    """`identify` proves who asks, and writes a refusal down."""

    def __init__(self, groups: Groups, identify: Identify) -> None:
        self._handlers, self._identify = Handlers(groups), identify
        self._openapi = msgspec.json.encode(openapi.document())

    def table(self) -> list[web.RouteDef]:
        routes = [web.route(o.method, o.full_path, self._route(o)) for o in OPERATIONS]
        return [*routes, web.get(OPENAPI, self._document, allow_head=False)]

    def _route(self, operation: Operation) -> Handler:
        handle: Callable[[Call], Awaitable[Any]] = getattr(self._handlers, operation.name)

        async def route(request: web.Request) -> web.Response:
            try:
                return _response(await handle(await self._call(operation, request)))
            except BrokerError as error:
                return problem_of(error)
            except Refusal as error:
                return refusal_of(error)

        return route

    async def _call(self, operation: Operation, request: web.Request) -> Call:
        caller, origin = await self._identify(request) if operation.person else (None, Origin("", request.remote))
        query = query_of(request, operation.query)
        version = if_match(request) if operation.if_match else None
        body = None if operation.body is None else await body_of(request, operation.body, operation.limit)
        host = request.host if _HOST.fullmatch(request.host) else "localhost"
        return Call(caller, origin, query, body, request.match_info.get("id", ""), version, host)

    async def _document(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp passes it
        return web.Response(body=self._openapi, content_type="application/json")


def _response(done: Any) -> web.Response:
    """JSON; a group's version is its ETag too."""
    response = web.Response(body=msgspec.json.encode(done), content_type="application/json")
    if isinstance(done, shapes.GroupAnswer):
        response.headers["ETag"] = f'"{done.data.version}"'
    return response
