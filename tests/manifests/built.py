"""What kustomize makes of our folders, once a test run, by the kubectl of the virtual environment."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
INSTALLABLE = ("base", "overlays/dev", "overlays/embedded", "overlays/cert-manager")
ADDITION = "overlays/registry-secrets"  # to any of them: rights, and no Deployment
NAMESPACE = "tfy-secret-system"
Object = dict[str, Any]


@cache
def built(folder: str | Path) -> list[Object]:
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run([kubectl, "kustomize", MANIFESTS / folder], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if document]


def one(folder: str | Path, kind: str, name: str) -> Object:
    (found,) = (o for o in built(folder) if o["kind"] == kind and o["metadata"]["name"] == name)
    return found


def deployments(folder: str | Path) -> list[Object]:
    return [o for o in built(folder) if o["kind"] == "Deployment"]


def environment(deployment: Object) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry["value"] for entry in container["env"]}
