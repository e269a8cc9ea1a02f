"""Files on tmpfs: all or none, exact bits, never through a link."""

import os
import signal
import threading
import time
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.values import SecretValue
from initcontainer import deliver as module
from initcontainer import tmpfs
from initcontainer.carry import Content, VolumeContents
from initcontainer.deliver import ASIDE, deliver
from initcontainer.errors import CannotWrite

VOLUME = "tfy-secret-app"


def volume(files: dict[str, bytes], mode: int = 0o400, name: str = VOLUME) -> VolumeContents:
    return VolumeContents("app", name, tuple(Content(path, SecretValue(data), mode) for path, data in files.items()))


def found(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


@pytest.fixture
def app(memory: Path) -> Path:
    (memory / VOLUME).mkdir()
    return memory / VOLUME


def test_files_are_written_with_exact_bits_whatever_the_umask(memory: Path, app: Path) -> None:
    before = os.umask(0o077)
    try:
        deliver(str(memory), [volume({"files/a/b": b"x"}, 0o666)])
        deliver(str(memory), [volume({"env/A": b"y"}, 0o400)])
    finally:
        os.umask(before)
    assert found(app) == {"files/a/b": b"x", "env/A": b"y"}
    bits = {path: stat.S_IMODE((app / path).stat().st_mode) for path in ("files", "files/a", "files/a/b", "env/A")}
    assert bits == {"files": 0o755, "files/a": 0o755, "files/a/b": 0o666, "env/A": 0o400}


def test_the_group_of_a_pod_with_fsgroup_reaches_every_file(memory: Path, app: Path) -> None:
    """The kubelet gives the volume's folder that group, with the bit that hands it down."""
    group = next(iter(set(os.getgroups()) - {os.getegid()}), 4243 if os.geteuid() == 0 else None)
    if group is None:
        pytest.skip("needs a second group, or root")
    os.chown(app, -1, group)
    app.chmod(0o2777)
    deliver(str(memory), [volume({"files/a/b": b"x"}, 0o440)])
    assert {path: (app / path).stat().st_gid for path in ("files", "files/a", "files/a/b")} == dict.fromkeys(
        ("files", "files/a", "files/a/b"), group
    )


def test_running_again_replaces(memory: Path, app: Path) -> None:
    for data in (b"a long first value", b"2nd"):
        deliver(str(memory), [volume({"env/A": data, "top": data})])
        assert found(app) == {"env/A": data, "top": data}


def test_what_a_killed_run_left_aside_is_removed(memory: Path, app: Path) -> None:
    (app / "env").mkdir()
    (app / "env" / f"{ASIDE}0123").write_bytes(b"half")
    (app / f"{ASIDE}4567").write_bytes(b"half")
    deliver(str(memory), [volume({"env/A": b"x"})])
    assert found(app) == {"env/A": b"x"}


def test_a_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / VOLUME).mkdir()
    folder = os.open(tmp_path, os.O_RDONLY)
    kind = tmpfs.filesystem_of(folder)
    os.close(folder)
    if kind in tmpfs.IN_MEMORY:
        monkeypatch.setattr(tmpfs, "filesystem_of", lambda _: "ext4")  # here even /tmp is in memory
    with pytest.raises(CannotWrite, match=r"container app, volume .*/tfy-secret-app: found file system .*; allowed: tmpfs, ramfs"):
        deliver(str(tmp_path), [volume({"env/A": b"x"})])
    assert found(tmp_path) == {}


def test_nothing_is_written_unless_every_volume_is_there(memory: Path, app: Path) -> None:
    with pytest.raises(CannotWrite, match="it does not exist"):
        deliver(str(memory), [volume({"env/A": b"x"}), volume({"env/A": b"x"}, name="tfy-secret-side")])
    assert found(memory) == {}


class TestLinks:
    """An app container that is restarted in place has had its volume in hands that are not ours."""

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        (tmp_path / "victim").write_bytes(b"untouched")
        return tmp_path

    def test_a_link_in_a_files_place_is_replaced_not_followed(self, memory: Path, app: Path, outside: Path) -> None:
        (app / "env").mkdir()
        (app / "env" / "A").symlink_to(outside / "victim")
        (app / "env" / "B").symlink_to(outside)
        deliver(str(memory), [volume({"env/A": b"x", "env/B": b"y"})])
        assert (outside / "victim").read_bytes() == b"untouched"
        assert not (app / "env" / "A").is_symlink()
        assert found(app) == {"env/A": b"x", "env/B": b"y"}

    @pytest.mark.parametrize("path", ["env/A", "env/deep/A"])
    def test_a_link_in_a_folders_place_is_refused(self, memory: Path, app: Path, outside: Path, path: str) -> None:
        parent = app / Path(path).parent
        parent.parent.mkdir(parents=True, exist_ok=True)
        parent.symlink_to(outside)
        with pytest.raises(CannotWrite, match="symbolic link, which is never followed"):
            deliver(str(memory), [volume({"first": b"x", path: b"x"})])
        assert found(outside) == {"victim": b"untouched"}
        assert not (app / "first").exists()

    def test_a_link_in_the_volumes_place_is_refused(self, memory: Path, app: Path) -> None:
        (memory / "tfy-secret-side").symlink_to(app)
        with pytest.raises(CannotWrite, match="symbolic link"):
            deliver(str(memory), [volume({"A": b"x"}, name="tfy-secret-side")])
        assert found(app) == {}

    def test_a_hard_link_is_replaced_not_written_through(self, memory: Path, app: Path) -> None:
        (memory / "other").write_bytes(b"untouched")
        os.link(memory / "other", app / "A")
        deliver(str(memory), [volume({"A": b"x"})])
        assert (memory / "other").read_bytes() == b"untouched"


def test_a_folder_in_a_files_place_stops_all(memory: Path, app: Path) -> None:
    (app / "B").mkdir()
    with pytest.raises(CannotWrite, match="file B: found a folder in the file's place"):
        deliver(str(memory), [volume({"A": b"x", "B": b"x"})])
    assert found(app) == {}


def test_a_file_in_a_folders_place_stops_all(memory: Path, app: Path) -> None:
    (app / "env").write_bytes(b"")
    with pytest.raises(CannotWrite, match="found a file or a symbolic link"):
        deliver(str(memory), [volume({"A": b"x", "env/B": b"x"})])
    assert found(app) == {"env": b""}


class Interrupted(BaseException):
    """As SIGTERM arrives: outside of what `except Exception` catches."""


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interruption_leaves_nothing_aside(memory: Path, app: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    deliver(str(memory), [volume({"A": b"old", "B": b"old"})])
    calls = 0

    def interrupted(*args: object) -> int:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Interrupted
        return write(*args)

    write = os.write
    monkeypatch.setattr(module.os, "write", interrupted)
    try:
        deliver(str(memory), [volume({"A": b"new", "B": b"new"})])
        assert at == 3
    except Interrupted:
        assert at < 3
    assert found(app) == dict.fromkeys("AB", b"new" if at == 3 else b"old")


def test_no_descriptor_is_left_open(memory: Path, app: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    deliver(str(memory), [volume({"a/b/c": b"x", "A": b"y"})])
    (app / "B").mkdir()
    with pytest.raises(CannotWrite):
        deliver(str(memory), [volume({"a/b/c": b"x", "B": b"y"})])
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def tiny(memory: Path) -> Iterator[Path]:
    """A volume whose sizeLimit is 64 KiB, as a kubelet mounts it."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    (memory / VOLUME).mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", memory / VOLUME], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("this machine lets root mount nothing")
    yield memory
    subprocess.run(["umount", memory / VOLUME], check=True)


def test_a_full_volume_is_told_with_the_setting_and_leaves_what_was_there(tiny: Path) -> None:
    deliver(str(tiny), [volume({"env/A": b"old", "env/B": b"old"})])
    with pytest.raises(CannotWrite) as caught:
        deliver(str(tiny), [volume({"env/A": b"x" * 30000, "env/B": b"x" * 60000})])
    (problem,) = caught.value.problems
    assert "file env/B: the volume is full; allowed: its sizeLimit, which the webhook's setting TFY_SECRET_VOLUME_SIZE gives it" in problem
    assert "it needs 90000 bytes" in problem
    assert found(tiny / VOLUME) == {"env/A": b"old", "env/B": b"old"}


def test_a_read_only_volume_is_told(tiny: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", tiny / VOLUME], check=True)
    with pytest.raises(CannotWrite, match="the volume is read-only"):
        deliver(str(tiny), [volume({"env/A": b"x"})])


def test_a_folder_without_rights_is_told(memory: Path, app: Path) -> None:
    if os.geteuid() != 0:
        app.chmod(0o500)
        with pytest.raises(CannotWrite, match="permission is denied"):
            deliver(str(memory), [volume({"env/A": b"x"})])
        return
    app.chmod(0o500)
    memory.chmod(0o755)
    child = os.fork()
    if child == 0:  # root may write anywhere, so somebody else tries
        code = 1
        try:
            os.setgid(65532)
            os.setuid(65532)
            deliver(str(memory), [volume({"env/A": b"x"})])
        except CannotWrite as error:
            code = 42 if "permission is denied" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


def test_a_signal_between_two_renames_waits_for_the_last(memory: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a new set beside half of an old one would be a state that nobody asked for."""

    def stop(number: int, frame: object) -> None:
        raise Interrupted

    def rename(*args: object, **kwargs: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        real(*args, **kwargs)

    real = os.rename
    before = signal.signal(signal.SIGTERM, stop)
    other = threading.Thread(target=time.sleep, args=(0.3,))  # a signal for the process may go to any thread
    other.start()
    monkeypatch.setattr(module.os, "rename", rename)
    try:
        with pytest.raises(Interrupted):
            deliver(str(memory), [volume({"A": b"x", "B": b"y", "C": b"z"})])
    finally:
        signal.signal(signal.SIGTERM, before)
        other.join()
    assert found(app) == {"A": b"x", "B": b"y", "C": b"z"}
