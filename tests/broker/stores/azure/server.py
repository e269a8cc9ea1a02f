"""A key vault and its login in memory, over TLS: what Azure documents and its real client asks, with the service's rough edges.

    async with KeyVaultServer(authority) as server:
        server.url, server.requests, server.secrets, server.deny["get"] = "ForbiddenByRbac"

Names are the same in any case of their letters; `created` has whole seconds; versions are listed in no order, by pages; a deleted secret
is kept, its name cannot be written, and deletions and recoveries take `settle` looks. Values past 25,600 bytes are refused.
"""

import asyncio
import json
import re
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import jwt
import trustme
from aiohttp import web

NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
RESOURCE = "https://vault.azure.net"


@dataclass
class Version:
    value: str = field(repr=False)
    tags: dict[str, str]
    attributes: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass
class Kept:
    """A secret; `waits` is how many looks it takes until the last change is done."""

    name: str
    versions: list[Version] = field(default_factory=list)
    waits: int = 0


@dataclass
class Seen:
    method: str
    path: str
    authorized: bool
    body: bytes = field(repr=False)


class Refused(Exception):
    def __init__(self, status: int, code: str, inner: str = "") -> None:
        self.status, self.code, self.inner = status, code, inner


class KeyVaultServer:
    """`denied[operation]` is the inner code of a 403; `text` is what the service's own words say."""

    def __init__(self, authority: trustme.CA, *, page: int = 25, settle: int = 0) -> None:
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost", "ours.localhost", "127.0.0.1").configure_cert(self.tls)
        self.page, self.settle = page, settle
        self.secrets: dict[str, Kept] = {}
        self.deleted: dict[str, Kept] = {}
        self.requests: list[Seen] = []
        self.denied: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.token_seconds = 3600
        self.assertions, self.client_secrets = {"federated-token"}, {"client-secret"}
        self.public_key: Any = None
        self.logins: list[dict[str, str]] = []
        self.login_waits: asyncio.Event | None = None
        self.login_answers: list[tuple[int, Any]] = []
        self.challenge_tenant, self.resource = TENANT, RESOURCE
        self.text = "the service's own words"
        self.next_link: str | None = None
        self.kept, self.recovered = self._get_deleted, self._recover  # what a test replaces

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        for method, path, operation, handler in (
            ("PUT", "/secrets/{name}", "set", self._set),
            ("GET", "/secrets/{name}/versions", "list", self._versions),
            ("GET", "/secrets/{name}/{version:[^/]*}", "get", self._get),
            ("PATCH", "/secrets/{name}/{version:[^/]*}", "set", self._update),
            ("DELETE", "/secrets/{name}", "delete", self._delete),
            ("GET", "/deletedsecrets/{name}", "get-deleted", self._replaceable("kept")),
            ("POST", "/deletedsecrets/{name}/recover", "recover", self._replaceable("recovered")),
            ("DELETE", "/deletedsecrets/{name}", "purge", self._purge),
        ):
            app.router.add_route(method, path, self._guarded(operation, handler))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"https://localhost:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def count(self, method: str, authorized: bool = True) -> int:
        return sum(seen.method == method and seen.authorized == authorized for seen in self.requests)

    def put(self, name: str, value: str, **attributes: Any) -> str:
        """As someone with the portal would."""
        kept = self.secrets.setdefault(name.lower(), Kept(name))
        kept.versions.append(Version(value, {}, {"enabled": True, "created": int(time.time()), "updated": int(time.time())} | attributes))
        return kept.versions[-1].id

    # --- the login

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.logins.append(form)
        if self.login_waits is not None:
            await self.login_waits.wait()
        if self.login_answers:
            status, document = self.login_answers.pop(0)
            if isinstance(document, bytes):
                return web.Response(status=status, body=document, content_type="application/json")
            return web.json_response(document, status=status)
        if request.match_info["tenant"] != TENANT or form.get("client_id") != CLIENT or not self._proved(form):
            return web.json_response(login_error(700213, self.text), status=401)
        if form.get("scope") != f"{self.resource}/.default":
            return web.json_response(login_error(500011, self.text), status=400)
        token = f"token-{secrets.token_hex(8)}"
        self.tokens.add(token)
        return web.json_response({"token_type": "Bearer", "expires_in": self.token_seconds, "access_token": token})

    def _proved(self, form: dict[str, str]) -> bool:
        if "client_secret" in form:
            return form["client_secret"] in self.client_secrets
        if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
            return False
        if self.public_key is None:
            return form.get("client_assertion") in self.assertions
        try:
            jwt.decode(
                form["client_assertion"], self.public_key, ["PS256"], audience=f"{self.url}/{TENANT}/oauth2/v2.0/token", issuer=CLIENT
            )
        except jwt.InvalidTokenError:
            return False
        return True

    # --- the vault

    def _guarded(
        self, operation: str, handler: Callable[[web.Request, str], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            authorized = request.headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens
            self.requests.append(Seen(request.method, request.path, authorized, body))
            if not authorized:
                return self._challenge(request)
            try:
                if operation in self.denied:
                    raise Refused(403, "Forbidden", self.denied[operation])
                if "api-version" not in request.query or not NAME.fullmatch(request.match_info["name"]):
                    raise Refused(400, "BadParameter")
                document = await handler(request, request.match_info["name"].lower())
            except Refused as refused:
                inner = {"innererror": {"code": refused.inner}} if refused.inner else {}
                return web.json_response({"error": {"code": refused.code, "message": self.text} | inner}, status=refused.status)
            return web.Response(status=204) if document is None else web.json_response(document)

        return answer

    def _replaceable(self, method: str) -> Callable[[web.Request, str], Awaitable[Any]]:
        async def answer(request: web.Request, name: str) -> Any:
            return await getattr(self, method)(request, name)

        return answer

    def _challenge(self, request: web.Request) -> web.Response:
        header = f'Bearer authorization="https://{request.host}/{self.challenge_tenant}", resource="{self.resource}"'
        return web.json_response(
            {"error": {"code": "Unauthorized", "message": self.text}}, status=401, headers={"WWW-Authenticate": header}
        )

    async def _set(self, request: web.Request, name: str) -> Any:
        document = json.loads(await request.read())
        value = document.get("value")
        if not isinstance(value, str) or len(value.encode()) > 25_600:
            raise Refused(400, "BadParameter")
        if name in self.deleted:
            raise Refused(409, "Conflict", "ObjectIsBeingDeleted" if self.deleted[name].waits else "ObjectIsDeletedButRecoverable")
        if name in self.secrets and self.secrets[name].waits:
            raise Refused(409, "Conflict", "ObjectIsBeingRecovered")
        self.put(request.match_info["name"], value, **(document.get("attributes") or {}))
        kept = self.secrets[name]
        kept.versions[-1].tags = document.get("tags") or {}
        return self._bundle(request, kept, kept.versions[-1])

    async def _get(self, request: web.Request, name: str) -> Any:
        kept, version = self._find(request, name)
        if not version.attributes["enabled"]:
            raise Refused(403, "Forbidden", "SecretDisabled")
        return self._bundle(request, kept, version)

    async def _update(self, request: web.Request, name: str) -> Any:
        kept, version = self._find(request, name)
        version.attributes |= json.loads(await request.read()).get("attributes") or {}
        return self._bundle(request, kept, version) | {"value": None}

    async def _versions(self, request: web.Request, name: str) -> Any:
        kept = self.secrets.get(name)
        found = sorted(kept.versions, key=lambda version: version.id) if kept else []
        start = int(request.query.get("$skiptoken", 0))
        more = (
            f"https://{request.host}/secrets/{name}/versions?api-version=1&$skiptoken={start + self.page}"
            if len(found) > start + self.page
            else None
        )
        page = [self._bundle(request, kept, version) for version in found[start : start + self.page] if kept]
        for bundle in page:
            del bundle["value"]
        return {"value": page, "nextLink": self.next_link or more}

    async def _delete(self, request: web.Request, name: str) -> Any:
        kept, version = self._find(request, name)
        self.deleted[name] = self.secrets.pop(name)
        kept.waits = self.settle
        return self._deleted_bundle(request, kept)

    async def _get_deleted(self, request: web.Request, name: str) -> Any:
        kept = self.deleted.get(name)
        if kept is None or self._waits(kept):
            raise Refused(404, "SecretNotFound")
        return self._deleted_bundle(request, kept)

    async def _recover(self, request: web.Request, name: str) -> Any:
        if name not in self.deleted:
            raise Refused(404, "SecretNotFound")
        kept = self.secrets[name] = self.deleted.pop(name)
        kept.waits = self.settle
        return self._bundle(request, kept, kept.versions[-1]) | {"value": None}

    async def recover_by_hand(self, request: web.Request, name: str) -> Any:
        """As if someone had been quicker."""
        self.secrets[name] = self.deleted.pop(name)
        return await self._get_deleted(request, name)

    async def _purge(self, _: web.Request, name: str) -> None:
        if self.deleted.pop(name, None) is None:
            raise Refused(404, "SecretNotFound")

    def _find(self, request: web.Request, name: str) -> tuple[Kept, Version]:
        kept = self.secrets.get(name)
        wanted = request.match_info.get("version")
        if kept is None or self._waits(kept):
            raise Refused(404, "SecretNotFound")
        for version in reversed(kept.versions):
            if not wanted or version.id == wanted:
                return kept, version
        raise Refused(404, "SecretNotFound")

    def _waits(self, kept: Kept) -> bool:
        waits, kept.waits = kept.waits, max(0, kept.waits - 1)
        return waits > 0

    def _bundle(self, request: web.Request, kept: Kept, version: Version) -> dict[str, Any]:
        id = f"https://{request.host}/secrets/{kept.name}/{version.id}"
        return {
            "id": id,
            "value": version.value,
            "attributes": {"recoveryLevel": "Recoverable+Purgeable"} | version.attributes,
            "tags": version.tags,
        }

    def _deleted_bundle(self, request: web.Request, kept: Kept) -> dict[str, Any]:
        now = int(time.time())
        bundle = self._bundle(request, kept, kept.versions[-1])
        del bundle["value"]
        recovery = f"https://{request.host}/deletedsecrets/{kept.name}"
        return bundle | {"recoveryId": recovery, "deletedDate": now, "scheduledPurgeDate": now + 90 * 86400}


def login_error(number: int, text: str) -> dict[str, Any]:
    return {"error": "invalid_client", "error_description": f"AADSTS{number}: {text}", "error_codes": [number]}
