"""The demo's sample app: an ordinary program that knows nothing of secrets by name. It tells what it finds, masked.

    python -m demo.app FILE...      DEMO_ROOT, from its image, stands for the container's `/`: the files are looked for below it

The fingerprint lets the demo compare what a process has with what was stored, without either being shown.
"""

import os
import sys
from hashlib import sha256
from pathlib import Path

SHOWN = 2  # characters of a value that is long enough to keep its secret all the same
ROOT = "DEMO_ROOT"
NOT_THE_PODS = (ROOT, "PATH", "LC_CTYPE")  # from the image; the last one Python sets itself, where there is no locale


def masked(value: bytes) -> str:
    """The first characters of a longer text; of bytes nothing, since what they begin with is chance."""
    head = value[:SHOWN].decode() if len(value) >= 12 and value.isascii() else ""
    head = head if head.isprintable() else ""
    return head + "*" * min(len(value) - len(head), 12)


def fingerprint(value: bytes) -> str:
    return sha256(value).hexdigest()[:8]


def line(name: str, value: bytes, unit: str) -> str:
    return f"{name:<22}{masked(value):<16}({len(value)} {unit}, fingerprint {fingerprint(value)})\n"


def main(root: Path, files: list[str]) -> None:
    for name, value in os.environb.items():
        if name.decode() not in NOT_THE_PODS:
            sys.stdout.write(line(name.decode(), value, "bytes"))
    for file in files:
        sys.stdout.write(line(file, (root / file.lstrip("/")).read_bytes(), "bytes"))


if __name__ == "__main__":
    main(Path(os.environ[ROOT]), sys.argv[1:])
