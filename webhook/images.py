"""Look up what the images of a pod start, for containers without a command in mode exec: the one call out of an admission.

Pull secrets and registries have `SECONDS` together, whatever each of them may take alone: the API server hangs up after 5, and
its message then names neither.
"""

import asyncio

from service.kube import Kube
from webhook.exec import Images
from webhook.pod import Pod, PodSpec
from webhook.registry.credentials import ANONYMOUS
from webhook.registry.entrypoint import Entrypoint
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.image import parse_image
from webhook.registry.lookup import Registry
from webhook.registry.platforms import Platform
from webhook.registry.pull_secrets import PullSecrets
from webhook.registry.settings import RegistrySettings

SECONDS = 4.5


class ImageLookup:
    """Remembers what it found; `close` when done. Without a cluster there are no pull secrets to read."""

    def __init__(self, settings: RegistrySettings, kube: Kube | None, within: float = SECONDS) -> None:
        self._registry, self._within = Registry(settings), within
        self._secrets = PullSecrets(kube) if kube else None

    async def __call__(self, pod: Pod, namespace: str, images: frozenset[str]) -> Images:
        """All of them at once, within the time of the settings. A failure is part of the answer."""
        deadline = asyncio.get_running_loop().time() + self._within
        spec = pod.spec or PodSpec()
        names = [secret.name for secret in spec.imagePullSecrets or () if secret.name]
        credentials = await self._secrets.read(namespace, names, pod.service_account) if self._secrets else ANONYMOUS
        platform = Platform.of_pod(spec.nodeSelector)

        async def ask(image: str) -> Entrypoint | LookupFailed:
            asked = parse_image(image)
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._registry.entrypoint(asked, platform, credentials)
            except LookupFailed as error:
                return error
            except TimeoutError:
                told = f"registry '{asked.registry}' did not answer in the time that was left of {self._within:.1f} s"
                return LookupFailed(LookupReason.TIMEOUT, told)

        ordered = sorted(images)
        return Images(dict(zip(ordered, await asyncio.gather(*map(ask, ordered)), strict=True)), reachable=False)

    async def close(self) -> None:
        await self._registry.close()
        if self._secrets:
            await self._secrets.close()
