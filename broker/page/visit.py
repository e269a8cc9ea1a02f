"""One request to a page: who it is from, and what a view works with. Forms bring their fields along.

Decides when somebody has to log in (again), and that every form is from our own page. What they may do is the service's to decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from broker import audit
from broker.audit import Audit, Line, Origin
from broker.errors import Unauthenticated
from broker.groups.service import Groups
from broker.identity import Authenticator, Caller
from broker.page import csrf, render
from broker.page.forms import Form, read_form
from broker.page.oidc import Oidc
from broker.page.render import Person
from broker.page.sealing import SessionKeys
from broker.page.session import Session, Sessions, has_cookie
from broker.rates import Rates
from broker.uses import Uses


MAX_ASKED = 253  # characters; the longest key
PERSON: web.RequestKey[Person] = web.RequestKey("person", Person)  # for pages about an error, too


class LoginNeeded(Exception):
    """There is no session, or it is over (`over`)."""

    def __init__(self, *, over: bool) -> None:
        self.over = over
        super().__init__()


@dataclass(frozen=True, slots=True)
class Parts:
    """What the page is made of. `public_url` None: wherever it is reached; `oidc` None: a token is the only way in."""

    authenticator: Authenticator
    audit: Audit
    groups: Groups
    uses: Uses
    keys: SessionKeys
    sessions: Sessions
    logins: Rates
    public_url: str | None = None
    oidc: Oidc | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is logged in."""

    request: web.Request
    parts: Parts
    session: Session
    caller: Caller
    origin: Origin

    @property
    def groups(self) -> Groups:
        return self.parts.groups

    def named(self, name: str) -> str:
        """A part of the path, decoded."""
        return self.request.match_info[name]

    def asked(self, name: str) -> str:
        return self.request.query.get(name, "").strip()[:MAX_ASKED]

    def page(self, template: str, status: int = 200, **context: Any) -> web.Response:
        return render.page(template, self.request[PERSON], status, **{"note": self.asked("note"), "problem": None, **context})


async def begin(request: web.Request, parts: Parts, origin: Origin) -> Visit:
    """Raises LoginNeeded, or what reviewing the token meets."""
    session = parts.sessions.read(request)
    if session is None:
        raise LoginNeeded(over=has_cookie(request))
    try:
        caller = await parts.authenticator.person(session.token)
    except Unauthenticated as error:
        await parts.audit.write(origin, [Line("session", None, audit.DENY, error.code, event="unauthenticated")])
        raise LoginNeeded(over=True) from None
    structlog.contextvars.bind_contextvars(caller=caller.name)
    request[PERSON] = Person(caller.name, session, parts.groups.may_create(caller))
    return Visit(request, parts, session, caller, Origin(origin.request, origin.source, caller))


async def begin_form(request: web.Request, parts: Parts, origin: Origin, *, with_value: bool) -> tuple[Visit, Form]:
    """Raises LoginNeeded, csrf.Foreign, Refusal."""
    csrf.check_origin(request, parts.public_url)
    visit = await begin(request, parts, origin)
    form = await read_form(request, with_value=with_value)
    csrf.check_form(visit.session, form.fields.get(csrf.FIELD))
    return visit, form


def shown_fields(form: Form, names: tuple[str, ...]) -> Mapping[str, str]:
    """What was typed, to be shown again beside what is wrong with it; never a value."""
    return {name: form.fields.get(name, "") for name in names}
