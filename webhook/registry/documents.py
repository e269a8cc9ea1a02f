"""Manifests, indexes and image configurations of Docker and OCI, decoded strictly and only as far as an entrypoint needs.

A document that could be read as both kinds is refused (CVE-2021-41190). Schema 1, which registries stopped taking years ago, is
refused by name: its configuration is a string in a signed list that nothing verifies.
"""

import hashlib

import msgspec

from webhook.registry.entrypoint import Entrypoint
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.image import DIGESTS

MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
MAX_ENTRYPOINT = 65_536  # bytes; it becomes part of a pod, and etcd takes 1.5 MiB of that


class PlatformEntry(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    variant: str | None = None


class Descriptor(msgspec.Struct, rename="camel"):
    """A pointer to another document. Media types that are left out are taken for the usual ones."""

    digest: str
    size: int = 0
    media_type: str | None = None
    platform: PlatformEntry | None = None
    annotations: dict[str, str] | None = None


class Manifest(msgspec.Struct, rename="camel"):
    """An image's manifest (`config`) or an index (`manifests`): exactly one of the two."""

    schema_version: int = 0
    config: Descriptor | None = None
    manifests: list[Descriptor] | None = None


class _Run(msgspec.Struct, rename="pascal"):
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None


class _Config(msgspec.Struct):
    config: _Run | None = None


_manifest = msgspec.json.Decoder(Manifest).decode
_config = msgspec.json.Decoder(_Config).decode


def read_manifest(body: bytes) -> Manifest:
    try:
        found = _manifest(body)
    except (ValueError, RecursionError):
        raise _malformed("the registry's answer is no image manifest") from None
    if found.schema_version == 1:
        raise _malformed("the image has a manifest of schema 1, which is not supported", "push it again with a current tool")
    if (found.config is None) == (found.manifests is None):
        raise _malformed("the registry's answer is neither an image manifest nor an index")
    if found.config is not None and found.config.media_type not in (None, *CONFIGS):
        raise _malformed("it is no container image, but another kind of artifact")
    entries = found.manifests or ([found.config] if found.config else [])
    if not all(is_digest(entry.digest) for entry in entries):
        raise _malformed("the image's manifest names a digest that is none")
    return found


def read_config(body: bytes) -> Entrypoint:
    try:
        run = _config(body).config or _Run()
    except (ValueError, RecursionError):
        raise _malformed("the image's configuration cannot be read") from None
    found = Entrypoint(tuple(run.entrypoint or ()), tuple(run.cmd or ()))
    if sum(len(part.encode(errors="replace")) + 1 for part in (*found.entrypoint, *found.cmd)) > MAX_ENTRYPOINT:
        raise LookupFailed(LookupReason.TOO_LARGE, f"the image's ENTRYPOINT and CMD are longer than {MAX_ENTRYPOINT} bytes")
    if any("\0" in part for part in (*found.entrypoint, *found.cmd)):
        raise _malformed("the image's ENTRYPOINT or CMD holds a NUL")
    return found


def is_digest(text: str) -> bool:
    algorithm, _, digits = text.partition(":")
    return len(digits) == DIGESTS.get(algorithm) and all(digit in "0123456789abcdef" for digit in digits)


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def verify(body: bytes, digest: str) -> None:
    if digest_of(body, digest.partition(":")[0]) != digest:
        raise _malformed("what the registry sent does not have the digest that it was asked for by")


def _malformed(sentence: str, fix: str = "") -> LookupFailed:
    return LookupFailed(LookupReason.MALFORMED, sentence, fix)
