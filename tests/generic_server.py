"""A server of the Generic Secret Store contract, in memory, over real HTTP(S): for tests, demonstrations and a cluster.

    async with GenericServer(headers={"Authorization": "Bearer x"}) as server:
        server.url, server.requests, server.faults.append(Fault(status=429, headers={"Retry-After": "1"}))

    python -m tests.generic_server --listen 127.0.0.1:8080 --header-file Authorization=/run/token

Keeps the contract to the letter; the methods `put`, `get`, `delete` are what a test replaces to break it. A path or version that
is not there is 404 for GET and 400 for DELETE. Logs names of requests alone.
"""

import argparse
import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web

Reply = tuple[int, Any]  # a status and a JSON document


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request gets instead of its answer. `raw`: bytes on the wire, then the end of the connection; `reset`: a TCP reset."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait: float = 0.0
    raw: bytes | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived. `headers` may hold test credentials."""

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)


class GenericServer:
    """`values[path]` is a list of (version, value), oldest first. `headers` are demanded on every request."""

    def __init__(
        self,
        headers: dict[str, str] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        prefix: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.headers = headers or {}
        self.values: dict[str, list[tuple[str, str]]] = {}
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self._made: dict[str, int] = {}
        self._tls, self._prefix, self._host, self._port = tls, prefix, host, port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        # A value of 1 MiB can be 6 MiB of JSON.
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """The base URL; with TLS on localhost, so that a certificate for that name fits."""
        return f"https://localhost:{self._port}{self._prefix}" if self._tls else f"http://{self._host}:{self._port}{self._prefix}"

    # --- the contract ------------------------------------------------------------------------------------------------

    def put(self, body: Any) -> Reply:
        if (
            not isinstance(body, dict)
            or not isinstance(body.get("path"), str)
            or not body["path"]
            or not isinstance(body.get("value"), str)
        ):
            return 400, {"error": "path and value are needed"}
        path = body["path"]
        self._made[path] = version = self._made.get(path, 0) + 1
        self.values.setdefault(path, []).append((str(version), body["value"]))
        return 201, {"version": str(version)}

    def get(self, query: dict[str, str]) -> Reply:
        if not query.get("path"):
            return 400, {"error": "path is needed"}
        versions = self.values.get(query["path"], [])
        found = [value for version, value in versions if query.get("version", version) == version]
        return (200, {"value": found[-1]}) if found else (404, {"error": "not found"})

    def delete(self, body: Any) -> Reply:
        if not isinstance(body, dict) or not isinstance(body.get("path"), str) or body["path"] not in self.values:
            return 400, {"error": "path is invalid"}
        path = body["path"]
        if "version" not in body:
            del self.values[path]
            return 200, {}
        kept = [pair for pair in self.values[path] if pair[0] != body["version"]]
        if len(kept) == len(self.values[path]):
            return 400, {"error": "version is invalid"}
        self.values[path] = kept
        if not kept:
            del self.values[path]
        return 200, {}

    # --- HTTP --------------------------------------------------------------------------------------------------------

    def authorised(self, headers: dict[str, str]) -> bool:
        found = {name.lower(): value for name, value in headers.items()}
        return all(found.get(name.lower()) == value for name, value in self.headers.items())

    async def answer(self, request: web.Request) -> web.Response:
        if request.path != f"{self._prefix}/secrets":
            return web.json_response({"error": "no such route"}, status=404)
        if not self.authorised(dict(request.headers)):
            return web.json_response({"error": "unauthorised"}, status=401)
        if request.method == "GET":
            return _json(self.get(dict(request.query)))
        routes: dict[str, Callable[[Any], Reply]] = {"PUT": self.put, "DELETE": self.delete}
        if request.method not in routes:
            return web.json_response({}, status=405)
        if request.content_type != "application/json":
            return web.json_response({"error": "JSON is needed"}, status=400)
        try:
            body = json.loads(await request.read())
        except ValueError:
            return web.json_response({"error": "not JSON"}, status=400)
        return _json(routes[request.method](body))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Seen(request.method, request.raw_path, dict(request.headers)))
        if not self.faults:
            return await self.answer(request)
        fault = self.faults.pop(0)
        await request.read()
        await asyncio.sleep(fault.wait)
        if fault.reset or fault.raw is not None:
            cut(request, fault)
        return web.Response(status=fault.status, headers=fault.headers, body=fault.body)


def _json(reply: Reply) -> web.Response:
    status, document = reply
    return web.Response(status=status, body=json.dumps(document).encode(), content_type="application/json")


def cut(request: web.Request, fault: Fault) -> None:
    transport = request.transport
    assert transport is not None
    if fault.raw is not None:
        transport.write(fault.raw)  # type: ignore[attr-defined]
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()  # type: ignore[attr-defined]


def _header(text: str) -> dict[str, str]:
    """`NAME=FILE`: the file holds the value; `FILE` alone: lines of `Name: value`."""
    name, separator, file = text.partition("=")
    if separator:
        return {name: Path(file).read_text().strip()}
    pairs = (line.partition(":") for line in Path(text).read_text().splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


async def _serve(make: Callable[[], GenericServer], wait: Callable[[], Awaitable[object]]) -> None:
    async with make() as server:
        print(f"serving the Generic Secret Store contract on {server.url}", flush=True)
        await wait()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.generic_server", description="A Generic Secret Store in memory, over plain HTTP."
    )
    parser.add_argument("--listen", default="127.0.0.1:8080", help="host:port; port 0 takes a free one")
    parser.add_argument("--header-file", action="append", default=[], help="NAME=FILE, or a file of 'Name: value' lines; may repeat")
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    headers = {name: value for text in options.header_file for name, value in _header(text).items()}
    try:
        asyncio.run(_serve(lambda: GenericServer(headers, host=host, port=int(port)), asyncio.Event().wait))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
