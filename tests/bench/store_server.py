"""A store that counts its calls and takes so many a second: `python -m tests.bench.store_server RATE`, a process of its own.

    GET  /secrets?path=      the Generic contract; the value is the path itself
    POST /batch              a JSON list of paths, answered with a list of values
    GET  /count[?rate=N]     {"calls", "refused"} since the last time it was asked; `rate` sets another one, with a full bucket

Past the rate (a token bucket that holds one second's calls; 0: no bound) it answers 429 without a Retry-After, as most services do.
Each call takes 5 ms, as a service nearby does.
"""

import asyncio
import sys
import time

from aiohttp import web

CALL_SECONDS = 0.005


class Store:
    def __init__(self, rate: float) -> None:
        self.start(rate)

    def start(self, rate: float) -> None:
        self.rate, self.tokens, self.at = rate, rate, time.monotonic()
        self.calls = self.refused = 0

    async def admitted(self) -> bool:
        now = time.monotonic()
        self.tokens, self.at = min(self.rate, self.tokens + (now - self.at) * self.rate), now
        self.calls += 1
        if self.rate and self.tokens < 1:
            self.refused += 1
            return False
        self.tokens -= 1
        await asyncio.sleep(CALL_SECONDS)
        return True

    async def one(self, request: web.Request) -> web.Response:
        if "path" not in request.query:
            return web.json_response({}, status=400)  # a probe, which is no call
        if not await self.admitted():
            return web.json_response({}, status=429)
        return web.json_response({"value": request.query["path"]})

    async def batch(self, request: web.Request) -> web.Response:
        paths = await request.json()
        if not await self.admitted():
            return web.json_response({}, status=429)
        return web.json_response(paths)

    async def count(self, request: web.Request) -> web.Response:
        found = {"calls": self.calls, "refused": self.refused}
        self.start(float(request.query.get("rate", self.rate)))
        return web.json_response(found)


async def main(rate: float) -> None:
    store = Store(rate)
    app = web.Application()
    app.add_routes([web.get("/secrets", store.one), web.post("/batch", store.batch), web.get("/count", store.count)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the bench closes our input
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
