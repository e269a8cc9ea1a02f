"""An OpenID Connect issuer over TLS, as small as one can be and as strict as one must: codes are used once, PKCE is checked, clients too."""

import base64
import secrets
import time
from hashlib import sha256
from urllib.parse import unquote_plus

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from broker.errors import Unauthenticated
from broker.identity import NOT_ACCEPTED, Caller, subjects_of

CLIENT, SECRET = "page", "CANARY-client:secret%"
KEY = generate_private_key(65537, 2048)


class Issuer:
    """`changes` are put over what it would answer: discovery, claims, and the like."""

    def __init__(self, tls, host="localhost"):
        self._tls, self._host = tls, host
        self.codes = {}
        self.discovery, self.claims, self.token_answer = {}, {}, {}
        self.status = 200
        self.asked = []
        self.redirect = None
        self.secret = None

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/link", self._link)
        self._server = TestServer(app, host=self._host, scheme="https")
        await self._server.start_server(ssl=self._tls)
        self.url = f"https://{self._host}:{self._server.port}"
        return self

    async def __aexit__(self, *_):
        await self._server.close()

    async def _configuration(self, _request):
        self.asked.append("discovery")
        if self.redirect:
            raise web.HTTPFound(self.redirect)
        known = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response({k: v for k, v in (known | self.discovery).items() if v is not None}, status=self.status)

    async def _authorize(self, request):
        """Somebody who is logged in at the issuer says yes at once."""
        asked = dict(request.query)
        assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        raise web.HTTPFound(f"{asked['redirect_uri']}?code={code}&state={asked['state']}&iss={self.url}")

    async def _link(self, request):
        """A page of another site that leads somewhere."""
        return web.Response(text=f'<a href="{request.query["to"]}">go</a>', content_type="text/html")

    async def _token(self, request):
        self.asked.append("token")
        form = dict(await request.post())
        asked = self.codes.pop(form.get("code"), None)
        challenge = base64.urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        good = asked is not None and asked["code_challenge"] == challenge and asked["redirect_uri"] == form["redirect_uri"]
        if not good or not self._client(request, form) or form["grant_type"] != "authorization_code":
            return web.json_response({"error": "invalid_grant", "error_description": f"CANARY {form.get('code')}"}, status=400)
        if self.token_answer.get("status"):
            return web.Response(status=self.token_answer["status"], text=self.token_answer.get("text", ""))
        return web.json_response(
            {"token_type": "Bearer", "access_token": "CANARY-access", "id_token": self.token(asked["nonce"])} | self.token_answer
        )

    def _client(self, request, form):
        if self.secret is None:
            return form["client_id"] == CLIENT and "Authorization" not in request.headers
        if "client_secret" in form:
            return form["client_secret"] == self.secret
        name, _, given = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
        return (unquote_plus(name), unquote_plus(given)) == (CLIENT, self.secret)

    def token(self, nonce, **claims):
        now = int(time.time())
        made = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "1",
            "email": "ann@acme.example",
            "groups": ["platform"],
            "iat": now,
            "exp": now + 600,
        }
        return jwt.encode(made | {"nonce": nonce} | self.claims | claims, KEY, "RS256")


class TrustingCluster:
    """An API server with `--oidc-issuer-url` and `--oidc-client-id`: it checks signature, issuer, audience and time, and knows no nonce."""

    def __init__(self, issuers):
        self.issuers = issuers

    async def person(self, token):
        try:
            claims = jwt.decode(token, KEY.public_key(), ["RS256"], audience=CLIENT)
        except jwt.InvalidTokenError:
            raise Unauthenticated(NOT_ACCEPTED) from None
        if claims["iss"] not in self.issuers:
            raise Unauthenticated(NOT_ACCEPTED)
        return Caller(claims["email"], subjects_of(claims["email"], claims["groups"]))
