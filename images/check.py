"""Does every store open inside an image? Unpacks what `images/build` made and runs `images.open_stores` there, with the image's own Python.

    python -m images.check build/images/webhook-amd64.tar      as root, for this machine's architecture: it uses chroot

Nothing of this machine is to be seen from there but /dev/urandom, which every container has. Ends with 0 if all is well.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO

from images.collect import USER

_OPEN = Path(__file__).with_name("open_stores.py")
# What a store says when nobody is there; anything else was missing, or was not reached because of what is missing.
_EXPECTED = {"ok", "unavailable"}


def check(archive: Path) -> list[str]:
    """What is wrong, as sentences."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)  # it becomes another user's /
        environ = unpack(archive, root)
        (root / "dev").mkdir(exist_ok=True)
        os.mknod(root / "dev/urandom", 0o020666, os.makedev(1, 9))
        (root / "tmp/stores").mkdir()
        os.chown(root / "tmp/stores", USER, USER)
        return _faults(_run(root, environ))


def unpack(archive: Path, root: Path) -> dict[str, str]:
    """All layers of a docker-archive, one over the other; returns the image's environment."""
    with tarfile.open(archive) as outer:
        (manifest,) = json.load(_member(outer, "manifest.json"))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=_member(outer, name)) as layer:
                layer.extractall(root, filter="tar")
        config = json.load(_member(outer, manifest["Config"]))["config"]
    return dict(line.split("=", 1) for line in config["Env"])


def _run(root: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    def enter() -> None:
        os.chroot(root)
        os.chdir("/")
        os.setgid(USER)
        os.setuid(USER)

    command = ["/usr/bin/python3.11", "-W", "error", "-c", _OPEN.read_text(), "/tmp/stores"]  # noqa: S108 - in the image's root
    return subprocess.run(command, env=environ, preexec_fn=enter, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603


def _faults(done: subprocess.CompletedProcess[str]) -> list[str]:
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("store: ")]
    faults = [f"{provider}: {met}" for _, provider, met in found if met not in _EXPECTED]
    if done.returncode != 0 or not found:
        faults.append(f"it ended with {done.returncode} after {len(found)} stores: {''.join(done.stderr.strip().splitlines()[-1:])}")
    return faults


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    if found is None:
        raise SystemExit(f"{archive.name}: {name} is missing; it is no docker-archive")
    return found


if __name__ == "__main__":
    problems = check(Path(sys.argv[1]))
    if problems:
        raise SystemExit("images: a store does not open inside the image:\n" + "\n".join(problems))
