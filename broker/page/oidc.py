"""OpenID Connect's authorization code flow with PKCE, as far as a page needs it: the way to the issuer, and an ID token back.

The ID token is a bearer token like any other: whether it is good is for the cluster's TokenReview to say, whose API server trusts the
same issuer. Here is decided what TokenReview cannot know: that the answer belongs to the login that this browser began (state, nonce,
verifier), that it comes from our issuer and no other (`iss`, RFC 9207), and that no code goes anywhere but to that issuer's
token endpoint, over verified TLS, without following redirects. No code, token or secret is ever in a message or a log.
"""

import asyncio
import hmac
import json
import ssl
import time
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import structlog

from broker.errors import Misconfigured, Unauthenticated, Unavailable
from broker.page.settings import OIDC_CA_FILE, OIDC_CLIENT_SECRET_FILE, OIDC_ISSUER, OidcSettings
from broker.stores.transport import system_trust

CALLBACK = "/ui/login/oidc/callback"
SECONDS = 8.0  # for each of the two calls; a person waits
MAX_ANSWER = 256 * 1024  # bytes; a discovery document is about 3 KB, an answer with tokens rarely above 20
DISCOVERY_SECONDS = 600.0  # how long what an issuer says of itself is kept
LOGIN_SECONDS = 600  # to log in at the issuer, second factor and all
_WELL_KNOWN = "/.well-known/openid-configuration"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that began: what the answer must fit to, and where the person wanted to go. Sealed into a cookie meanwhile."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    target: str
    ends: int

    def encode(self) -> bytes:
        return json.dumps([self.state, self.nonce, self.verifier, self.target, self.ends]).encode()

    @classmethod
    def decode(cls, content: bytes) -> "Attempt":
        """Of what was sealed by us, so it has this form."""
        return cls(*json.loads(content))


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What the issuer says of itself."""

    authorization: str
    token: str
    says_iss: bool
    secret_in_body: bool


class Oidc:
    """One issuer. `now` is Unix time; `clock` monotonic."""

    def __init__(self, settings: OidcSettings, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._now, self._clock = settings, now, clock
        self._known: tuple[float, Endpoints] | None = None
        self._place = f"{OIDC_ISSUER.name} {settings.issuer}"

    @property
    def name(self) -> str:
        """How the issuer is called on the page: by its host."""
        return urlsplit(self._settings.issuer).hostname or self._settings.issuer

    async def begin(self, target: str) -> tuple[str, Attempt]:
        """The issuer's login page, and what to keep until the answer. Raises Unavailable, Misconfigured."""
        endpoints = await self._endpoints()
        attempt = Attempt(token_urlsafe(32), token_urlsafe(32), token_urlsafe(48), target, int(self._now()) + LOGIN_SECONDS)
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.public_url + CALLBACK,
            "scope": self._settings.scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": urlsafe_b64encode(sha256(attempt.verifier.encode()).digest()).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        return f"{endpoints.authorization}{'&' if '?' in endpoints.authorization else '?'}{urlencode(asked)}", attempt

    async def finish(self, attempt: Attempt, answer: Mapping[str, str]) -> str:
        """The ID token for the issuer's answer (the callback's query). Raises Unauthenticated, Unavailable, Misconfigured."""
        endpoints = await self._endpoints()
        self._check_answer(attempt, answer, endpoints)
        token = (await self._exchange(endpoints, attempt, answer["code"])).get("id_token")
        if not isinstance(token, str) or not token:
            raise Misconfigured(f"{self._place}: its token endpoint gave no id_token. To fix: allow the scope 'openid' for the client")
        return token

    def check_claims(self, token: str, attempt: Attempt) -> float | None:
        """That an accepted token was made for this login; when it ends. Raises Unauthenticated."""
        claims = _claims(token)
        nonce, issuer = claims.get("nonce"), claims.get("iss")
        if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), attempt.nonce.encode()) or issuer != self._settings.issuer:
            raise Unauthenticated("the issuer's token was not made for this login. To fix: log in again")
        ends = claims.get("exp")
        return float(ends) if isinstance(ends, int | float) else None

    def _check_answer(self, attempt: Attempt, answer: Mapping[str, str], endpoints: Endpoints) -> None:
        if attempt.ends < self._now():
            raise Unauthenticated("the login took too long. To fix: log in again")
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise Unauthenticated("the answer does not belong to a login that began in this browser. To fix: log in again")
        issuer = answer.get("iss")
        if (issuer is None and endpoints.says_iss) or issuer not in (None, self._settings.issuer):
            raise Unauthenticated("the answer does not come from the issuer that was asked. To fix: log in again")
        if "error" in answer or not answer.get("code"):
            log.warning("oidc_refused", error=answer.get("error", "")[:60])
            raise Unauthenticated("the issuer did not log you in; its own page, or the broker's log, says why")

    async def _endpoints(self) -> Endpoints:
        if self._known is None or self._clock() - self._known[0] > DISCOVERY_SECONDS:
            found = self._read_discovery(await self._call("GET", self._settings.issuer.rstrip("/") + _WELL_KNOWN))
            self._known = (self._clock(), found)
        return self._known[1]

    def _read_discovery(self, document: Mapping[str, Any]) -> Endpoints:
        """Raises Misconfigured, naming the field."""
        if document.get("issuer") != self._settings.issuer:
            shown = str(document.get("issuer"))[:120]
            raise Misconfigured(f"{self._place}: the issuer calls itself '{shown}'. To fix: give the URL exactly as it does")
        for name in ("authorization_endpoint", "token_endpoint"):
            if not _is_https(document.get(name)):
                raise Misconfigured(f"{self._place}: its discovery document has no {name} with https")
        methods = document.get("code_challenge_methods_supported")
        if isinstance(methods, list) and "S256" not in methods:
            raise Misconfigured(f"{self._place}: it does not support PKCE with S256, which is needed")
        ways = document.get("token_endpoint_auth_methods_supported")
        return Endpoints(
            document["authorization_endpoint"],
            document["token_endpoint"],
            document.get("authorization_response_iss_parameter_supported") is True,
            isinstance(ways, list) and "client_secret_basic" not in ways and "client_secret_post" in ways,
        )

    async def _exchange(self, endpoints: Endpoints, attempt: Attempt, code: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.public_url + CALLBACK,
            "client_id": self._settings.client_id,
            "code_verifier": attempt.verifier,
        }
        secret, headers = self._secret(), {}
        if secret is not None and endpoints.secret_in_body:
            form["client_secret"] = secret
        elif secret is not None:
            pair = f"{quote_plus(self._settings.client_id)}:{quote_plus(secret)}"  # RFC 6749, 2.3.1
            headers["Authorization"] = "Basic " + _base64(pair)
        return await self._call("POST", endpoints.token, form, headers)

    def _secret(self) -> str | None:
        path = self._settings.secret_file
        if path is None:
            return None
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            pass  # raised below: a decoding error quotes the content
        raise Misconfigured(f"{OIDC_CLIENT_SECRET_FILE.name} {path}: cannot be read. To fix: mount the client's secret there")

    async def _call(
        self, method: str, url: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> Mapping[str, Any]:
        """A JSON object, or an error that quotes nothing of either side."""
        try:
            async with asyncio.timeout(SECONDS), self._http() as http, http.stream(method, url, data=form, headers=headers) as answer:
                status, body = answer.status_code, await _bounded(answer)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            log.warning("oidc_unreachable", error=type(error).__name__)
            status, body = 0, b""
        if status in (400, 401, 403) and method == "POST":
            log.warning("oidc_code_refused", status=status)
            raise Unauthenticated("the issuer did not take the login's code: it was used before, is too old, or the client is not accepted")
        if status != 200:
            said = f"answers {status}" if status else "does not answer"
            raise Unavailable(f"the issuer {self.name} {said}; try again")
        return self._object(body)

    def _object(self, body: bytes) -> Mapping[str, Any]:
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Misconfigured(f"{self._place}: its answer is not a JSON object")
        return document

    def _http(self) -> httpx.AsyncClient:
        """A client for one call: logins are rare, and certificates are looked at afresh."""
        file = self._settings.ca_file
        try:
            trust = system_trust() if file is None else ssl.create_default_context(cafile=file)
        except (OSError, ssl.SSLError):
            raise Misconfigured(f"{OIDC_CA_FILE.name} {file}: holds no certificates that can be read. To fix: name a PEM bundle") from None
        return httpx.AsyncClient(
            verify=trust,
            timeout=SECONDS,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tfy-secret-injector"},
        )


async def _bounded(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise httpx.DecodingError("too large")
    return bytes(body)


def _base64(pair: str) -> str:

    return b64encode(pair.encode()).decode()


def _is_https(url: Any) -> bool:
    return isinstance(url, str) and urlsplit(url).scheme == "https" and bool(urlsplit(url).hostname)


def _claims(token: str) -> dict[str, Any]:
    """Of a token that TokenReview has accepted: its signature is not looked at again. Raises Unauthenticated."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError):
        claims = None
    if not isinstance(claims, dict):
        raise Unauthenticated("the issuer's token is not a JWT with claims")
    return claims
