"""The page's routes, and around every one of them: a session, a check of where a form comes from, errors as pages a person can use.

method, path                                        | who             | what
--------------------------------------------------- | --------------- | ------------------------------------------
GET  /, /ui, /ui/                                   | anyone          | to the groups
GET  /ui/static/<hash>/<name>                       | anyone          | style sheet, script, icon
GET  /ui/login, POST /ui/login                      | anyone          | log in with a token
GET  /ui/login/oidc, /ui/login/oidc/callback        | anyone          | log in with an issuer
POST /ui/logout                                     | logged in       | end the session
GET  /ui/groups, /ui/stores, /ui/new-group          | logged in       | lists, a form
GET  /ui/groups/<g>[/use|collaborators|activity|..] | by role         | a group
GET  /ui/groups/<g>/keys/<k>[/edit|delete]          | by role         | a key
POST the same, and /reveal /restore /undo           | by role         | changes, and values

Every change and every value is the answer to a POST. What anyone may do is decided by `broker.groups`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import structlog
from aiohttp import web

from broker.audit import AuditFailed, Origin
from broker.errors import BrokerError, Retryable
from broker.http import STATUS, Refusal
from broker.page import assets, login, oidc, oidc_login, render
from broker.page.csrf import Foreign
from broker.page.forms import Form
from broker.page.places import Places, own
from broker.page.session import forget
from broker.page.views import activity, collaborators, group, group_forms, groups, key, key_forms, stores, use
from broker.page.visit import PERSON, LoginNeeded, Parts, Visit, begin, begin_form
from broker.resolve import INTERNAL_SENTENCE
from broker.routes import REQUEST_ID
from contract import wire
from service.logs import describe

log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.Response]]
Look = Callable[[Visit], Awaitable[web.Response]]
Change = Callable[[Visit, Form], Awaitable[web.Response]]
Outside = Callable[[web.Request, Parts, Origin], Awaitable[web.Response]]
GROUP, KEY = "/ui/groups/{group}", "/ui/groups/{group}/keys/{key}"

OPEN: tuple[tuple[str, str, Outside], ...] = (
    ("GET", Places.LOGIN, login.form),
    ("POST", Places.LOGIN, login.submit),
    ("GET", Places.OIDC, oidc_login.start),
    ("GET", oidc.CALLBACK, oidc_login.callback),
)
LOOKS: tuple[tuple[str, Look], ...] = (
    (Places.HOME, groups.show),
    (Places.STORES, stores.show),
    (Places.NEW_GROUP, group_forms.new),
    (GROUP, group.show),
    (f"{GROUP}/use", use.show),
    (f"{GROUP}/collaborators", collaborators.show),
    (f"{GROUP}/activity", activity.show),
    (f"{GROUP}/delete", group_forms.delete),
    (f"{GROUP}/new-key", key_forms.new),
    (KEY, key.show),
    (f"{KEY}/edit", key_forms.edit),
    (f"{KEY}/delete", key_forms.delete),
)
CHANGES: tuple[tuple[str, Change], ...] = (
    (Places.LOGOUT, login.logout),
    (Places.NEW_GROUP, group_forms.create),
    (f"{GROUP}/delete", group_forms.deleted),
    (f"{GROUP}/collaborators", collaborators.change),
    (f"{KEY}/delete", key_forms.deleted),
    (f"{KEY}/undo", key_forms.undo),
    (f"{KEY}/restore", key_forms.restore),
    (f"{KEY}/reveal", key.value),
)
WITH_VALUE: tuple[tuple[str, Change], ...] = (
    (f"{GROUP}/new-key", key_forms.create),
    (f"{KEY}/edit", key_forms.save),
)


class Page:
    """`table` is what the application adds to its routes; the last one takes whatever else is asked for under /ui/."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def table(self) -> list[web.RouteDef]:
        asset = web.get("/ui/static/{hash}/{name}", assets.serve, allow_head=False)
        return [
            *(web.get(path, self._wrapped(_home), allow_head=False) for path in ("/", "/ui", "/ui/")),
            asset,
            *(_route(method, path, self._wrapped(self._open(handle))) for method, path, handle in OPEN),
            *(_route("GET", path, self._wrapped(self._look(view))) for path, view in LOOKS),
            *(web.post(path, self._wrapped(self._change(view, with_value=False))) for path, view in CHANGES),
            *(web.post(path, self._wrapped(self._change(view, with_value=True))) for path, view in WITH_VALUE),
            web.route("*", "/ui/{rest:.*}", self._wrapped(_nowhere)),
        ]

    def _open(self, handle: Outside) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return await handle(request, self._parts, _origin(request))

        return answer

    def _look(self, view: Look) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return await view(await begin(request, self._parts, _origin(request)))

        return answer

    def _change(self, view: Change, *, with_value: bool) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return await view(*await begin_form(request, self._parts, _origin(request), with_value=with_value))

        return answer

    def _wrapped(self, handle: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            started = time.perf_counter()
            response = await self._answer(request, handle)
            response.headers["Server-Timing"] = f"page;dur={(time.perf_counter() - started) * 1000:.1f}"
            return response

        return answer

    async def _answer(self, request: web.Request, handle: Handler) -> web.Response:
        """One table from what goes wrong to what a person sees."""
        try:
            return await handle(request)
        except LoginNeeded as error:
            return _login_needed(request, over=error.over)
        except Foreign:
            return _problem(request, 403, "This form was not sent from this page", FOREIGN)
        except BrokerError as error:
            response = _problem(request, STATUS.get(error.code, 500), *_words(error))
            if isinstance(error, Retryable):
                response.headers["Retry-After"] = str(max(1, round(error.retry_after or 1)))
            return response
        except Refusal as error:
            return _problem(request, error.status, "The form was not taken", f"{error.message[:1].upper()}{error.message[1:]}.")
        except AuditFailed:
            return _problem(
                request, 500, "Nothing was done", "The audit log cannot be written, so nothing is done or shown. Try again in a while."
            )
        except web.HTTPNotFound:
            return await _nowhere(request)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - what a crash held may be a value
            log.error("request_crashed", **describe(error))  # noqa: TRY400 - a traceback's message may hold a value
            return _problem(request, 500, "Something broke", f"{INTERNAL_SENTENCE} ({request[REQUEST_ID]}).")


FOREIGN = (
    "It came from another site, from a page of an earlier session, or from a browser that does not say where a form comes from. "
    "Nothing was done. Open the page again and repeat what you wanted to do."
)
_TITLES = {
    wire.DENIED: "Nothing here for you",
    wire.NOT_FOUND: "Not found",
    wire.CONFLICT: "Somebody else changed it",
    wire.THROTTLED: "A moment, please",
    wire.UNAVAILABLE: "Not available at the moment",
    wire.STORE_REFUSED: "The secret store refuses us",
    wire.MISCONFIGURED: "The secret store is not set up right",
    wire.TOO_LARGE: "Too large",
}
_DENIED = (
    "You have no role that allows this, or there is no such group or key: which of the two is told to no one without a role. "
    "An admin of the group can add you, or a team you are in, as a collaborator."
)


def _words(error: BrokerError) -> tuple[str, str]:
    message = _DENIED if error.code == wire.DENIED else f"{error.message[:1].upper()}{error.message[1:]}"
    return _TITLES.get(error.code, "That did not work"), message if message.endswith((".", "?", "!")) else message + "."


def _problem(request: web.Request, status: int, title: str, message: str) -> web.Response:
    return render.page("problem.html", request.get(PERSON), status, title=title, message=message)


def _login_needed(request: web.Request, *, over: bool) -> web.Response:
    """To the login and back. From another site a Strict cookie does not come along: then once more, from a page of our own."""
    here = own(request.path_qs)
    if request.method != "GET":
        response = render.page("session_over.html", None, 401)
    elif not over and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return render.page("again.html", None, target=here)
    else:
        asked = {"next": here} | ({"note": "session-over"} if over else {})
        response = render.redirect(f"{Places.LOGIN}?{urlencode(asked)}")
    forget(response)
    return response


def _origin(request: web.Request) -> Origin:
    return Origin(request[REQUEST_ID], request.remote)


def _route(method: str, path: str, handler: Handler) -> web.RouteDef:
    """HEAD is not GET here: it would use up an issuer's code, and write down a look that nobody had."""
    return web.get(path, handler, allow_head=False) if method == "GET" else web.post(path, handler)


async def _home(_request: web.Request) -> web.Response:
    return render.redirect(Places.HOME)


async def _nowhere(request: web.Request) -> web.Response:
    return _problem(request, 404, "Not found", "There is no such page.")
