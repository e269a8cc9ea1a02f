"""The look-up of an image's entrypoint: where to ask, as whom, how long, and what is remembered for whom.

An answer is remembered for the log-ins that got it, since a registry decides who may see an image: another namespace's log-ins
are put to the registry again (one HEAD), and only the verified documents behind are shared, within one repository. Answers by
tag are kept for seconds, by digest for minutes, refusals for two seconds. A hundred equal look-ups at once are one.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace

import structlog
from aiohttp.abc import AbstractResolver

from contract.fqn import shorten
from webhook.registry.cache import Kept, Shared
from webhook.registry.credentials import Credentials, Login
from webhook.registry.documents import Descriptor, read_config, read_manifest
from webhook.registry.entrypoint import Entrypoint
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.image import Image
from webhook.registry.platforms import Platform, choose, names
from webhook.registry.repository import Repository
from webhook.registry.settings import RegistrySettings
from webhook.registry.transport import Transport
from webhook.registry.trust import Trust

__all__ = ["LookupFailed", "LookupReason", "Registry"]

REFUSAL_SECONDS = 2.0  # long enough for a burst, short enough for a person who mends it
DIGEST_SECONDS = 300.0  # the content cannot change; who may see it can
MEMORY = 2 * 1024 * 1024  # bytes of each of the two caches, about 5,000 images
OVERHEAD = 400  # bytes of an entry's key and objects
MAX_DEPTH = 3  # an index of indexes is legal, and rare

log = structlog.get_logger()


class Registry:
    """All registries. Safe for concurrent use in one event loop; `close` when done."""

    def __init__(
        self, settings: RegistrySettings, now: Callable[[], float] = time.monotonic, resolver: AbstractResolver | None = None
    ) -> None:
        self._settings, self._now = settings, now
        self._transport = Transport(Trust(settings.ca_file), settings.timeout, resolver)
        self._answers: Shared[object, Entrypoint | LookupFailed] = Shared(now, MEMORY, _weight)
        self._read: Kept[tuple[str, str, Platform], Entrypoint] = Kept(MEMORY, _weight)
        self._tags: Kept[Image, str] = Kept(MEMORY, lambda digest: OVERHEAD + len(digest))
        self._key = os.urandom(32)

    async def entrypoint(self, image: Image, platform: Platform, credentials: Credentials) -> Entrypoint:
        """Raises LookupFailed. Its sentence names the registry and leaves the image to the caller."""
        if image.digest:
            image = replace(image, tag=None)
        sources = [(source, credentials.for_image(source)) for source in self._sources(image)]
        key = (image, platform, tuple(login.fingerprint(self._key) for _, logins in sources for login in (*logins, _BETWEEN)))
        found = await self._answers.get(key, lambda: self._answer(image, sources, platform))
        if isinstance(found, Entrypoint):
            return found
        notes = credentials.notes if found.reason in (LookupReason.DENIED, LookupReason.NOT_FOUND) else ()
        raise LookupFailed(found.reason, "; ".join((found.sentence, *notes)), found.fix)

    async def close(self) -> None:
        await self._answers.close()
        await self._transport.close()

    def _sources(self, image: Image) -> list[Image]:
        """The mirrors of its registry, then itself. A mirror is a registry of its own, with its own log-ins."""
        found = []
        for address in self._settings.mirrors.get(image.registry, ()):
            host, slash, prefix = address.removeprefix("https://").partition("/")
            found.append(replace(image, registry=host, repository=f"{prefix}{slash}{image.repository}"))
        return [*found, image]

    async def _answer(
        self, image: Image, sources: list[tuple[Image, list[Login]]], platform: Platform
    ) -> tuple[Entrypoint | LookupFailed, float]:
        """What is found, or why not, and for how many seconds it holds."""
        started = self._now()
        try:
            found = await self._first(sources, platform)
        except LookupFailed as failed:
            log.warning("image_lookup_failed", image=str(image), reason=failed.reason.value, seconds=round(self._now() - started, 3))
            return LookupFailed(failed.reason, failed.sentence, failed.fix), REFUSAL_SECONDS
        log.debug("image_lookup", image=str(image), seconds=round(self._now() - started, 3))
        return found, DIGEST_SECONDS if image.digest else self._settings.cache

    async def _first(self, sources: list[tuple[Image, list[Login]]], platform: Platform) -> Entrypoint:
        """The first source that answers; each may take its share of the time that is left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.timeout
        failures: list[LookupFailed] = []
        for position, (source, logins) in enumerate(sources):
            share = (deadline - loop.time()) / (len(sources) - position)
            try:
                async with asyncio.timeout(share):
                    return await self._from(source, logins, platform)
            except TimeoutError:
                failures.append(LookupFailed(LookupReason.TIMEOUT, f"registry '{source.registry}' did not answer within {share:.1f} s"))
            except LookupFailed as failed:
                failures.append(failed)
        *before, last = failures
        raise LookupFailed(last.reason, "; ".join([last.sentence, *(f"its mirror: {failed.sentence}" for failed in before)]), last.fix)

    async def _from(self, image: Image, logins: list[Login], platform: Platform) -> Entrypoint:
        """Each log-in in turn until one is accepted; nobody's without any, as the kubelet does."""
        refused: LookupFailed | None = None
        for login in logins or _NOBODY:
            try:
                return await self._ask(Repository(self._transport, image, login), image, platform)
            except LookupFailed as failed:
                if failed.reason not in (LookupReason.DENIED, LookupReason.NOT_FOUND):
                    raise
                if refused is None or refused.reason is LookupReason.DENIED:  # not found tells more: that log-in was let in
                    refused = failed
        raise refused or AssertionError("there is at least nobody's log-in")

    async def _ask(self, repository: Repository, image: Image, platform: Platform) -> Entrypoint:
        """What is known already needs only the registry's word that this log-in may see it and that the tag still means it."""
        digest = image.digest or self._tags.get(image)
        known = self._read.get((image.name, digest, platform)) if digest else None
        if known is not None and await repository.current() == digest:
            return known
        digest, body = await repository.manifest(image.reference)
        self._tags.put(image, digest)
        found = await self._follow(repository, body, platform)
        self._read.put((image.name, digest, platform), found)
        return found

    async def _follow(self, repository: Repository, body: bytes, platform: Platform) -> Entrypoint:
        for _ in range(MAX_DEPTH):
            manifest = read_manifest(body)
            if manifest.config is not None:
                return read_config(await repository.blob(manifest.config.digest, manifest.config.size))
            chosen = _chosen(manifest.manifests or [], platform)
            _, body = await repository.manifest(chosen.digest)
        raise LookupFailed(LookupReason.MALFORMED, f"the image's index holds indexes more than {MAX_DEPTH - 1} deep")


_NOBODY: tuple[Login | None, ...] = (None,)
_BETWEEN = Login("", "")  # keeps the log-ins for a mirror apart from those for the registry


def _chosen(manifests: list[Descriptor], platform: Platform) -> Descriptor:
    chosen = choose(manifests, platform)
    if chosen is None:
        has = shorten(", ".join(names(manifests)), 200) or "none"
        fix = "build the image for that platform, or correct the pod's nodeSelector"
        raise LookupFailed(LookupReason.NO_PLATFORM, f"the image is not made for {platform}; it has: {has}", fix)
    return chosen


def _weight(found: Entrypoint | LookupFailed) -> int:
    if isinstance(found, LookupFailed):
        return OVERHEAD + len(found.sentence)
    return OVERHEAD + sum(len(part) + 50 for part in (*found.entrypoint, *found.cmd))
