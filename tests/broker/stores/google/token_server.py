"""Google's servers of tokens, on loopback: the metadata server, the security token service, and IAM's credentials service.

    async with TokenServer() as tokens:
        tokens.host, tokens.url, tokens.token, tokens.seen, tokens.faults.append(web.Response(status=503))

A subject token is accepted if it is `tokens.subject`; an impersonation if it brings the token that the exchange gave.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiohttp import web

ACCOUNT = "broker@acme-prod.iam.gserviceaccount.com"
AUDIENCE = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool/providers/cluster"


@dataclass(frozen=True)
class Seen:
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]


class TokenServer:
    def __init__(self) -> None:
        self.token, self.subject, self.lifetime = "canary-token-1", "canary-subject", 3600
        self.flavor = "Google"
        self.faults: list[web.Response | float] = []
        self.seen: list[Seen] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/computeMetadata/v1/instance/service-accounts/default/token", self._metadata)
        app.router.add_post("/v1/token", self._exchange)
        app.router.add_post("/v1/projects/-/serviceAccounts/{account}", self._impersonate)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.host = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self.url = f"http://{self.host}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def paths(self) -> list[str]:
        return [seen.path.rpartition("/")[2] for seen in self.seen]

    def external_account(self, file: str, *, impersonate: bool = False, **more: Any) -> dict[str, Any]:
        """As `gcloud iam workload-identity-pools create-cred-config` writes it."""
        made: dict[str, Any] = {
            "type": "external_account",
            "audience": AUDIENCE,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{self.url}/v1/token",
            "credential_source": {"file": file},
        }
        if impersonate:
            made["service_account_impersonation_url"] = f"{self.url}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
        return made | more

    async def _fault(self, request: web.Request, body: dict[str, Any]) -> web.Response | None:
        self.seen.append(Seen(request.path, dict(request.headers), dict(request.query), body))
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, float):
            await asyncio.sleep(fault)
            return None
        return fault

    async def _metadata(self, request: web.Request) -> web.Response:
        fault = await self._fault(request, {})
        if fault is not None:
            return fault
        if request.headers.get("Metadata-Flavor") != "Google":
            return web.Response(status=403)
        answer = {"access_token": self.token, "expires_in": self.lifetime, "token_type": "Bearer"}
        return web.json_response(answer, headers={"Metadata-Flavor": self.flavor})

    async def _exchange(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        fault = await self._fault(request, form)
        if fault is not None:
            return fault
        wanted = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": AUDIENCE, "subject_token": self.subject}
        if {name: form.get(name) for name in wanted} != wanted:
            return web.json_response({"error": "invalid_grant", "error_description": f"canary {form.get('subject_token')}"}, status=400)
        return web.json_response({"access_token": self.token, "expires_in": self.lifetime, "token_type": "Bearer"})

    async def _impersonate(self, request: web.Request) -> web.Response:
        fault = await self._fault(request, await request.json())
        if fault is not None:
            return fault
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=403, text="canary")
        until = datetime.now(UTC) + timedelta(seconds=self.lifetime)
        return web.json_response({"accessToken": f"impersonated-{self.token}", "expireTime": until.strftime("%Y-%m-%dT%H:%M:%SZ")})
