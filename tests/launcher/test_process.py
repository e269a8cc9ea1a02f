"""The program is the same process as the launcher was, with everything that it was given: PID, signals, files, folder, user."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.launcher.programs import env_file


def popen(launcher, tmp_path, *argv, **given):
    return subprocess.Popen(
        [*launcher.command, env_file(tmp_path, [("A", b"1")]), *argv], stdout=subprocess.PIPE, env={"PATH": os.defpath}, **given
    )


def test_the_pid_is_kept(launcher, tmp_path):
    with popen(launcher, tmp_path, "sh", "-c", "echo $$") as process:
        assert int(process.stdout.read()) == process.pid


@pytest.mark.parametrize("code", [0, 1, 77, 125, 126, 127, 255])
def test_the_exit_code_is_the_programs(launcher, tmp_path, code):
    with popen(launcher, tmp_path, "sh", "-c", f"exit {code}") as process:
        assert process.wait(10) == code


def test_sigterm_reaches_the_program(launcher, tmp_path):
    with popen(
        launcher, tmp_path, "sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while :; do read x; done", stdin=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        process.stdin.close()
        assert (process.stdout.read(), process.wait(10)) == (b"got\n", 3)


def test_a_program_without_handler_dies_of_the_signal(launcher, tmp_path):
    with popen(launcher, tmp_path, "sh", "-c", "echo ready; exec sleep 60") as process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM


def test_ignored_and_blocked_signals_stay_so(native, tmp_path):
    """Exactly what the program has without the launcher, by the kernel's own account."""

    def given():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGQUIT})

    argv = [shutil.which("grep"), "-E", "Sig(Blk|Ign|Cgt)|Umask|Groups|NoNewPrivs", "/proc/self/status"]
    plain = subprocess.run(argv, stdout=subprocess.PIPE, preexec_fn=given, restore_signals=False, check=True, umask=0o27).stdout
    with popen(native, tmp_path, *argv, preexec_fn=given, restore_signals=False, umask=0o27) as process:
        assert process.stdout.read() == plain
    assert int(dict(line.split(b":") for line in plain.splitlines())[b"SigIgn"], 16) & 1  # SIGHUP: what is compared is not empty


def test_no_file_is_left_open_and_none_is_closed(native, tmp_path):
    code = "import os; print([fd for fd in range(64) if os.path.exists(f'/dev/fd/{fd}')])"
    read, write = os.pipe()
    argv = [sys.executable, "-S", "-c", code]
    plain = subprocess.run(argv, stdout=subprocess.PIPE, pass_fds=[read, write], check=True).stdout
    with popen(native, tmp_path, *argv, pass_fds=[read, write]) as process:
        assert process.stdout.read() == plain
    os.close(read)
    os.close(write)
    assert f"{read}, {write}".encode() in plain


def test_standard_input_is_the_programs(launcher, tmp_path):
    with popen(launcher, tmp_path, "cat", stdin=subprocess.PIPE) as process:
        assert process.communicate(b"all of it")[0] == b"all of it"


def test_a_launcher_starts_a_launcher(launcher, dump, tmp_path):
    """As a wrapped probe whose command is wrapped by its author again."""
    done = launcher.start(env_file(tmp_path, [("A", b"1")]), *launcher.command, str(tmp_path / "env"), "/bin/echo", "$(tfy-secret:A)")
    assert done.stdout == b"1\n"
