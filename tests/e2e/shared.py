"""What only the cluster beside this project can do: search all that it stores for values, load images, break a component.

TFY_E2E_CLUSTER    the folder with its scripts; not set: the tests that need them are skipped
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

NODE_ADDRESS = "10.200.0.1"
FOLDER = os.environ.get("TFY_E2E_CLUSTER")
only_here = pytest.mark.skipif(not FOLDER, reason="needs the shared cluster's scripts: TFY_E2E_CLUSTER is not set")


def _script(name: str) -> Path:
    assert FOLDER, "a test that uses this is marked only_here"
    return Path(FOLDER) / name


def canary(*values: str) -> tuple[int, str]:
    """Exit code (1: found) and what it says, where values are numbers. Not the process's object: a failed test would show its arguments.

    It reads files that the cluster is writing, and ends without its last line when one is gone before it is read (a log that was
    turned, a segment of etcd's): then nothing has been said either way, and it looks again.
    """
    words = [_script("canary"), *values]
    for _ in range(5):
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        if done.stdout.rpartition("\n")[0].rpartition("\n")[2].startswith("canary: "):
            return done.returncode, done.stdout
    why = done.stderr.rstrip().rpartition("\n")[2]
    raise AssertionError(f"the canary did not come to its end: {why[:200] if not any(value in why for value in values) else 'an error'}")


def load_image(name: str, root: Path, entrypoint: list[str]) -> None:
    words = [_script("image"), name, root, "--entrypoint", json.dumps(entrypoint)]
    subprocess.run(words, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)


def component(verb: str, name: str) -> None:
    """`kill` or `start` a part of the control plane or a node."""
    subprocess.run([_script("component"), verb, name], check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)


def load_archive(file: Path) -> None:
    subprocess.run([_script("image"), "--tar", file], check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)


def inside(*words: str | Path) -> list[str | Path]:
    """The command that runs these words in the cluster's network: what it listens on there is reached by pods at NODE_ADDRESS."""
    return [_script("in"), *words]
