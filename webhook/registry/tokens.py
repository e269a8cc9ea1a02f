"""How a request is authorised: what the registry's challenge asks for, from one log-in or from nobody.

A password goes to the registry (Basic) or to the token server that the registry names (Bearer), over TLS, and nowhere else.
An identity token is exchanged by the OAuth2 form. Tokens live for one look-up and are not kept.
"""

import re
from collections.abc import Sequence

import msgspec
from yarl import URL

from webhook.registry.challenge import Challenge
from webhook.registry.credentials import Login
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.image import Image
from webhook.registry.transport import Answer, Request, Transport

MAX_ANSWER = 262_144  # bytes; tokens that list many rights reach tens of KiB
CLIENT_ID = "tfy-secret-injector"


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


async def authorise(transport: Transport, image: Image, login: Login | None, challenges: Sequence[Challenge], *, local: bool) -> str:
    """The value of an Authorization header. Raises LookupFailed, `denied` if the log-in is not accepted or there is none."""
    bearer = next((each for each in challenges if each.scheme == "bearer"), None)
    if bearer is not None:
        answer = await transport.fetch(_request(image, login, bearer, local=local), redirects=0)
        return f"Bearer {_read(answer, image)}"
    if login is not None and login.username and any(each.scheme == "basic" for each in challenges):
        return login.basic
    raise denied(image, login)


def denied(image: Image, login: Login | None) -> LookupFailed:
    said = "refuses the pull secrets' log-in" if login else "asks for a log-in, and no pull secret is for it"
    fix = "correct the pod's imagePullSecrets" if login else "name a pull secret for this registry in the pod's imagePullSecrets"
    return LookupFailed(LookupReason.DENIED, f"registry '{image.registry}' {said}", fix)


def _request(image: Image, login: Login | None, bearer: Challenge, *, local: bool) -> Request:
    url = _realm(bearer, image)
    asked = {"scope": bearer.parameters.get("scope") or f"repository:{image.repository}:pull"}
    if service := bearer.parameters.get("service"):
        asked["service"] = service
    if login is not None and login.identity_token:
        form = asked | {"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": login.identity_token}
        return Request("POST", url, {"Accept": "application/json"}, MAX_ANSWER, local, form)
    headers = {"Accept": "application/json"} | ({"Authorization": login.basic} if login and login.username else {})
    return Request("GET", url.extend_query(asked), headers, MAX_ANSWER, local)


def _realm(bearer: Challenge, image: Image) -> URL:
    try:
        url = URL(bearer.parameters.get("realm", ""))
    except ValueError:
        url = URL()
    if not url.absolute or not url.host:
        raise LookupFailed(LookupReason.MALFORMED, f"registry '{image.registry}' names no token server that could be asked")
    return url


def _read(answer: Answer, image: Image) -> str:
    server = f"the token server of registry '{image.registry}'"
    if answer.status in (400, 401, 403):  # the OAuth2 form answers a bad grant with 400
        fix = "correct the pod's imagePullSecrets, or the image's name"
        raise LookupFailed(LookupReason.DENIED, f"{server} gives no token for this image ({answer.status})", fix)
    if answer.status == 429 or answer.status >= 500:
        raise LookupFailed(LookupReason.UNREACHABLE, f"{server} answers {answer.status}")
    found = _decode(answer.body) if answer.status == 200 else ""
    if not re.fullmatch(r"[\x21-\x7e]{1,65536}", found):
        raise LookupFailed(LookupReason.MALFORMED, f"{server} answers {answer.status} without a token")
    return found


def _decode(body: bytes) -> str:
    try:
        read = msgspec.json.decode(body, type=_Token)
    except (ValueError, RecursionError):
        return ""
    return read.token or read.access_token
