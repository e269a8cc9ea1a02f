"""The log-ins of a pod: its imagePullSecrets, then those of its service account, read through the Kubernetes API.

The webhook may read Secrets only where manifests/overlays/registry-secrets is applied; without it the notes say so, and images
that anyone may see work all the same. What was read is kept for seconds, already reduced to log-ins.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence

from contract.fqn import shorten
from service.kube import Kube, KubeError, NotFound, Refused
from webhook.registry.cache import Shared
from webhook.registry.credentials import Credentials

KEPT_SECONDS = 5.0  # a burst of a Deployment's pods is one read; a corrected secret acts soon
REFUSAL_SECONDS = 2.0
TIMEOUT = 0.8  # seconds for each of two reads in a row: with the 3 of a look-up they fit into the 5 that a webhook has
MAX_SECRETS = 20
MEMORY = 1024 * 1024  # bytes
OVERLAY = "manifests/overlays/registry-secrets"
NOT_ALLOWED = f"pull secrets are not read, since the webhook has no right to; the overlay {OVERLAY} gives it"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # a name goes into a path before the API server has checked the pod


class PullSecrets:
    """Safe for concurrent use in one event loop; `close` when done."""

    def __init__(self, kube: Kube, now: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._secrets: Shared[tuple[str, str], Credentials] = Shared(now, MEMORY, _weight)
        self._accounts: Shared[tuple[str, str], tuple[tuple[str, ...], str]] = Shared(now, MEMORY, lambda found: 200 + 100 * len(found[0]))

    async def read(self, namespace: str, pod_secret_names: Sequence[str], service_account: str) -> Credentials:
        """Never raises for what the cluster refuses: `Credentials.notes` say what could not be read and why."""
        if not _NAME.fullmatch(namespace):
            return Credentials(notes=(f"namespace '{shorten(namespace, 60)}': allowed: a Namespace's name",))
        account = service_account or "default"
        own, (names, note) = await asyncio.gather(
            self._all(namespace, pod_secret_names),
            self._accounts.get((namespace, account), lambda: self._account(namespace, account)),
        )
        more = await self._all(namespace, [name for name in names if name not in pod_secret_names])
        return Credentials.joined([*own, *more, Credentials(notes=(note,) if note else ())])

    async def close(self) -> None:
        await self._secrets.close()
        await self._accounts.close()

    async def _all(self, namespace: str, names: Sequence[str]) -> list[Credentials]:
        wanted = list(dict.fromkeys(names))
        found = await asyncio.gather(*(self._one(namespace, name) for name in wanted[:MAX_SECRETS]))
        if len(wanted) > MAX_SECRETS:
            found.append(Credentials(notes=(f"only the first {MAX_SECRETS} of {len(wanted)} pull secrets were read",)))
        return found

    async def _one(self, namespace: str, name: str) -> Credentials:
        if not _NAME.fullmatch(name):
            return Credentials(notes=(f"pull secret '{shorten(name, 60)}': allowed: a Secret's name",))
        return await self._secrets.get((namespace, name), lambda: self._secret(namespace, name))

    async def _secret(self, namespace: str, name: str) -> tuple[Credentials, float]:
        try:
            async with asyncio.timeout(TIMEOUT):
                found = await self._kube.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
            return Credentials.of_secrets(found), KEPT_SECONDS
        except (KubeError, TimeoutError) as error:
            return Credentials(notes=(_note(f"pull secret '{name}'", error),)), REFUSAL_SECONDS

    async def _account(self, namespace: str, name: str) -> tuple[tuple[tuple[str, ...], str], float]:
        """The names of its pull secrets, and a note."""
        place = f"service account '{shorten(name, 60)}'"
        if not _NAME.fullmatch(name):
            return ((), f"{place}: allowed: a ServiceAccount's name"), 0
        try:
            async with asyncio.timeout(TIMEOUT):
                found = await self._kube.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")
            names = tuple(str(each.get("name") or "") for each in found.get("imagePullSecrets") or ())
        except (KubeError, TimeoutError) as error:
            return ((), _note(place, error)), REFUSAL_SECONDS
        return (names, ""), KEPT_SECONDS


def _note(place: str, error: KubeError | TimeoutError) -> str:
    if isinstance(error, Refused):
        return NOT_ALLOWED
    if isinstance(error, NotFound):
        return f"{place}: found none of this name in the pod's namespace"
    return f"{place}: could not be read ({error.reason if isinstance(error, KubeError) else 'no answer in time'})"


def _weight(found: Credentials) -> int:
    """Log-ins can be long: Google's are keys of two thousand characters."""
    logins = sum(200 + len(key) + len(login.username + login.password + login.identity_token) for key, login in found.entries)
    return 200 + logins + sum(map(len, found.notes))
