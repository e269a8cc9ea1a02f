"""Certificates without cert-manager: a CA and one serving certificate each for webhook and broker, in Secrets of our namespace.

Decides when they are made, renewed and replaced (`ca` says how), and the order: the bundle is in the Secrets and in the
webhook configuration before a certificate of ours goes live. Replicas agree by the API server's optimistic concurrency:
who loses a race takes what the winner wrote. A damaged CA is reported and never replaced. Keys stay in memory.

    tfy-secret-ca            tls.crt, tls.key: signs; ca.crt: the bundle; next.crt, next.key: the coming CA. For the webhook alone.
    tfy-secret-webhook-tls   tls.crt, tls.key, ca.crt
    tfy-secret-broker-tls    the same, with a key of its own; mounted by the broker as its TLS folder
"""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog

from service.kube import JSON_PATCH, Conflict, Kube, KubeError, NotFound
from service.tls import LivePair, TlsError, utc_now
from webhook.errors import DamagedAuthority, IssuerFailed
from webhook.issuer import Issuer, Settled

CA, WEBHOOK, BROKER = "tfy-secret-ca", "tfy-secret-webhook", "tfy-secret-broker"  # the last two are the Services' names too
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/tfy-secret-webhook"
EVERY = 10.0  # seconds between looks at the configuration, which anyone who applies a manifest overwrites
SECRETS_EVERY = 6  # looks at the configuration for each one at the Secrets
ATTEMPTS = 10  # a replica can lose a race once for each other one
LABELS = {"app.kubernetes.io/part-of": "tfy-secret-injector", "app.kubernetes.io/managed-by": WEBHOOK}
Content = dict[str, bytes]

log = structlog.get_logger()


class Certificates:
    """A TLS source like `service.tls.TlsFiles`, and `ca_bundle` is what a pod must trust to reach the broker."""

    def __init__(self, kube: Kube, *, now: Callable[[], datetime] = utc_now, every: float = EVERY) -> None:
        self._kube, self._now, self._every = kube, now, every
        self._live = LivePair(now)
        self._serving: Content | None = None
        self._settled = Settled()
        self._bundle = b""
        self._task: asyncio.Task[None] | None = None
        self.problem: str | None = None  # why the last look failed; what was live stays so

    @property
    def current(self) -> ssl.SSLContext:
        return self._live.current

    @property
    def expires_at(self) -> datetime | None:
        return self._live.expires_at

    @property
    def healthy(self) -> bool:
        """A certificate is live and has not expired. It stays so while the CA is damaged: `problem` says that."""
        return self._live.healthy

    @property
    def ca_bundle(self) -> str | None:
        return self._bundle.decode() or None

    async def start(self) -> None:
        await self.look()
        self._task = asyncio.create_task(self._watch(), name="watch certificates")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        looks = 0
        while True:
            await asyncio.sleep(self._every if self.healthy else min(self._every, 1.0))
            looks += 1
            await self.look(secrets=self.problem is not None or looks % SECRETS_EVERY == 0)

    async def look(self, *, secrets: bool = True) -> None:
        """Bring everything to what it should be now. Failures are a state, told in `problem` and tried again."""
        problem = None
        try:
            if secrets or await self._operations():  # the others may be right: a replica that looked later knows a newer bundle
                await self._renew()
        except (DamagedAuthority, IssuerFailed, TlsError, KubeError) as error:
            problem = str(error)
        except Exception as error:  # a fault of ours must not end the renewal for ever
            problem = f"certificates: {type(error).__name__}"
            log.exception("certificates_crashed")
        if problem and problem != self.problem:
            log.error("certificates_failed", reason=problem, still_serving=self.healthy)
        self.problem = problem

    async def _renew(self) -> None:
        async with Issuer(self._settled, self._now()) as issuer:
            authority = await self._authority(issuer)
            self._bundle = authority["ca.crt"]
            serving = await self._leaf(issuer, WEBHOOK, authority)
            await self._leaf(issuer, BROKER, authority)
        try:
            await self._publish()
        except KubeError:
            if not self.healthy:
                self._go_live(serving)  # nobody may trust it yet, but there is nothing better to serve
            raise
        self._go_live(serving)

    def _go_live(self, pair: Content) -> None:
        if pair != self._serving:
            self._live.renew(pair["tls.crt"], pair["tls.key"])
            self._serving = pair
            log.info("certificate_live", expires_at=str(self.expires_at))

    async def _authority(self, issuer: Issuer) -> Content:
        try:
            return await self._agree(CA, lambda held: issuer.authority(CA, held, self._bundle))
        except DamagedAuthority as error:
            where = f"Secret {self._kube.namespace}/{CA}"
            fix = f"restore it from a backup, or delete it for a new CA (running pods then trust the old one): {where}"
            raise DamagedAuthority(f"{where}: {error}. To fix: {fix}") from None

    async def _leaf(self, issuer: Issuer, service: str, authority: Content) -> Content:
        name, names = f"{service}-tls", service_names(service, self._kube.namespace)
        return await self._agree(name, lambda held: issuer.leaf(name, held, authority, names))

    async def _agree(self, name: str, decide: Callable[[Content | None], Awaitable[Content]]) -> Content:
        """Make the Secret hold what `decide` makes of its content, together with the other replicas; what it then holds."""
        folder = f"/api/v1/namespaces/{self._kube.namespace}/secrets"
        for _ in range(ATTEMPTS):
            try:
                found = await self._kube.get(f"{folder}/{name}")
            except NotFound:
                found = None
            held = None if found is None else {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
            wanted = await decide(held)
            if wanted == held:
                return wanted
            try:
                if found is None:
                    await self._kube.post(folder, _secret(name, self._kube.namespace, wanted))
                else:
                    await self._kube.put(f"{folder}/{name}", found | {"data": _encoded(wanted)})
            except (Conflict, NotFound):
                continue  # another replica, or a person, was quicker
            return wanted
        raise Conflict(409, "Conflict", f"Secret {name}: changed by others {ATTEMPTS} times in a row while we renewed it")

    async def _publish(self) -> None:
        """Set `caBundle` of each webhook of ours in our configuration, and nothing else, where it differs."""
        if operations := await self._operations():
            await self._kube.patch(CONFIGURATION, operations, content_type=JSON_PATCH)
            log.info("ca_bundle_published", webhooks=len(operations) // 2)

    async def _operations(self) -> list[dict[str, Any]]:
        if not self._bundle:
            return []
        webhooks = (await self._kube.get(CONFIGURATION)).get("webhooks") or []
        return bundle_patch(webhooks, base64.b64encode(self._bundle).decode(), self._kube.namespace)


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """The names that a Service is called by, shortest first."""
    return service, f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"


def bundle_patch(webhooks: list[dict[str, Any]], bundle: str, namespace: str) -> list[dict[str, Any]]:
    """Two operations for each webhook of ours that differs; the test of the name keeps us off one that moved meanwhile."""
    operations: list[dict[str, Any]] = []
    for index, webhook in enumerate(webhooks):
        config = webhook["clientConfig"]
        if _is_ours(config.get("service") or {}, namespace) and config.get("caBundle") != bundle:
            operations += [
                {"op": "test", "path": f"/webhooks/{index}/name", "value": webhook["name"]},
                {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle},
            ]
    return operations


def _is_ours(service: dict[str, Any], namespace: str) -> bool:
    """Whether a webhook leads to our Service: one that someone else put beside it may trust another CA."""
    return service.get("name") == WEBHOOK and service.get("namespace", namespace) == namespace


def _secret(name: str, namespace: str, content: Content) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": _encoded(content)}


def _encoded(content: Content) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in content.items()}
