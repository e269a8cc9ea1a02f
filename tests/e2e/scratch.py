"""Images `FROM scratch` with one static binary, `report.c`: no shell, no libc, nothing to wrap. Made here, loaded into the nodes."""

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ENTRYPOINT = "/report"
_CPUS = {"x86_64": "amd64", "aarch64": "arm64"}


def program(folder: Path) -> Path:
    """A root folder that holds the binary alone; skips where there is no C compiler that links statically."""
    compiler = shutil.which("gcc") or pytest.skip("needs a C compiler that links statically")
    root = folder / "root"
    root.mkdir()
    subprocess.run([compiler, "-Os", "-static", "-o", root / ENTRYPOINT[1:], Path(__file__).with_name("report.c")], check=True)
    return root


def archive(folder: Path, name: str, entrypoint: list[str], cmd: list[str]) -> Path:
    """A Docker archive of such an image, as nodes and registries take it."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(program(folder), arcname=".")
    layers = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]}
    config = {"Entrypoint": entrypoint, "Cmd": cmd}
    image = json.dumps({"architecture": _CPUS[platform.machine()], "os": "linux", "config": config, "rootfs": layers}).encode()
    manifest = json.dumps([{"Config": "image.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    file = folder / "image.tar"
    with tarfile.open(file, mode="w") as tar:
        for path, content in (("layer.tar", layer.getvalue()), ("image.json", image), ("manifest.json", manifest)):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


def digest_of_text(value: str) -> str:
    """As the program tells it: length and FNV-1a."""
    found = 0xCBF29CE484222325
    for byte in value.encode():
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return f"{len(value.encode())} {found:016x}"
