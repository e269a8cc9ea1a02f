"""The name of an image as container runtimes read it: registry, repository, and a tag or a digest.

Follows the grammar of the distribution project's reference package, docker.io's spellings included. Linear in the text's length.
"""

import re
from dataclasses import dataclass

from contract.fqn import shorten
from webhook.registry.errors import ImageError

DOCKER_HUB = "docker.io"
DOCKER_HUB_ALIASES = ("docker.io", "index.docker.io")
DOCKER_HUB_HOST = "registry-1.docker.io"  # where docker.io's images are served
MAX_NAME = 255  # registry and repository together
DIGESTS = {"sha256": 64, "sha512": 128}  # hexadecimal digits

_LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_ALLOWED = "[registry[:port]/]repository[:tag][@sha256:digest]"


@dataclass(frozen=True, slots=True)
class Image:
    """Normalised: `busybox` is docker.io/library/busybox:latest. `tag` is only what was written beside a digest, which wins."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def reference(self) -> str:
        """What a manifest is asked for by."""
        return self.digest or self.tag or "latest"

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def host(self) -> str:
        """Where the registry's API is: host, and port if any."""
        return DOCKER_HUB_HOST if self.registry == DOCKER_HUB else self.registry

    def __str__(self) -> str:
        return f"{self.name}{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"


def parse_image(text: str) -> Image:
    """Raises ImageError."""
    if len(text) > MAX_NAME + 128 + 140:
        raise ImageError(shorten(text, 60), f"{_ALLOWED}, a name of at most {MAX_NAME} characters", "shorten the name")
    name, at, digest = text.partition("@")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    registry, repository = _split(head + slash + last)
    _check_name(text, registry, repository)
    if colon and not _TAG.fullmatch(tag):
        raise ImageError(shorten(text), "a tag of 1 to 128 letters, digits, '_', '.' and '-'", "correct what follows the ':'")
    if at:
        _check_digest(text, digest)
    return Image(registry, repository, tag if colon else None if at else "latest", digest if at else None)


def _split(name: str) -> tuple[str, str]:
    """The first part is a registry if it looks like a host: a dot, a port, `localhost`, or capitals."""
    first, slash, rest = name.partition("/")
    if not slash or not (any(mark in first for mark in ".:") or first == "localhost" or first != first.lower()):
        first, rest = DOCKER_HUB, name
    if first in DOCKER_HUB_ALIASES:
        return DOCKER_HUB, rest if "/" in rest else f"library/{rest}"
    return first, rest


def _check_name(text: str, registry: str, repository: str) -> None:
    found = shorten(text)
    if "://" in text:
        raise ImageError(found, _ALLOWED, "remove the scheme and write the registry's host alone")
    if text != text.strip() or not text:
        raise ImageError(found, _ALLOWED, "write an image's name, without white space around it")
    if not _HOST.fullmatch(registry):
        raise ImageError(found, "a registry as host or host:port", "correct what stands before the first '/'")
    if repository != repository.lower():
        raise ImageError(found, "a repository in lower case", f"write '{shorten(repository.lower())}'")
    if not all(_COMPONENT.fullmatch(part) for part in repository.split("/")):
        allowed = "repository parts of lower-case letters and digits, with single '.', '_', '__' or '-' between them"
        raise ImageError(found, allowed, "correct the repository's name")
    if len(registry) + 1 + len(repository) > MAX_NAME:
        raise ImageError(found, f"a name of at most {MAX_NAME} characters", "shorten the name")
    if registry == DOCKER_HUB and re.fullmatch(r"library/[a-f0-9]{64}", repository) and "/" not in text:
        raise ImageError(found, _ALLOWED, "write a repository's name; 64 hexadecimal digits read as an image's id")


def _check_digest(text: str, digest: str) -> None:
    algorithm, _, digits = digest.partition(":")
    if not re.fullmatch(rf"[a-f0-9]{{{DIGESTS.get(algorithm, 0)}}}", digits) or algorithm not in DIGESTS:
        allowed = "@sha256: and 64 hexadecimal digits in lower case, or @sha512: and 128"
        raise ImageError(shorten(text, 320), allowed, "copy the digest from the registry again, or use a tag")
