"""No byte is read or written where none belongs: sanitizers on made-up input, valgrind on whole starts. The tables of the other modules run sanitized too."""

import re
import subprocess

import pytest

from tests.launcher.programs import CANARY, SANITIZERS, Unavailable, dumped, env_file, framed, hosted


def test_fuzz():
    """A bounded run with a fixed seed, compared with a second implementation of the rules. More: build/launcher/fuzz-sanitized ROUNDS SEED."""
    try:
        program = hosted("fuzz", *SANITIZERS)
    except Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run([program, "60000", "20261124"], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    good = int(re.match(r"(\d+) of 60000 files were good", done.stdout)[1])
    assert 10_000 < good < 50_000  # both sides of every comparison were seen


def test_valgrind_on_a_start(memchecked, dump, tmp_path):
    """One of everything; valgrind follows up to execve, where its error exit would show."""
    file = env_file(tmp_path, [("A", b"1"), ("B", None), ("A", b"2"), ("PATH", b"/nope::" + dump.rpartition("/")[0].encode())])
    done = memchecked.start(file, dump.rpartition("/")[2], "$(tfy-secret:A)", "$(tfy-secret:B)", "$(tfy-secret:A", env={"B": "x", "C": "y"})
    arguments, variables = dumped(done.stdout)
    assert done.stderr == b""
    assert arguments[1:] == [b"2", b"$(B)", b"$(tfy-secret:A"]
    assert [one for one in variables if one[:2] in (b"A=", b"B=", b"C=")] == [b"C=y", b"A=2"]


@pytest.mark.parametrize(
    ("content", "argv", "code"),
    [
        pytest.param(framed(b"A=1\0=\0"), ["/bin/true"], 125, id="no-name"),
        pytest.param(framed(b"A=" + b"x" * 70_000 + b"\0"), ["/bin/true", "$(tfy-secret:A)$(tfy-secret:A)"], 126, id="too-long"),
    ],
)
def test_valgrind_on_a_failure(memchecked, tmp_path, content, argv, code):
    """valgrind's own exit code is 99, and it would add lines to the message."""
    (tmp_path / "env").write_bytes(content)
    assert memchecked.refused(tmp_path / "env", *argv, env={"X": CANARY.decode()})[0] == code
