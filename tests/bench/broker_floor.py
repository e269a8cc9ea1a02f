"""What HTTPS, aiohttp and the wire format cost without a broker: `python -m tests.bench.broker_floor TLS_DIR`.

Decodes a POST /v1/resolve and answers each name with the same value: no token, no decision, no cache, no audit.
"""

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from broker.metrics import Metrics  # noqa: F401 - both processes load the same libraries
from contract import wire
from contract.values import SecretValue
from service.logs import configure_logs
from service.server import listening
from service.settings import Address
from service.tls import TlsFiles

VALUE = SecretValue(b"/tfy-secret/acme/payments/KEY_0")


async def resolve(request: web.Request) -> web.Response:
    asked = wire.decode_request(await request.read())
    answers = [wire.Resolved(name, VALUE, None) for name in asked.secrets]
    return web.Response(body=wire.encode_response(answers), content_type="application/json")


async def main(folder: Path) -> None:
    configure_logs("info")
    tls = TlsFiles(folder)
    await tls.start()
    app = web.Application()
    app.router.add_post("/v1/resolve", resolve)
    async with listening(app, Address("127.0.0.1", 0), tls) as port:
        print(port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await tls.close()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
