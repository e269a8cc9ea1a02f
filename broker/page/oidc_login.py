"""The two halves of a login with an issuer: the way there, and the way back with a code.

What belongs together is kept in a sealed cookie of its own meanwhile. It is SameSite=Lax, since the way back begins on the issuer's
site, and lives for one answer: the browser is told to drop it with whatever the answer brings.
"""

import binascii

from aiohttp import web

from broker.audit import Origin
from broker.errors import BrokerError, Unauthenticated
from broker.page import login, render
from broker.page.oidc import LOGIN_SECONDS, Attempt, Oidc
from broker.page.places import Places, own
from broker.page.sealing import Unsealed
from broker.page.session import packed, unpacked
from broker.page.visit import Parts

COOKIE = "__Host-tfy-login"
_PURPOSE = "oidc"


async def start(request: web.Request, parts: Parts, origin: Origin) -> web.Response:
    issuer = _issuer(parts)
    target = own(request.query.get("next"))
    try:
        login.take_turn(parts, origin)
        place, attempt = await issuer.begin(target)
    except BrokerError as error:
        return login.page(parts, target, problem=error)
    response = render.redirect(place)
    sealed = packed(parts.keys.seal(_PURPOSE, attempt.encode()))
    response.set_cookie(COOKIE, sealed, path="/", secure=True, httponly=True, samesite="Lax", max_age=LOGIN_SECONDS)
    return response


async def callback(request: web.Request, parts: Parts, origin: Origin) -> web.Response:
    issuer = _issuer(parts)
    target = Places.HOME
    try:
        attempt = _attempt(request, parts)
        target = own(attempt.target)
        token = await issuer.finish(attempt, _answer(request))
        caller = await login.accepted(parts, token, origin)
        ends = issuer.check_claims(token, attempt)
        response = await login.logged_in(parts, token, caller, origin, target, ends, from_elsewhere=True)
    except BrokerError as error:
        response = login.page(parts, target, problem=error)
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    return response


def _issuer(parts: Parts) -> Oidc:
    if parts.oidc is None:
        raise web.HTTPNotFound
    return parts.oidc


def _attempt(request: web.Request, parts: Parts) -> Attempt:
    try:
        return Attempt.decode(parts.keys.open(_PURPOSE, unpacked(request.cookies.get(COOKIE, ""))))
    except (Unsealed, binascii.Error, ValueError):
        raise Unauthenticated("the answer does not belong to a login that began in this browser. To fix: log in again") from None


def _answer(request: web.Request) -> dict[str, str]:
    """The query; a name that stands in it twice could be read two ways."""
    if len(set(request.query)) != len(request.query):
        raise Unauthenticated("the issuer's answer cannot be read. To fix: log in again")
    return dict(request.query)
