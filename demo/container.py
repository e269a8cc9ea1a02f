"""The container runtime's part: a root with the container's mounts, what its image brings, the start of its process.

Without namespaces nothing can stand at `/`, so the root is a folder, and the two words that mode exec puts in front of a command
are looked for below it. The process gets the pod's variables and the image's, and nothing of this machine's.
"""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.keys import EXEC_LAUNCHER, EXEC_MOUNT
from demo import kubelet
from demo.app import ROOT
from demo.errors import DemoError, NotHere
from demo.programs import run_exactly
from launcher.build import CPUS, CannotBuild, Compiler, build


@dataclass(frozen=True, slots=True)
class Container:
    """One container of an admitted pod, whose volumes are filled."""

    spec: dict[str, Any]
    volumes: Path
    root: Path

    def run(self) -> str:
        """Start it as a kubelet and a runtime would; its own words, once it has ended."""
        self._make_root()
        environ = kubelet.environment(self.spec, self.volumes)
        words = [self._here(word) for word in kubelet.argv(self.spec, environ)]
        image = {"PATH": os.fsencode(self.root / "usr/bin"), ROOT: os.fsencode(self.root)}
        done = run_exactly(words, image | environ)
        if done.returncode:
            raise DemoError(f"The app ended with exit code {done.returncode}. It said:\n{done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def _make_root(self) -> None:
        """The mounts, and the one program that the image has: Python."""
        for path, target in {"/usr/bin/python": Path(sys.executable), **kubelet.mounts(self.spec, self.volumes)}.items():
            link = self.root / path.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)

    def _here(self, word: bytes) -> bytes:
        if not word.startswith(os.fsencode(f"{EXEC_MOUNT}/")):
            return word
        place = self.root / os.fsdecode(word).lstrip("/")
        return os.fsencode(_startable(place) if place.name == EXEC_LAUNCHER else place)


def launcher_here() -> Path:
    """The launcher for this machine, made now unless it is there. Raises NotHere where there is none."""
    arch = next((arch for arch, cpu in CPUS.items() if cpu == platform.machine()), None)
    if arch is None:
        raise NotHere(f"there is no launcher for {platform.machine()}; it is made for {' and '.join(CPUS)}")
    try:
        return build(arch, Compiler())
    except CannotBuild as error:
        raise DemoError(f"The launcher could not be made: {error}") from None


def _startable(launcher: Path) -> Path:
    """A node's tmpfs lets programs start; a /dev/shm may not (`noexec`). Then the file that the copy was made from, if it is equal."""
    if not os.statvfs(launcher).f_flag & os.ST_NOEXEC:
        return launcher
    original = launcher_here()
    if original.read_bytes() != launcher.read_bytes():
        raise DemoError("The launcher in the container's volume is not the one that was made")
    return original
