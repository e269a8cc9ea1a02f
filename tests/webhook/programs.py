"""`python -m webhook` as a process of its own, with an environment that holds nothing but what is given."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.webhook.pods import BROKER, MANIFESTS

ROOT = Path(__file__).parents[2]


def environment(manifests: Path | None = None, **settings: str) -> dict[str, str]:
    """The settings that are needed, those that are given (without their prefix), and a PATH."""
    given = {"TENANT": "acme", "BROKER_URL": BROKER, "INIT_IMAGE": "registry.example/tfy-secret-init:1"}
    given |= {"MANIFESTS": str(manifests)} if manifests else {}
    return {"PATH": os.environ["PATH"]} | {f"TFY_SECRET_{name}": value for name, value in (given | settings).items()}


def write_manifests(folder: Path) -> Path:
    """The tests' stores and groups, those that cannot be used included, as files."""
    folder.mkdir(exist_ok=True)
    (folder / "all.yaml").write_text(yaml.safe_dump_all(MANIFESTS))
    return folder


def run_inject(*arguments: str, env: dict[str, str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "webhook", "inject", *arguments]
    return subprocess.run(command, env=env, input=stdin, capture_output=True, cwd=ROOT, timeout=60, check=False)


def documents(output: bytes) -> list[Any]:
    """What Kubernetes' tools would read: every scalar that looks like a date is text."""
    loader = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return list(yaml.load_all(output, Loader=loader))
