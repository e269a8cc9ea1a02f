"""The HTTPS application: routes, and around every one of them a request id, a bound on how many run, headers, errors, a log line.

Whatever happens, a caller gets JSON with a code and a sentence, and no detail of a crash. Logs hold the route, status and
time; never a query, header or body.
"""

import asyncio
import time
import uuid
from collections.abc import Sequence

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from broker.api.operations import ROOT
from broker.api.problems import problem, problem_of
from broker.audit import AuditFailed
from broker.errors import BrokerError, Unavailable
from broker.http import HEADERS, OWN_HEADERS, Refusal, broker_error_response, error_response
from broker.metrics import Metrics
from broker.resolve import INTERNAL_SENTENCE
from broker.routes import MAX_WRITE_BYTES, REQUEST_ID, Routes
from contract import wire
from service.logs import describe

log = structlog.get_logger()


def build_app(routes: Routes, max_requests: int, *more: Sequence[web.RouteDef]) -> web.Application:
    """`max_requests`: how many may run at once; each holds values in memory. `more`: tables of other parts, the web page's for one."""
    app = web.Application(middlewares=[_Guard(routes.metrics, max_requests).middleware()], client_max_size=MAX_WRITE_BYTES)
    for table in (routes.table(), *more):
        app.add_routes(table)
    app.on_response_prepare.append(_set_headers)
    return app


async def _set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Also on what aiohttp answers by itself before the middleware: 417 to an unknown Expect header."""
    response.headers.update({**HEADERS, **response.get(OWN_HEADERS, {})})


class _Guard:
    def __init__(self, metrics: Metrics, max_requests: int) -> None:
        self._metrics, self._max, self._running = metrics, max_requests, 0

    def middleware(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guarded(request, handler)

        return guard

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.monotonic()
        request[REQUEST_ID] = request_id = uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        self._running += 1
        try:
            response = await self._answer(request, handler)
        finally:
            self._running -= 1
        response.headers["X-Request-Id"] = request_id
        self._note(request, response.status, time.monotonic() - started)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if self._running > self._max:
                raise Unavailable("the broker has as many requests as it takes; try again", retry_after=1)
            return await handler(request)
        except BrokerError as error:
            return problem_of(error) if _of_api(request) else broker_error_response(error)
        except Refusal as error:
            return _error(request, error.status, error.code, error.message, error.headers)
        except AuditFailed:
            said = "the audit log cannot be written, so nothing is done; try again"
            return _error(request, 500, wire.UNAVAILABLE, said, {"Retry-After": "1"})
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            return _error(request, 405, wire.BAD_REQUEST, f"method: allowed: {allowed}", {"Allow": allowed})
        except web.HTTPNotFound:
            return _error(request, 404, wire.BAD_REQUEST, "no such route")
        except (ConnectionError, asyncio.CancelledError):
            raise  # no one is there to answer
        except Exception as error:  # noqa: BLE001 - what a crash held may be a value
            log.error("request_crashed", **describe(error))  # noqa: TRY400 - a traceback's message may hold a value
            return _error(request, 500, wire.INTERNAL, INTERNAL_SENTENCE)

    def _note(self, request: web.Request, status: int, seconds: float) -> None:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "other"
        self._metrics.requests.labels(route, str(status)).inc()
        log.info(
            "request", method=request.method if resource is not None else "other", route=route, status=status, ms=round(seconds * 1000, 1)
        )


def _of_api(request: web.Request) -> bool:
    return request.path == ROOT or request.path.startswith(f"{ROOT}/")


def _error(request: web.Request, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """In the shape that the callers of this part of the address space know, also where there is no route."""
    if _of_api(request):
        return problem(status, code, message, [], headers or {})
    return error_response(status, code, message, headers)
