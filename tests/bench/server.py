"""The two servers that are compared, in a process of their own: `python -m tests.bench.server floor|webhook TLS_DIR`.

`floor` decodes the same fields and allows; it is what aiohttp, TLS and msgspec cost without a decision.
"""

import service.lean  # noqa: F401 - first, as webhook.__main__ does it

import asyncio
import gc
import sys
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry  # noqa: F401 - both processes load the same libraries

from contract.catalog import Catalog
from service.logs import configure_logs
from service.server import listening
from service.settings import Address
from service.tls import TlsFiles
from webhook.admission import Admission
from webhook.assembly import Surroundings
from webhook.metrics import Metrics
from service.nodes import FixedNodes
from webhook.planning import Cluster
from webhook.pod import REVIEW
from webhook.review import MAX_BYTES
from webhook.settings import InitSettings

INIT = InitSettings("localhost/tfy-secret-init:dev", "IfNotPresent", "100m", "64Mi", 65532, 65532, "RuntimeDefault", "16Mi")


def catalog() -> Catalog:
    head = {"apiVersion": "tfy-secret.dev/v1alpha1"}
    store = {"fqn": "acme/embedded/default", "provider": {"embedded": {}}}
    group = {
        "store": "embedded",
        "keys": [f"KEY_{i}" for i in range(200)],
        "collaborators": [{"role": "secret-group-consumer", "subject": "namespace:shop"}],
    }
    return Catalog("acme", [head | {"kind": "SecretStore", "metadata": {"name": "embedded"}, "spec": store},
                            head | {"kind": "SecretGroup", "metadata": {"name": "payments"}, "spec": group}])  # fmt: skip


def webhook(ca: str) -> web.BaseRequest:
    cluster = Cluster(catalog(), FixedNodes("1.36"), Surroundings("https://tfy-secret-broker.tfy-secret-system.svc", ca, INIT))
    return Admission(lambda: cluster, list, Metrics(lambda: None)).handle


def floor() -> web.Application:
    encode = msgspec.json.Encoder().encode

    async def allow(request: web.Request) -> web.Response:
        review = REVIEW.decode(await request.read())
        answer = {"apiVersion": review.apiVersion, "kind": "AdmissionReview", "response": {"uid": review.request.uid, "allowed": True}}
        return web.Response(body=encode(answer), content_type="application/json")

    app = web.Application(client_max_size=MAX_BYTES)
    app.router.add_post("/mutate", allow)
    return app


async def main(kind: str, folder: Path) -> None:
    configure_logs("info")
    tls = TlsFiles(folder)
    await tls.start()
    what = floor() if kind == "floor" else webhook((folder / "ca.crt").read_text())
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # both, as webhook.app does it
    async with listening(what, Address("127.0.0.1", 0), tls) as port:
        print(port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the bench closes our input
    await tls.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))
