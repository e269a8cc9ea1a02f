"""Config files that workloads have rendered: which ConfigMaps hold names of secrets for them, and what stands there.

A pod's spec names the ConfigMap alone (annotation `tfy-secret.dev/templates`), so whoever asks who uses a secret has to look into it.
Only ConfigMaps that are named so are read. What cannot be read as such an annotation is passed over: no pod was admitted with it.
"""

import re
from base64 import b64decode
from functools import lru_cache
from typing import Any

import msgspec

from service.kube import Kube, NotFound

MAX_TEXT = 64 * 1024  # characters of an annotation; its 256 entries have less
REMEMBERED = 4 * 1024  # characters
_CONFIG_MAP = re.compile(r"[a-z0-9][-.a-z0-9]{0,252}")  # can stand in a path


class ConfigMap(msgspec.Struct, rename={"binary": "binaryData"}):
    data: dict[str, str] | None = None
    binary: dict[str, str] | None = None

    def text(self, key: str) -> str:
        if self.binary and key in self.binary:
            return b64decode(self.binary[key]).decode(errors="replace")
        return (self.data or {}).get(key, "")


_read = msgspec.json.Decoder(ConfigMap).decode


def sources(annotation: str) -> frozenset[tuple[str, str]]:
    """ConfigMap and key of each entry. A long annotation is not remembered: whoever may create workloads chooses their number."""
    return _sources(annotation) if len(annotation) <= REMEMBERED else _sources.__wrapped__(annotation)


@lru_cache(maxsize=1024)
def _sources(annotation: str) -> frozenset[tuple[str, str]]:
    entries = _entries(annotation)
    found = [(entry.get("config_map"), entry.get("key")) for entry in entries if isinstance(entry, dict)]
    return frozenset((name, key) for name, key in found if isinstance(name, str) and _CONFIG_MAP.fullmatch(name) and isinstance(key, str))


async def read_config_map(kube: Kube, namespace: str, name: str) -> ConfigMap:
    """Empty where there is none. Raises KubeError, msgspec.MsgspecError."""
    try:
        return _read(await kube.read("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}"))
    except NotFound:
        return ConfigMap()


def _entries(annotation: str) -> list[Any]:
    if not annotation or len(annotation) > MAX_TEXT:
        return []
    import yaml  # where no workload has such a file, the YAML parser stays out of memory

    from service.manifests import BrokenFile, check_depth

    try:
        check_depth(annotation)
        document = yaml.load(annotation, Loader=yaml.CBaseLoader)  # noqa: S506 - makes text, lists and objects alone
    except (yaml.YAMLError, BrokenFile):
        return []
    return document if isinstance(document, list) else []
