"""Settings of the registry look-up; the webhook's settings take `REGISTRY_SETTINGS` in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.settings import Reader, Setting, optional_path, seconds, url
from webhook.registry.image import DOCKER_HUB, DOCKER_HUB_ALIASES

MAX_TIMEOUT = 4.5  # the API server waits 5 s for a webhook, and an answer takes its way


def mirrors(value: str) -> Mapping[str, tuple[str, ...]]:
    """`registry=URL`, comma-separated; a registry that is named again has several, tried in that order."""
    found: dict[str, tuple[str, ...]] = {}
    for part in filter(None, re.split(r"[,\s]+", value)):
        registry, equals, address = part.partition("=")
        if not equals or not registry:
            raise ValueError(
                "allowed: a comma-separated list of registry=https://host[:port][/prefix], e.g. docker.io=https://mirror.example"
            )
        registry = DOCKER_HUB if registry in DOCKER_HUB_ALIASES else registry
        found[registry] = (*found.get(registry, ()), url(address))
    return found


def timeout(value: str) -> float:
    number = seconds(value)
    if not 0 < number <= MAX_TIMEOUT:
        raise ValueError(f"allowed: seconds, above 0 and at most {MAX_TIMEOUT}, since the API server gives a webhook 5")
    return number


REGISTRY_CA_FILE = Setting(
    "TFY_SECRET_REGISTRY_CA_FILE", optional_path, "", "PEM bundle that registries' certificates are verified with, beside the system's."
)
REGISTRY_MIRRORS = Setting(
    "TFY_SECRET_REGISTRY_MIRRORS",
    mirrors,
    "",
    "Where to ask first for the images of a registry: `docker.io=https://mirror.example/prefix,...`.",
)
REGISTRY_TIMEOUT = Setting(
    "TFY_SECRET_REGISTRY_TIMEOUT", timeout, "3", f"Seconds for finding one image's entrypoint, at most {MAX_TIMEOUT}."
)
REGISTRY_CACHE = Setting(
    "TFY_SECRET_REGISTRY_CACHE_SECONDS", seconds, "10", "Seconds for which a tag's entrypoint is not asked for again; 0 turns it off."
)
REGISTRY_SETTINGS: tuple[Setting[Any], ...] = (REGISTRY_CA_FILE, REGISTRY_MIRRORS, REGISTRY_TIMEOUT, REGISTRY_CACHE)


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """`mirrors`: registry -> https URLs without a trailing slash. Times in seconds."""

    ca_file: Path | None = None
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    timeout: float = 3.0
    cache: float = 10.0

    @classmethod
    def read(cls, reader: Reader) -> "RegistrySettings":
        """Faults are collected by the reader."""
        return cls(reader.read(REGISTRY_CA_FILE), reader.read(REGISTRY_MIRRORS), reader.read(REGISTRY_TIMEOUT), reader.read(REGISTRY_CACHE))
