"""One repository of a registry as one log-in sees it: the OCI distribution API's manifests and blobs, digests verified.

The first request carries no log-in: a registry that needs one says so and how, and one that is open never gets any.
"""

from webhook.registry.challenge import parse_challenges
from webhook.registry.credentials import Login
from webhook.registry.documents import ACCEPT, digest_of, is_digest, verify
from webhook.registry.errors import LookupFailed, LookupReason, NoTls
from webhook.registry.image import Image
from webhook.registry.tokens import authorise, denied
from webhook.registry.transport import Answer, Request, Transport, is_local
from yarl import URL

MAX_MANIFEST = 4 * 1024 * 1024  # what the distribution specification asks registries to take
MAX_CONFIG = 8 * 1024 * 1024  # a configuration holds the build's history; the largest seen are tens of KiB
DIGEST_HEADER = "Docker-Content-Digest"


class Repository:
    """For one look-up: it keeps the authorisation that it got."""

    def __init__(self, transport: Transport, image: Image, login: Login | None) -> None:
        self._transport, self._image, self._login = transport, image, login
        self._authorization: str | None = None
        self._refused = False
        host = URL(f"https://{image.host}").host
        self._local = is_local(host)
        self._schemes = ("https", "http") if self._local else ("https",)

    async def current(self) -> str | None:
        """The digest behind the image's tag or digest, if the registry tells. Costs no pull where those are counted."""
        try:
            answer = await self._ask("HEAD", f"manifests/{self._image.reference}", ACCEPT, MAX_MANIFEST)
        except LookupFailed as failed:
            if failed.reason in (LookupReason.MALFORMED, LookupReason.UNREACHABLE):
                return None  # not every proxy in front of a registry knows HEAD; a GET has the last word
            raise
        return answer.headers.get(DIGEST_HEADER) or self._image.digest

    async def manifest(self, reference: str) -> tuple[str, bytes]:
        """Its digest, and what has that digest."""
        answer = await self._ask("GET", f"manifests/{reference}", ACCEPT, MAX_MANIFEST)
        told = reference if is_digest(reference) else answer.headers.get(DIGEST_HEADER, "")
        if not is_digest(told):
            told = digest_of(answer.body)
        verify(answer.body, told)
        return told, answer.body

    async def blob(self, digest: str, size: int) -> bytes:
        if size > MAX_CONFIG:
            raise LookupFailed(LookupReason.TOO_LARGE, f"the image's configuration has {size} bytes; allowed: {MAX_CONFIG}")
        answer = await self._ask("GET", f"blobs/{digest}", "*/*", MAX_CONFIG)
        verify(answer.body, digest)
        return answer.body

    async def _ask(self, method: str, path: str, accept: str, limit: int) -> Answer:
        answer = await self._send(method, path, accept, limit)
        if answer.status == 401 and not answer.elsewhere and self._authorization is None:
            challenges = parse_challenges(answer.headers.getall("WWW-Authenticate", []))
            self._authorization = await authorise(self._transport, self._image, self._login, challenges, local=self._local)
            answer = await self._send(method, path, accept, limit)
        if answer.status != 200:
            raise self._refusal(answer)
        return answer

    async def _send(self, method: str, path: str, accept: str, limit: int) -> Answer:
        """On localhost in plain HTTP if TLS is not spoken there, as container runtimes do."""
        headers = {"Accept": accept} | ({"Authorization": self._authorization} if self._authorization else {})
        for scheme in self._schemes:
            url = URL(f"{scheme}://{self._image.host}/v2/{self._image.repository}/{path}")
            try:
                answer = await self._transport.fetch(Request(method, url, headers, limit, self._local))
            except NoTls:
                if scheme == self._schemes[-1]:
                    raise
            else:
                self._schemes = (scheme,)
                return answer
        raise AssertionError("a scheme is left or its failure was raised")

    def _refusal(self, answer: Answer) -> LookupFailed:
        registry = f"registry '{self._image.registry}'"
        if answer.status in (401, 403):
            return denied(self._image, self._login)
        if answer.status == 404:
            sentence = f"{registry} has no '{self._image.repository}' with '{self._image.reference}', or hides it from the log-in used"
            return LookupFailed(LookupReason.NOT_FOUND, sentence, "correct the image's name, or the pod's imagePullSecrets")
        if answer.status == 429:
            return LookupFailed(LookupReason.UNREACHABLE, f"{registry} asks for fewer requests (429)", "set TFY_SECRET_REGISTRY_MIRRORS")
        if answer.status >= 500:
            return LookupFailed(LookupReason.UNREACHABLE, f"{registry} answers {answer.status}")
        return LookupFailed(LookupReason.MALFORMED, f"{registry} answers {answer.status}, which no registry does")
