"""The demo's container runtime: the real launcher starts a process with the variables of its file, and nothing of ours."""

import io
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from contract.keys import EXEC_ENV, EXEC_LAUNCHER, EXEC_MOUNT
from demo import container as runtime
from demo.container import Container, launcher_here
from demo.delivery import exec_mode
from demo.errors import DemoError, NotHere
from demo.scenery import Scenery
from demo.screen import Screen
from demo.stage import Stage
from initcontainer.launch import encode
from launcher.build import CPUS

needs_launcher = pytest.mark.skipif(platform.machine() not in CPUS.values(), reason="no launcher for this machine")
QUOTED = "it's\n"
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], {k: v for k, v in os.environ.items() if k not in ('PATH', 'LC_CTYPE')}]))"


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """What the init container leaves in mode exec."""
    folder = tmp_path / "volumes" / "v" / "exec"
    folder.mkdir(parents=True)
    (folder / EXEC_ENV).write_bytes(encode([("KEY", QUOTED.encode()), ("GONE", None)]))
    return tmp_path / "volumes"


def started(volumes: Path, *args: str) -> Container:
    env = [{"name": "PLAIN", "value": "p"}, {"name": "KEY", "value": ""}, {"name": "GONE", "value": ""}]
    command = [f"{EXEC_MOUNT}/{EXEC_LAUNCHER}", f"{EXEC_MOUNT}/{EXEC_ENV}", "python", "-c", SHOW]
    mount = {"name": "v", "mountPath": EXEC_MOUNT, "subPath": "exec"}
    spec = {"name": "app", "command": command, "args": list(args), "env": env, "volumeMounts": [mount]}
    return Container(spec, volumes, volumes.parent / "root")


def install(volumes: Path, program: bytes) -> None:
    launcher = volumes / "v" / "exec" / EXEC_LAUNCHER
    launcher.write_bytes(program)
    launcher.chmod(0o555)


@needs_launcher
def test_the_launcher_starts_the_app(volumes: Path):
    """Variables of the file over the pod's empty ones, an absent one unset, `$(VAR)` of both kinds in the arguments."""
    install(volumes, launcher_here().read_bytes())
    said = started(volumes, "$(PLAIN)", "$$(tfy-secret:KEY)").run()
    root = volumes.parent / "root"
    assert json.loads(said) == [["p", QUOTED], {"DEMO_ROOT": str(root), "KEY": QUOTED, "PLAIN": "p"}]


@needs_launcher
def test_memory_that_holds_no_programs(volumes: Path, monkeypatch: pytest.MonkeyPatch):
    """`noexec`: the original is started, and only if the copy is equal."""
    original = launcher_here().read_bytes()
    monkeypatch.setattr(runtime.os, "statvfs", lambda _: os.statvfs_result((0,) * 8 + (os.ST_NOEXEC, 0)))
    install(volumes, b"#!/bin/false\n")
    with pytest.raises(DemoError, match="is not the one that was made"):
        started(volumes).run()
    (volumes / "v" / "exec" / EXEC_LAUNCHER).unlink()
    install(volumes, original)
    again = Container(started(volumes).spec, volumes, volumes.parent / "another-root")
    assert json.loads(again.run())[1]["PLAIN"] == "p"


@needs_launcher
def test_an_app_that_cannot_start_says_why(volumes: Path):
    install(volumes, launcher_here().read_bytes())
    spec = started(volumes).spec | {"command": [f"{EXEC_MOUNT}/{EXEC_LAUNCHER}", f"{EXEC_MOUNT}/{EXEC_ENV}", "no-such-app"]}
    with pytest.raises(DemoError, match=r"exit code 127\. It said:\ntfy-secret-launcher: no-such-app: it is in no folder of PATH"):
        Container(spec, volumes, volumes.parent / "root").run()


def test_a_machine_without_a_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The scene of mode exec says why it is left out, and asks nobody for anything."""
    monkeypatch.setattr(runtime.platform, "machine", lambda: "s390x")
    with pytest.raises(NotHere, match="there is no launcher for s390x; it is made for amd64 and arm64"):
        launcher_here()
    out = io.StringIO()
    nobody = cast(Any, None)
    exec_mode(Stage(Screen(out), Scenery(tmp_path, tmp_path, "", ""), nobody, nobody, "", nobody), {})
    assert out.getvalue().splitlines()[2:] == [
        "   Left out on this machine: there is no launcher for s390x; it is made for amd64 and arm64."
    ]


def test_the_image_has_python(volumes: Path):
    """Mode envfile: the command is found in the image's PATH."""
    spec = {"name": "app", "command": ["python", "-c", "import sys; print(sys.version_info[:2])"]}
    assert Container(spec, volumes, volumes.parent / "root").run() == f"{sys.version_info[:2]}\n"
