"""Config files by annotation: which key of which ConfigMap is rendered to which path of which container, and how.

The ConfigMap becomes a volume of the pod that our init container alone mounts: names travel, no content and no value.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from contract import keys
from contract.plan import TemplateDelivery
from contract.template import FORMATS
from webhook.entries import Entry, read_entries
from webhook.mounts import WantedMount
from webhook.problem import Problem

FIELDS = ("config_map", "key", "mount_path", "format", "mode", "containers", "optional")
_FORM = "{config_map, key, mount_path, format, mode?, containers?, optional?}"
_CONFIG_MAP = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_KEY = re.compile(r"(?!\.\.?\Z|\.\.)[-._a-zA-Z0-9]{1,253}")


@dataclass(frozen=True, slots=True)
class WantedTemplate(WantedMount):
    """One entry of the annotation."""

    config_map: str
    key: str
    format: str
    optional: bool

    @property
    def source(self) -> str:
        """The volume that holds the ConfigMap's key, for all who want it in the same way."""
        said = f"{self.config_map}/{self.key}/{self.optional}"
        return f"{keys.TEMPLATE_VOLUME_PREFIX}{sha256(said.encode()).hexdigest()[:12]}"

    def delivery(self, path: str) -> TemplateDelivery:
        return TemplateDelivery(self.mount_path, path, self.source, self.config_map, self.key, self.format, self.mode, self.optional)

    def volume(self) -> dict[str, Any]:
        config_map: dict[str, Any] = {"name": self.config_map, "items": [{"key": self.key, "path": keys.SOURCE_FILE}]}
        if self.optional:
            config_map["optional"] = True
        return {"name": self.source, "configMap": config_map}


def parse_templates(place: str, text: str, problems: list[Problem]) -> tuple[WantedTemplate, ...]:
    """The annotation's entries; faults are added to `problems`."""
    documents = read_entries(place, text, _FORM, problems)
    found = [_template(Entry(f"{place}[{index}]", document, FIELDS, _FORM, problems)) for index, document in enumerate(documents)]
    return tuple(template for template in found if template is not None)


def _template(entry: Entry) -> WantedTemplate | None:
    if not entry.is_object:
        return None
    config_map = entry.text("config_map", "the name of a ConfigMap in the pod's namespace", "e.g. config_map: gateway", _CONFIG_MAP)
    key = entry.text("key", "a key of the ConfigMap: letters, digits, '-', '_' and '.'", "e.g. key: config.yaml", _KEY)
    mount_path = entry.mount_path()
    format_name = entry.choice("format", FORMATS, "say how the app reads the file; raw puts values in as they are")
    mode, containers, optional = entry.mode(), entry.containers(), entry.flag("optional")
    return WantedTemplate(entry.place, mount_path, mode, containers, config_map, key, format_name, optional) if entry.is_good else None


def source_mount(source: str) -> dict[str, Any]:
    """Where our init container finds it."""
    return {"name": source, "mountPath": f"{keys.SOURCES_FOLDER}/{source}", "readOnly": True}
