"""Which of an index's manifests a pod would run, as containerd chooses.

A pod that does not say its architecture may land anywhere; amd64's manifest then speaks for all, or the only one there is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from webhook.registry.documents import Descriptor

ARCHITECTURE_LABELS = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
DEFAULT_ARCHITECTURE = "amd64"
_ARCHITECTURE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")  # a label's value; nobody has checked the pod yet
ATTESTATION = "vnd.docker.reference.type"  # an annotation of manifests that are about another one, and never run
# oldest first; what runs on a variant is that one and all before it
_VARIANTS = {"amd64": ("", "v1", "v2", "v3", "v4"), "arm64": ("", "v8", "v9"), "arm": ("v5", "v6", "", "v7")}


@dataclass(frozen=True, slots=True)
class Platform:
    """`determined`: the pod can only run on this one, so that no other will do."""

    architecture: str = DEFAULT_ARCHITECTURE
    variant: str = ""
    determined: bool = False
    os: str = "linux"

    @classmethod
    def of_pod(cls, node_selector: Mapping[str, str | None] | None) -> "Platform":
        for label in ARCHITECTURE_LABELS:
            architecture = (node_selector or {}).get(label)
            if architecture and _ARCHITECTURE.fullmatch(architecture):
                return cls(architecture, determined=True)
        return cls()

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def choose(manifests: Sequence[Descriptor], platform: Platform) -> Descriptor | None:
    """The best match; without one, and if the pod may run anywhere, the index's first that can run."""
    runnable = [entry for entry in manifests if _runs(entry, platform)]
    ranked = [(rank, entry) for entry in runnable if (rank := _rank(entry, platform)) is not None]
    if ranked:
        return min(ranked, key=lambda pair: pair[0])[1]
    return runnable[0] if runnable and not platform.determined else None


def names(manifests: Sequence[Descriptor]) -> list[str]:
    """The platforms that an index has, for a message."""
    found = [entry.platform for entry in manifests if entry.platform and entry.platform.os != "unknown"]
    return [str(Platform(each.architecture, each.variant or "", os=each.os)) for each in found]


def _runs(entry: Descriptor, platform: Platform) -> bool:
    if ATTESTATION in (entry.annotations or {}):
        return False
    return entry.platform is None or (entry.platform.os == platform.os and entry.platform.architecture != "unknown")


def _rank(entry: Descriptor, platform: Platform) -> int | None:
    """None: not for this platform. An entry without a platform is the last choice."""
    if entry.platform is None:
        return len(_preferred(platform))
    variant = entry.platform.variant or ""
    if entry.platform.architecture != platform.architecture or variant not in _preferred(platform):
        return None
    return _preferred(platform).index(variant)


def _preferred(platform: Platform) -> tuple[str, ...]:
    """Variants, best first. Without one: what every node has; 32-bit ARM nodes are all but always v7."""
    known = _VARIANTS.get(platform.architecture, (platform.variant,))
    if not platform.variant:
        return known[::-1] if platform.architecture == "arm" else known
    return known[known.index(platform.variant) :: -1] if platform.variant in known else (platform.variant,)
