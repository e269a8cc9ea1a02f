"""Whether a POST comes from our own page: by what the browser says of its origin, and by a token that only our forms carry.

Sec-Fetch-Site | Origin           | taken as
-------------- | ---------------- | -------------------------------------------------------------
same-origin    | any              | ours
anything else  | any              | refused, `none` included: no form of ours is sent from nowhere
not sent       | our own          | ours (a browser from before 2023)
not sent       | else, or missing | refused

The browser sets both headers itself; a page cannot. With `Referrer-Policy: no-referrer` browsers send `Origin: null`, so Sec-Fetch-Site
counts more. Logged in, the form's token is needed too.
"""

import hmac

from aiohttp import web

from broker.page.session import Session

FIELD = "form_token"


class Foreign(Exception):
    """The request is not from our own page."""


def check_origin(request: web.Request, public_url: str | None) -> None:
    """Raises Foreign."""
    site = request.headers.getall("Sec-Fetch-Site", [])
    origin = request.headers.getall("Origin", [])
    if len(site) > 1 or len(origin) > 1:
        raise Foreign
    if site == ["same-origin"]:
        return
    if site or not origin or origin[0] not in {f"https://{request.host}", public_url}:
        raise Foreign


def check_form(session: Session, given: str | None) -> None:
    """Raises Foreign."""
    if given is None or not hmac.compare_digest(session.form_token.encode(), given.encode()):
        raise Foreign
