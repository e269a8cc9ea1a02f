"""The table of manifests, for the unit tests here and for the end-to-end tests, which send it to a real API server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from contract.keys import API_VERSION

CANARY = "canary-value"


@dataclass(frozen=True, slots=True)
class Case:
    """One manifest. `crd` and `contract` are parts of what the API server and contract.resources say; None: it is accepted."""

    manifest: dict[str, Any]
    crd: str | None
    contract: str | None

    def __str__(self) -> str:
        return str(self.manifest["metadata"]["name"])


def load() -> list[Case]:
    document = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
    refused = [Case(_manifest(c), c["says"]["crd"], c["says"].get("contract")) for c in document["refused"]]
    return [Case(_manifest(c), None, None) for c in document["accepted"]] + refused


def _manifest(case: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": case["kind"], "metadata": {"name": case["name"]}, "spec": case["spec"]}
