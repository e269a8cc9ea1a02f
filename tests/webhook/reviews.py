"""AdmissionReviews as an API server sends them, and a webhook's listener that answers them over HTTP."""

import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.exposition import generate_latest

from service.server import listening
from service.settings import Address
from service.tls import TlsSource
from tests.webhook.pods import CLUSTER, Json
from webhook.admission import Admission, LookUp
from webhook.metrics import Metrics
from webhook.planning import Cluster

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
JSON_TYPE = {"Content-Type": "application/json"}


def review(pod: Json | None, version: str = "v1", **request: Any) -> Json:
    """A review of the creation of a pod; `request` changes or adds fields."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    made = {
        "uid": UID,
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:authenticated"]},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
    }
    return {"apiVersion": f"admission.k8s.io/{version}", "kind": "AdmissionReview", "request": made | request}


def patch_of(response: Json) -> list[Json]:
    patch: list[Json] = json.loads(base64.b64decode(response["patch"], validate=True))
    return patch


@dataclass
class Webhook:
    """A listener, and what it counted."""

    admission: Admission
    metrics: Metrics
    session: aiohttp.ClientSession
    url: str
    ready: list[str] = field(default_factory=list)

    async def post(self, body: bytes | Any, path: str = "/mutate", **options: Any) -> tuple[int, Json]:
        """Status and body of a POST; an object is sent as JSON."""
        raw = body if isinstance(body, bytes) or hasattr(body, "__aiter__") else json.dumps(body).encode()
        raw = io.BytesIO(raw) if isinstance(raw, bytes) else raw  # aiohttp's client warns of large bytes
        async with self.session.post(self.url + path, data=raw, **({"headers": JSON_TYPE} | options)) as answer:
            return answer.status, json.loads(await answer.read())

    async def ask(self, pod: Json | None, version: str = "v1", **request: Any) -> Json:
        """The response to a review that is one."""
        status, answer = await self.post(review(pod, version, **request))
        assert (status, answer["kind"], answer["apiVersion"]) == (200, "AdmissionReview", f"admission.k8s.io/{version}")
        response: Json = answer["response"]
        return response

    def counted(self, name: str, **labels: str) -> float:
        """A sample's value, 0 where there is none."""
        families = text_string_to_metric_families(generate_latest(self.metrics.registry).decode())
        samples = [sample for family in families for sample in family.samples]
        return sum(s.value for s in samples if s.name == f"tfy_secret_webhook_{name}" and labels.items() <= s.labels.items())


@asynccontextmanager
async def webhook(
    cluster: Callable[[], Cluster] = lambda: CLUSTER, tls: TlsSource | None = None, look_up: LookUp | None = None
) -> AsyncIterator[Webhook]:
    """A real listener on loopback. `ready` of what it yields is what is missing, empty at first."""
    missing: list[str] = []
    metrics = Metrics(lambda: tls.expires_at if tls else None)
    admission = Admission(cluster, lambda: missing, metrics, look_up)
    async with listening(admission.handle, Address("127.0.0.1", 0), tls) as port, aiohttp.ClientSession() as session:
        yield Webhook(admission, metrics, session, f"{'https' if tls else 'http'}://127.0.0.1:{port}", missing)
