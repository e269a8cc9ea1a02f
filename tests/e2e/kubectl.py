"""kubectl, and waiting: the only way in which this suite touches the cluster, so it runs wherever KUBECONFIG points.

    KUBECTL    the command (default: `kubectl` on the path, else the one beside this Python); may be several words

Nothing here sleeps for a fixed time: `until` looks until a condition holds, and says what it saw last when it does not.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
Object = dict[str, Any]
LOOK_SECONDS = 0.3  # between looks; a look costs about 0.1 s of CPU
COMMAND_SECONDS = 90.0


def _command() -> list[str]:
    given = os.environ.get("KUBECTL")
    return shlex.split(given) if given else [shutil.which("kubectl") or str(Path(sys.executable).with_name("kubectl"))]


KUBECTL = _command()


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. `out` may hold what an app printed, so it is not in the repr."""

    code: int
    out: bytes
    err: str

    def __repr__(self) -> str:
        return f"Done(code={self.code}, {len(self.out)} bytes out, err={self.err[:2000]!r})"

    @property
    def text(self) -> str:
        return self.out.decode()


class Timeout(AssertionError):
    """A condition did not come to hold; the message is a picture of the cluster, which holds no value."""


def kubectl(*words: str, stdin: bytes | None = None, check: bool = True, timeout: float = COMMAND_SECONDS) -> Done:
    source: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    ended = subprocess.run([*KUBECTL, *words], capture_output=True, timeout=timeout, check=False, **source)
    done = Done(ended.returncode, ended.stdout, ended.stderr.decode(errors="replace"))
    assert not check or done.code == 0, f"kubectl {' '.join(words[:8])}: exit code {done.code}\n{done.err}"
    return done


def manifest(*objects: Object) -> bytes:
    """One object stands by itself: kubectl checks a List by its own schemas, and not by the server's."""
    if len(objects) == 1:
        return json.dumps(objects[0]).encode()
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}).encode()


def apply(*objects: Object) -> Done:
    return kubectl("apply", "-f", "-", stdin=manifest(*objects))


def dry_run(*objects: Object, namespace: str) -> Done:
    """What the API server and all admission would say, with warnings on `err`; never an exception."""
    return kubectl("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-", stdin=manifest(*objects), check=False)


def get(kind: str, name: str, namespace: str | None = None) -> Object:
    where = ["-n", namespace] if namespace else []
    found: Object = json.loads(kubectl("get", kind, name, *where, "-o", "json").out)
    return found


def find(kind: str, name: str, namespace: str | None = None) -> Object | None:
    """None: there is none."""
    where = ["-n", namespace] if namespace else []
    done = kubectl("get", kind, name, *where, "--ignore-not-found", "-o", "json")
    return json.loads(done.out) if done.out.strip() else None


def every(kind: str, namespace: str | None = None, *words: str) -> list[Object]:
    where = ["-n", namespace] if namespace else ["-A"]
    items: list[Object] = json.loads(kubectl("get", kind, *where, *words, "-o", "json").out)["items"]
    return items


def documents(text: str | bytes) -> list[Object]:
    return [document for document in yaml.safe_load_all(text) if document]


def until(what: str, look: Callable[[], T | None], seconds: float = 60.0, picture: Callable[[], str] = str) -> T:
    """The first thing that `look` returns which is not None. Raises Timeout, with `picture()` of what is there instead."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > end:
            raise Timeout(f"not within {seconds:.0f} s: {what}\n{picture()}")
        time.sleep(LOOK_SECONDS)


def condition(thing: Object, kind: str) -> Object:
    """A status condition, {} when it is not there."""
    conditions = thing.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})
