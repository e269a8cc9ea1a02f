"""The documented endpoint of TrueFoundry's control plane, over real HTTP: one secret by its name, for a bearer token.

async with TrueFoundryServer("token") as server:
    server.values["tfy-secret://acme:payments:DB"] = "value"
    server.url, server.requests
"""

from typing import Any, Self

from aiohttp import web

ENDPOINT = "/api/svc/v1/control-plane/secret"


class TrueFoundryServer:
    """A name that is not in `values` is 404, another token 401, no name 400."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.values: dict[str, Any] = {}
        self.requests: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.raw_path))
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"statusCode": 401, "message": "Unauthorized"}, status=401)
        if request.path != ENDPOINT or request.method != "GET":
            return web.json_response({"statusCode": 404, "message": "no such route"}, status=404)
        name = request.query.get("secret_ref")
        if not name:
            return web.json_response({"statusCode": 400, "message": "secret_ref is needed"}, status=400)
        if name not in self.values:
            return web.json_response({"statusCode": 404, "message": "not found"}, status=404)
        return web.json_response({"value": self.values[name]})
