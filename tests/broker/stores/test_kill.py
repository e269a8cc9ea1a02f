"""kill -9 in the middle of writes: whatever was acknowledged is there, exactly, and the database opens at once."""

import random
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from broker.stores.rows import Rows

ROUNDS = 8
WRITER = """
import hashlib, random, structlog, sys
from pathlib import Path
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from broker.stores.rows import Rows
rows = Rows(Path(sys.argv[1]), Path(sys.argv[2]))
source = random.Random(int(sys.argv[3]))
while True:
    path, value = f"/p/{source.randrange(4)}", source.randbytes(source.choice((10, 5000, 200000)))
    version = rows.write("s", path, value)
    print(path, version, hashlib.sha256(value).hexdigest(), flush=True)
    if source.random() < 0.1:
        rows.delete("s", path, version)
        print(path, version, "deleted", flush=True)
"""


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    db, key = tmp_path / "db", tmp_path / "key"
    expected: dict[tuple[str, str], str] = {}
    source = random.Random(4)
    for number in range(ROUNDS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(db), str(key), str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(source.randrange(1, 25))]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        acknowledged = [line.split() for line in lines if line.endswith("\n")]
        for path, version, digest in acknowledged:
            assert digest == "deleted" or (path, version) not in expected, "a version was given twice"
            expected[path, version] = digest
        rows = Rows(db, key)
        there = {(path, version) for path in rows.paths("s", "") for version, _ in rows.versions("s", path)}
        last = tuple(acknowledged[-1][:2])
        if last not in there:  # its delete was done and not yet acknowledged
            expected[last] = "deleted"
        found = {place: sha256(rows.read("s", *place)[0]).hexdigest() for place in there}
        lost = [place for place, digest in expected.items() if digest != "deleted" and found.get(place) != digest]
        risen = [place for place, digest in expected.items() if digest == "deleted" and place in found]
        assert not lost and not risen
        expected |= {place: digest for place, digest in found.items() if place not in expected}  # done and not yet acknowledged
        rows.close()
    assert len(expected) > ROUNDS
