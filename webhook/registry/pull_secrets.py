"""The pull secrets of a pod. Interface first; the rest follows in minutes."""

import time
from collections.abc import Callable, Sequence

from service.kube import Kube
from webhook.registry.credentials import ANONYMOUS, Credentials


class PullSecrets:
    """Remembers what it read for a few seconds; `close` when done."""

    def __init__(self, kube: Kube, now: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._now = kube, now

    async def read(self, namespace: str, pod_secret_names: Sequence[str], service_account: str) -> Credentials:
        """Never raises for what the cluster refuses: `Credentials.notes` say what could not be read and why."""
        return ANONYMOUS

    async def close(self) -> None: ...
