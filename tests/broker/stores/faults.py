"""A reverse proxy in front of a real server: what one request gets instead of its answer, and a list of what was asked.

    async with FaultyProxy("http://127.0.0.1:5000") as proxy:
        proxy.url, proxy.faults.append(Fault(status=429)), proxy.requests

Requests pass byte for byte with their Host header, which AWS's signatures cover. `half` cuts the real answer's body in the middle.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from aiohttp import web
from tests.generic_server import Fault, cut

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}


@dataclass(frozen=True, slots=True)
class Half:
    """The real answer, whose body ends in the middle."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`operation` is AWS's name of what was asked, from X-Amz-Target, without the service."""

    method: str
    target: str
    operation: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class FaultyProxy:
    """`tls` is a server's context, for clients that refuse plain HTTP; the URL is then on localhost."""

    def __init__(self, target: str, *, tls: ssl.SSLContext | None = None, trust: ssl.SSLContext | None = None) -> None:
        self._target, self._tls, self._trust = target.rstrip("/"), tls, trust
        self.faults: list[Fault | Half] = []
        self.requests: list[Seen] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def operations(self) -> list[str]:
        return [seen.operation for seen in self.requests]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.requests.append(Seen(request.method, request.raw_path, operation, body, dict(request.headers)))
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Fault):
            await asyncio.sleep(fault.wait)
            if fault.reset or fault.raw is not None:
                cut(request, fault)
            return web.Response(status=fault.status, headers=fault.headers, body=fault.body)
        return await self._forward(request, body, half=isinstance(fault, Half))

    async def _forward(self, request: web.Request, body: bytes, *, half: bool) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        url = self._target + request.raw_path
        async with self._session.request(
            request.method,
            aiohttp.client.URL(url, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            ssl=self._trust or True,
        ) as answer:
            content = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP - {"content-encoding"}}
            if half:
                head = f"HTTP/1.1 {answer.status} OK\r\nContent-Type: {answer.content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
                cut(request, Fault(raw=head.encode() + content[: len(content) // 2]))
            return web.Response(status=answer.status, headers=kept, body=content)
