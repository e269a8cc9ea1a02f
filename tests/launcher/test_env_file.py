"""A file that is not exactly what the init container wrote is an error, and the program is never started."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from initcontainer.launch import FILE_LIMIT, encode
from tests.launcher.programs import CANARY, Program, framed

UNSTARTED = "; the program is not started without its variables"
SAMPLE = encode([("URL", b"https://" + CANARY), ("GONE", None), ("EMPTY", b""), ("L", b"a\nb'\xff")])


def refused(launcher, file, **given):
    """The reason; the exit code and the file's name are the same every time."""
    code, message = launcher.refused(file, "/bin/echo", "started", **given)
    assert code == 125
    assert message.startswith(f"{file}: ")
    return message.removeprefix(f"{file}: ").removesuffix(UNSTARTED)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "it is empty, truncated, or no env file: it does not begin with 'tfy-secret-env'", id="empty"),
        pytest.param(
            b"URL=" + CANARY + b"\0", "it is empty, truncated, or no env file: it does not begin with 'tfy-secret-env'", id="no-header"
        ),
        pytest.param(
            SAMPLE.replace(b" 1 ", b" 2 ", 1), "it is not of version 1; launcher and init container must come from one image", id="newer"
        ),
        pytest.param(
            SAMPLE.replace(b" 1 ", b" 11 ", 1),
            "it is not of version 1; launcher and init container must come from one image",
            id="version-11",
        ),
        pytest.param(b"tfy-secret-env 1 4 \n", "its first line is damaged or truncated", id="no-checksum"),
        pytest.param(b"tfy-secret-env 1  00000000\n", "its first line is damaged or truncated", id="no-size"),
        pytest.param(b"tfy-secret-env 1 -1 00000000\n", "its first line is damaged or truncated", id="negative-size"),
        pytest.param(b"tfy-secret-env 1 00 00000000\n", "its first line is damaged or truncated", id="leading-zero"),
        pytest.param(b"tfy-secret-env 1 99999999 00000000\n", "its first line is damaged or truncated", id="size-too-long"),
        pytest.param(b"tfy-secret-env 1 0 0000000\n", "its first line is damaged or truncated", id="short-checksum"),
        pytest.param(b"tfy-secret-env 1 0 000000000\n", "its first line is damaged or truncated", id="long-checksum"),
        pytest.param(b"tfy-secret-env 1 0 0000000g\n", "its first line is damaged or truncated", id="no-hexadecimal"),
        pytest.param(
            framed(b"A=abcd\0").upper(), "it is empty, truncated, or no env file: it does not begin with 'tfy-secret-env'", id="upper-case"
        ),
        pytest.param(b"tfy-secret-env 1 0 00000000\r\n", "its first line is damaged or truncated", id="carriage-return"),
        pytest.param(SAMPLE[:-1], "it is truncated", id="last-byte-missing"),
        pytest.param(SAMPLE + b"\0", "it has bytes past its end", id="one-byte-more"),
        pytest.param(SAMPLE + SAMPLE, "it has bytes past its end", id="twice"),
        pytest.param(SAMPLE.replace(b"https", b"httpz"), "it is damaged: its checksum does not match", id="changed-byte"),
        pytest.param(framed(b"A=" + CANARY), "its last entry does not end in NUL", id="last-entry-open"),
        pytest.param(framed(b"A=1\0=" + CANARY + b"\0"), "an entry has no name", id="entry-without-name"),
        pytest.param(framed(b"A=" + CANARY + b"\0\0"), "an entry has no name", id="empty-entry"),
        pytest.param(b"x" * (FILE_LIMIT + 1), "it is larger than 8 MiB, more than any program can be started with", id="too-large"),
    ],
)
def test_a_damaged_file(launcher, tmp_path, content, reason):
    file = tmp_path / "env"
    file.write_bytes(content)
    assert refused(launcher, file) == reason


@pytest.mark.parametrize("content", [pytest.param(encode([]), id="no-variables"), pytest.param(SAMPLE, id="the-sample")])
def test_a_good_file(launcher, tmp_path, content):
    """What the tables above would prove without this: that everything is refused."""
    file = tmp_path / "env"
    file.write_bytes(content)
    assert launcher.start(file, "/bin/echo", "started").stdout == b"started\n"


def test_the_largest_file(launcher, tmp_path):
    """8 MiB are read and checked; what comes after is the kernel's affair."""
    file = tmp_path / "env"
    file.write_bytes(encode([(f"V{n}", b"x" * 100_000) for n in range(83)] + [("REST", b"x" * 80_000)]))
    assert FILE_LIMIT - 10_000 < file.stat().st_size <= FILE_LIMIT
    code, message = launcher.refused(file, "/bin/echo")
    assert (code, message.split(":")[0]) == (126, "/bin/echo")


def test_every_truncation(native, tmp_path):
    file = tmp_path / "env"
    for length in range(len(SAMPLE)):
        file.write_bytes(SAMPLE[:length])
        assert refused(native, file), length


def test_every_changed_byte(native, tmp_path):
    """One bit of each byte, another one each time; the case of letters is among them."""
    file = tmp_path / "env"
    for at, byte in enumerate(SAMPLE):
        for bit in (at % 8, 5):
            file.write_bytes(SAMPLE[:at] + bytes([byte ^ 1 << bit]) + SAMPLE[at + 1 :])
            assert refused(native, file), at


class TestNoFile:
    def test_missing(self, launcher, tmp_path):
        assert refused(launcher, tmp_path / "none") == "it cannot be read: it does not exist"

    def test_below_a_file(self, launcher, tmp_path):
        (tmp_path / "file").write_bytes(SAMPLE)
        assert refused(launcher, tmp_path / "file" / "env") == "it cannot be read: a part of its path is not a folder"

    def test_a_folder(self, launcher, tmp_path):
        assert refused(launcher, tmp_path) == "found a folder or a special file; allowed: a regular file, as the init container writes it"

    def test_a_pipe_does_not_hold_the_program(self, launcher, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        assert refused(launcher, tmp_path / "pipe").startswith("found a folder or a special file")

    def test_a_device(self, launcher):
        code, message = launcher.refused("/dev/null", "/bin/echo")
        assert (code, message.split(";")[0]) == (125, "/dev/null: found a folder or a special file")

    def test_a_file_that_says_it_is_empty_and_is_not(self, launcher):
        """Its size is not what is read: as if it changed meanwhile."""
        code, message = launcher.refused("/proc/self/status", "/bin/echo")
        assert (code, message) == (125, "/proc/self/status: its size changed while it was read" + UNSTARTED)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as another user")
    def test_of_another_user(self, native):
        """Below a folder that anyone may enter, which pytest's own are not."""
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            file = Path(folder, "env")
            file.write_bytes(SAMPLE)
            file.chmod(0o400)
            launcher = Program((shutil.copy(native.command[0], folder),))
            reason = refused(launcher, file, user=65534, group=65534, cwd="/")
            assert reason == "it cannot be read: permission is denied: this user may not, or it is a folder"

    @pytest.mark.parametrize("argv", [[], ["/some/file"]])
    def test_called_wrongly(self, launcher, argv):
        done = subprocess.run([*launcher.command, *argv], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (
            125,
            b"tfy-secret-launcher: found no command; allowed: launcher ENVFILE COMMAND [ARG...]\n",
        )
