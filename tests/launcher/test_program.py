"""Which program is started, as a shell and execvp find it, and what is said where it cannot be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launcher.programs import CANARY, dumped, env_file

SCRIPT = "#!/bin/sh\necho {}\n"
DENIED = "permission is denied: this user may not, or it is a folder"
NO_INTERPRETER = "it exists, but the interpreter or loader that it names does not"
NOT_A_PROGRAM = "it is not a program of this machine; a script needs a first line that begins with #!"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Folders that tell apart where a program was found. `first` and `second` hold `same`; each also one of its own."""
    place: Path = tmp_path_factory.mktemp("place")
    for folder in ("first", "second", "work/sub"):
        (place / folder).mkdir(parents=True)
    programs = {
        "first/same": "first",
        "second/same": "second",
        "second/only": "second",
        "work/same": "work",
        "work/here": "work",
        "work/sub/deep": "deep",
    }
    for path, says in programs.items():
        program(place / path, SCRIPT.format(says))
    program(place / "first/plain", SCRIPT.format("never"), 0o644)
    program(place / "second/plain", SCRIPT.format("second"))
    program(place / "first/locked", SCRIPT.format("never"), 0o644)
    program(place / "second/garbage", "no program\n")
    program(place / "first/broken", "#!/no/such/interpreter\n")
    program(place / "second/broken", SCRIPT.format("second"))
    program(place / "first/mixed", SCRIPT.format("never"), 0o644)
    program(place / "second/mixed", "#!/no/such/interpreter\n")
    program(place / "first/orphan", "#!/no/such/interpreter\n")
    (place / "first/folder").mkdir()
    (place / "file").write_text("x")
    (place / "first/loop").symlink_to("loop")
    return place


def program(path: Path, text: str, mode: int = 0o755) -> None:
    path.write_text(text)
    path.chmod(mode)


def path_of(place: Path, path: str) -> str:
    """first:second, with the folders in full; '.' and '' stay."""
    return ":".join(str(place / part) if part not in ("", ".", "sub") else part for part in path.split(":"))


FOUND = [
    pytest.param("same", "first:second", "first", id="the-first-folder-wins"),
    pytest.param("only", "first:second", "second", id="the-next-folder"),
    pytest.param("only", "nowhere:file:second", "second", id="missing-folders-and-files-are-passed-over"),
    pytest.param("plain", "first:second", "second", id="not-executable-is-passed-over"),
    pytest.param("broken", "first:second", "second", id="without-interpreter-is-passed-over"),
    pytest.param("loop", "first:work", None, id="a-loop-of-links-is-passed-over"),
    pytest.param("here", ":first", "work", id="empty-first-element-is-the-working-directory"),
    pytest.param("here", "first:", "work", id="empty-last-element"),
    pytest.param("here", "first::second", "work", id="empty-element-between"),
    pytest.param("here", "", "work", id="empty-path"),
    pytest.param("here", ".", "work", id="dot"),
    pytest.param("deep", "sub", "deep", id="relative-folder"),
    pytest.param("here", "first:second", None, id="not-in-the-working-directory-unless-asked"),
]


class TestPath:
    @pytest.mark.parametrize(("command", "path", "says"), FOUND)
    def test_the_table(self, launcher, place, tmp_path, command, path, says):
        done = launcher.start(env_file(tmp_path, []), command, env={"PATH": path_of(place, path)}, cwd=place / "work")
        assert (done.returncode, done.stdout) == ((0, f"{says}\n".encode()) if says else (127, b""))

    @pytest.mark.parametrize(("command", "path", "says"), FOUND)
    def test_others_agree_with_the_table(self, place, command, path, says):
        """A shell's exec, and execvp by way of Python, which tells a loop of links where we say that nothing was found."""
        given = {"env": {"PATH": path_of(place, path)}, "cwd": place / "work", "capture_output": True}
        shell = subprocess.run(["/bin/sh", "-c", 'exec "$0"', command], check=False, **given)
        assert (shell.returncode, shell.stdout) == ((0, f"{says}\n".encode()) if says else (127, b""))
        code = "import os, sys; os.execvpe(sys.argv[1], sys.argv[1:], os.environ)"
        assert subprocess.run([sys.executable, "-S", "-c", code, command], check=False, **given).stdout == shell.stdout

    def test_the_new_path_is_searched(self, launcher, place, tmp_path):
        file = env_file(tmp_path, [("PATH", str(place / "second").encode())])
        assert launcher.start(file, "same", env={"PATH": str(place / "first")}).stdout == b"second\n"

    def test_an_unset_path_is_what_runc_takes(self, launcher, place, tmp_path):
        """And is not set for the program."""
        file = env_file(tmp_path, [("PATH", None)])
        assert launcher.start(file, "env", env={"PATH": str(place / "first"), "X": "1"}).stdout == b"X=1\n"

    def test_a_name_like_path_is_not_path(self, launcher, place, tmp_path):
        done = launcher.start(env_file(tmp_path, []), "same", env={"PATHS": str(place / "first"), "PATH": str(place / "second")})
        assert done.stdout == b"second\n"


class TestSlash:
    """A command with a slash is not looked for."""

    @pytest.mark.parametrize(
        ("command", "says"), [("./here", "work"), ("sub/deep", "deep"), ("../first/same", "first"), ("sub//deep", "deep")]
    )
    def test_relative_to_the_working_directory(self, launcher, place, tmp_path, command, says):
        done = launcher.start(env_file(tmp_path, []), command, env={"PATH": str(place / "second")}, cwd=place / "work")
        assert done.stdout == f"{says}\n".encode()

    def test_absolute(self, launcher, place, tmp_path):
        assert launcher.start(env_file(tmp_path, []), str(place / "first/same"), cwd="/").stdout == b"first\n"


class TestRefused:
    """127: not found; 126: found, and cannot be executed. The message names the program."""

    @pytest.mark.parametrize(
        ("command", "path", "code", "reason"),
        [
            pytest.param("nope", "first:second", 127, "it is in no folder of PATH", id="nowhere"),
            pytest.param("", "first:second", 127, "it is in no folder of PATH", id="empty-command"),
            pytest.param("nope", "file:nowhere", 127, "it is in no folder of PATH", id="no-folder-at-all"),
            pytest.param("x" * 300, "first", 127, "it is in no folder of PATH", id="name-too-long"),
            pytest.param("locked", "first:second", 126, DENIED, id="not-executable"),
            pytest.param("folder", "first:second", 126, DENIED, id="folder"),
            pytest.param("locked", "first:nowhere:second:file", 126, DENIED, id="denied-is-remembered"),
            pytest.param("mixed", "first:second", 126, DENIED, id="denied-before-no-interpreter"),
            pytest.param("mixed", "second:first", 126, DENIED, id="no-interpreter-before-denied"),
            pytest.param("garbage", "first:second", 126, NOT_A_PROGRAM, id="no-first-line"),
            pytest.param("orphan", "first:second", 127, NO_INTERPRETER, id="no-interpreter"),
            pytest.param("../work/nope", "first", 127, "it does not exist", id="slash-missing"),
            pytest.param("../file/x", "first", 127, "a part of its path is not a folder", id="slash-below-a-file"),
            pytest.param("../first/plain", "first", 126, DENIED, id="slash-not-executable"),
            pytest.param("../first/", "first", 126, DENIED, id="slash-folder"),
            pytest.param("../second/garbage", "first", 126, NOT_A_PROGRAM, id="slash-no-first-line"),
            pytest.param("../first/orphan", "first", 127, NO_INTERPRETER, id="slash-no-interpreter"),
            pytest.param("../first/loop", "first", 127, "its path has too many symbolic links", id="slash-loop"),
            pytest.param("./" + "x" * 300, "first", 127, "its path is too long", id="slash-too-long"),
        ],
    )
    def test_code_and_reason(self, launcher, place, tmp_path, command, path, code, reason):
        file = env_file(tmp_path, [("A", CANARY)])
        given = {"env": {"PATH": path_of(place, path)}, "cwd": place / "work"}
        assert launcher.refused(file, command, "$(tfy-secret:A)", **given) == (code, f"{command}: {reason}")

    def test_a_secret_command_is_not_shown(self, launcher, tmp_path):
        file = env_file(tmp_path, [("A", CANARY), ("PATH", b"/" + CANARY)])
        assert launcher.refused(file, "$(tfy-secret:A)") == (127, "$(tfy-secret:A): it is in no folder of PATH")
        assert launcher.refused(file, "/x/$(tfy-secret:A)") == (127, "/x/$(tfy-secret:A): it does not exist")

    def test_a_program_that_is_written_to(self, native, tmp_path):
        busy = shutil.copy("/bin/true", tmp_path / "busy")
        with open(busy, "r+b"):
            assert native.refused(env_file(tmp_path, []), busy) == (126, f"{busy}: it is open for writing")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the root folder")
def test_in_a_root_that_holds_nothing_else(native, dump, tmp_path):
    """scratch, distroless: no shell, no loader, no /proc, no folder that can be written to, and a user that owns nothing."""
    os.chmod(tmp_path, 0o755)
    for name, source in (("launcher", native.command[0]), ("app", dump)):
        shutil.copy(source, tmp_path / name)
        os.chmod(tmp_path / name, 0o555)
    env_file(tmp_path, [("A", b"x y")]).chmod(0o444)
    done = subprocess.run(
        ["/launcher", "/env", "./app", "arg"],
        env={"A": "name"},
        capture_output=True,
        check=False,
        preexec_fn=lambda: (os.chroot(tmp_path), os.chdir("/"), os.setgid(65534), os.setuid(65534)),
    )
    assert (done.returncode, done.stderr, dumped(done.stdout)) == (0, b"", ([b"./app", b"arg"], [b"A=x y"]))
