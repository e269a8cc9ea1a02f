"""Log in with a token that the cluster accepts, and log out. Decides nothing about what a person may do.

A login gives a new session whatever the browser brought along. Logins are limited by the address they come from, so that nobody makes
the API server review guesses; every one is in the audit log. The token goes into the sealed cookie and nowhere else.
"""

import structlog
from aiohttp import web

from broker import audit
from broker.audit import Line, Origin
from broker.errors import BrokerError, InvalidRequest, Misconfigured, Throttled, TooLarge, Unauthenticated
from broker.http import STATUS
from broker.identity import Caller, bearer
from broker.page import csrf, render
from broker.page.forms import Form, read_form
from broker.page.places import Places, own
from broker.page.session import forget
from broker.page.visit import Parts, Visit

log = structlog.get_logger()
SCHEME = "Bearer "


async def form(request: web.Request, parts: Parts, _origin: Origin) -> web.Response:
    target = own(request.query.get("next"))
    if parts.sessions.read(request) is not None and "note" not in request.query:
        return render.redirect(target)
    return page(parts, target, note=request.query.get("note", ""))


async def submit(request: web.Request, parts: Parts, origin: Origin) -> web.Response:
    csrf.check_origin(request, parts.public_url)
    given = await read_form(request)
    target = own(given.fields.get("next"))
    try:
        take_turn(parts, origin)
        token = _token(given)
        caller = await accepted(parts, token, origin)
        return await logged_in(parts, token, caller, origin, target)
    except (Unauthenticated, Throttled, TooLarge, InvalidRequest) as error:
        return page(parts, target, problem=error)


async def logout(visit: Visit, _form: Form) -> web.Response:
    await visit.parts.audit.write(visit.origin, [Line("logout", None, audit.ALLOW, "ok", event="session")])
    visit.parts.sessions.end(visit.session)
    response = render.redirect(f"{Places.LOGIN}?note=logged-out")
    forget(response)
    return response


def page(parts: Parts, target: str, *, note: str = "", problem: BrokerError | None = None) -> web.Response:
    issuer = parts.oidc.name if parts.oidc else None
    status = 200 if problem is None else STATUS.get(problem.code, 500)
    message = None if problem is None else problem.message
    if isinstance(problem, Misconfigured):  # its sentence names settings and files, which are nothing for strangers
        log.error("login_misconfigured", problem=problem.message)
        message = "logging in with the issuer is not set up right; the broker's log says what is wrong"
    response = render.page("login.html", None, status, target=target, issuer=issuer, note=note, problem=message)
    if isinstance(problem, Throttled):
        response.headers["Retry-After"] = str(max(1, round(problem.retry_after or 1)))
    return response


def take_turn(parts: Parts, origin: Origin) -> None:
    """Raises Throttled."""
    parts.logins.take(origin.source or "", "too many logins from your address; wait a little and try again")


async def accepted(parts: Parts, token: str, origin: Origin) -> Caller:
    """Whose token it is. A refused one is written down too. Raises Unauthenticated, Unavailable, AuditFailed."""
    try:
        return await parts.authenticator.person(token)
    except Unauthenticated as error:
        await parts.audit.write(origin, [Line("login", None, audit.DENY, error.code, event="session")])
        raise


async def logged_in(
    parts: Parts, token: str, caller: Caller, origin: Origin, target: str, ends: float | None = None, *, from_elsewhere: bool = False
) -> web.Response:
    """The answer that begins the session. `from_elsewhere`: the browser comes from another site, and must start again from ours."""
    session = parts.sessions.begin(token, ends)
    response = render.page("again.html", None, target=target) if from_elsewhere else render.redirect(target)
    parts.sessions.write(session, response)
    parts.logins.give_back(origin.source or "")  # who is let in guesses nothing
    await parts.audit.write(Origin(origin.request, origin.source, caller), [Line("login", None, audit.ALLOW, "ok", event="session")])
    structlog.contextvars.bind_contextvars(caller=caller.name)
    return response


def _token(given: Form) -> str:
    """As it was pasted: blanks and line ends around it, and a copied `Bearer`, are no part of it."""
    text = given.text("token").removeprefix(SCHEME).strip()
    if "\n" in text:  # a terminal's line ends inside of it
        text = "".join(text.split())
    if not text:
        raise InvalidRequest("no token was given")
    try:
        return bearer(SCHEME + text)
    except Unauthenticated:
        raise InvalidRequest("what was given is not a token: it has other characters than one, or is longer than 16 KiB") from None
