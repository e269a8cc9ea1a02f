"""The Makefile from other folders, in a checkout whose path has blanks, and with the caller's own Python settings around it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.generate import ROOT

PYTHON = """#!/bin/sh
echo "$PWD: $*; ${PYTHONPATH-} ${PYTHONHOME-} ${PYTHONSAFEPATH-} ${PIP_TARGET-} ${PIP_PREFIX-} ${PIP_USER-}."
"""


@pytest.fixture(params=["plain", "My Projects/it's here", "ein  ü/$HOME"])
def checkout(request, tmp_path) -> Path:
    """The Makefile with an environment that is set up: its Python says where it was called, with what."""
    here: Path = tmp_path / request.param
    (here / "requirements").mkdir(parents=True)
    (here / "requirements/dev.txt").touch()
    (here / ".venv/bin").mkdir(parents=True)
    (here / ".venv/bin/python").write_text(PYTHON)
    (here / ".venv/bin/python").chmod(0o755)
    (here / ".venv/.ready").touch()
    shutil.copy(ROOT / "Makefile", here)
    return here


def make(*words: str, cwd: Path = ROOT, **environ: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "COVER"))}
    return subprocess.run(
        ["make", "--no-print-directory", *words], cwd=cwd, env=inherited | environ, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_targets_run_in_the_checkout(checkout, tmp_path):
    """From another folder and from its own: nothing is set up again, and paths in TESTS are the checkout's."""
    for words, cwd in ((("-C", str(checkout)), tmp_path), ((), checkout)):
        assert make(*words, "demo", cwd=cwd) == f"{checkout}: -m demo;      .\n"
        assert make(*words, "test", "TESTS=tests/contract", cwd=cwd) == f"{checkout}: -m pytest tests/contract;      .\n"


def test_the_callers_settings_of_python_and_pip_are_left_out(checkout):
    """They would put other modules before ours, and packages elsewhere than into the environment."""
    given = dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER"), "1")
    assert make("-C", str(checkout), "demo", **given).endswith("-m demo;      .\n")


def test_clean_removes_its_own_alone(checkout):
    (checkout / "build").mkdir()
    beside = [checkout.parent / "My", checkout.parent / "here", checkout.parent / "build"]
    for folder in beside:
        folder.mkdir(exist_ok=True)
    make("-C", str(checkout), "clean")
    assert sorted(p.name for p in checkout.iterdir()) == ["Makefile", "requirements"]
    assert all(folder.is_dir() for folder in beside)


def test_help_lists_every_target(checkout):
    listed = {line.split()[0] for line in make("-C", str(checkout), "help").splitlines()}
    assert {"demo", "test", "check", "e2e", "bench", "images", "docs", "clean"} <= listed


def test_make_f_from_elsewhere(tmp_path):
    """By the Makefile's path instead of its folder's."""
    assert make("-n", "-f", str(ROOT / "Makefile"), "demo", cwd=tmp_path).endswith(f"cd {ROOT}/ && .venv/bin/python -m demo\n")
