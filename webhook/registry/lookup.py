"""The look-up of an image's entrypoint. Interface first; the rest follows in minutes."""

import time
from collections.abc import Callable

from aiohttp.abc import AbstractResolver

from webhook.registry.credentials import Credentials
from webhook.registry.entrypoint import Entrypoint
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.image import Image
from webhook.registry.platforms import Platform
from webhook.registry.settings import RegistrySettings

__all__ = ["LookupFailed", "LookupReason", "Registry"]


class Registry:
    """Safe for concurrent use in one event loop; `close` when done."""

    def __init__(
        self, settings: RegistrySettings, now: Callable[[], float] = time.monotonic, resolver: AbstractResolver | None = None
    ) -> None:
        self._settings, self._now, self._resolver = settings, now, resolver

    async def entrypoint(self, image: Image, platform: Platform, credentials: Credentials) -> Entrypoint:
        """Raises LookupFailed."""
        raise LookupFailed(LookupReason.UNREACHABLE, f"{image}: look-ups are not there yet")

    async def close(self) -> None: ...
