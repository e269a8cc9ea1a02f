"""A demo run of one's own: a temporary folder in memory that must be empty again, a mark that finds its processes."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import pytest

from demo.programs import ROOT

MARK = "DEMO_TEST_MARK"


@dataclass(frozen=True)
class Run:
    """Where a demo puts its files, and what its processes and their children have in their environment."""

    folder: Path
    mark: str

    def start(self, **environ: str) -> subprocess.Popen:
        made = (
            {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
            | {MARK: self.mark, "TMPDIR": str(self.folder)}
            | environ
        )
        return subprocess.Popen(
            [sys.executable, "-m", "demo"], cwd=ROOT, env=made, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def processes(self) -> list[str]:
        """Command lines of what still runs with our mark."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found

    def left(self) -> list[str]:
        return [str(p) for p in self.folder.iterdir()]


@pytest.fixture
def own_run() -> Iterator[Run]:
    folder = Path(tempfile.mkdtemp(prefix="tfy-secret-demo-test-", dir="/dev/shm"))
    yield Run(folder, uuid.uuid4().hex)
    rmtree(folder)
