"""Write files into the containers' volumes: everything aside first, then renamed into place, so that no half set is ever seen.

Each folder is opened step by step from the volume's own folder and never through a symbolic link, so whatever a former run or
another process left in a volume, nothing is written outside of it. Running again replaces files; what a killed run left aside
is removed. Permission bits are exact, whatever the umask.
"""

import errno
import os
import signal

from contract.record import record
from initcontainer import tmpfs
from initcontainer.errors import CannotWrite

FOLDER_MODE = 0o755
_SET_GROUP = 0o2000  # on a volume's folder with fsGroup: what is made in it gets that group, and so a file of mode 0440 its reader
ASIDE = ".tfy-secret-aside-"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_STOPPING = (signal.SIGTERM, signal.SIGINT)


@record
class _Aside:
    """A file that is written and not yet in place."""

    folder: int
    aside: str
    name: str


def deliver(volumes: str, contents: "Sequence[VolumeContents]") -> None:
    """Raises CannotWrite; then, as after SIGTERM, no file is left aside and none is replaced."""
    folders: dict[str, int] = {}
    asides: list[_Aside] = []
    try:
        for volume in contents:
            _open_volume(volumes, volume, folders)
        for volume in contents:
            _write_volume(volume, folders, asides)
        _rename(asides)
        asides.clear()
    finally:
        for aside in asides:
            _remove(aside.aside, aside.folder)
        for folder in folders.values():
            os.close(folder)


def read_launcher(path: str) -> bytes:
    """The program of mode exec, as it lies in our image. Raises CannotWrite."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is not imported at a pod's start
            return file.read()
    except OSError as error:
        raise CannotWrite(f"{path}: the launcher of mode exec cannot be read ({error.strerror}); allowed: an image that has it") from error


def _open_volume(volumes: str, volume: "VolumeContents", folders: dict[str, int]) -> None:
    path = f"{volumes}/{volume.volume}"
    place = f"container {volume.container}, volume {path}"
    try:
        folders[volume.volume] = folder = os.open(path, _FOLDER_FLAGS)
        kind = tmpfs.filesystem_of(folder)
    except OSError as error:
        raise CannotWrite(f"{place}: {_reason(error)}") from error
    if kind not in tmpfs.IN_MEMORY:
        raise CannotWrite(f"{place}: found file system {kind}; allowed: {', '.join(tmpfs.IN_MEMORY)} (emptyDir with medium: Memory)")
    _sweep(folder)


def _write_volume(volume: "VolumeContents", folders: dict[str, int], asides: list[_Aside]) -> None:
    for file in volume.files:
        try:
            folder = _open_parent(volume.volume, file.path, folders)
            _write_aside(folder, file, asides)
        except OSError as error:
            place = f"container {volume.container}, volume {volume.volume}, file {file.path}"
            size = f"; it needs {sum(len(f.data) for f in volume.files)} bytes, twice when run again" if error.errno == errno.ENOSPC else ""
            raise CannotWrite(f"{place}: {_reason(error)}{size}") from error


def _open_parent(volume: str, path: str, folders: dict[str, int]) -> int:
    """The open folder that a file belongs in; missing ones are made. `folders` keeps what is open, by path."""
    at, folder = volume, folders[volume]
    for part in path.split("/")[:-1]:
        at = f"{at}/{part}"
        if at not in folders:
            folders[at] = _open_or_make(part, folder)
            _sweep(folders[at])
        folder = folders[at]
    return folder


def _open_or_make(name: str, parent: int) -> int:
    try:
        os.mkdir(name, FOLDER_MODE, dir_fd=parent)
    except FileExistsError:
        return os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    folder = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    os.fchmod(folder, FOLDER_MODE | os.fstat(folder).st_mode & _SET_GROUP)
    return folder


def _sweep(folder: int) -> None:
    """Remove what a run that was killed had aside: it would fill the volume for as long as the pod lives."""
    for name in os.listdir(folder):
        if name.startswith(ASIDE):
            _remove(name, folder)


def _write_aside(folder: int, file: "Content", asides: list[_Aside]) -> None:
    name = file.path.rpartition("/")[2]
    _refuse_folder(name, folder)
    aside = _Aside(folder, f"{ASIDE}{os.urandom(8).hex()}", name)
    asides.append(aside)  # before it exists, so that a signal in between leaves nothing
    target = os.open(aside.aside, _FILE_FLAGS, 0o600, dir_fd=folder)
    try:
        left = memoryview(file.data.reveal())
        while left:
            left = left[os.write(target, left) :]
        os.fchmod(target, file.mode)
    finally:
        os.close(target)


def _refuse_folder(name: str, folder: int) -> None:
    """A folder in a file's place would stop the renames half-way."""
    try:
        found = os.open(name, _FOLDER_FLAGS | os.O_PATH, dir_fd=folder)
    except OSError:
        return
    os.close(found)
    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def _rename(asides: "Sequence[_Aside]") -> None:
    """All of them, with SIGTERM held back meanwhile.

    By a handler and not by the thread's mask: a signal for the process goes to any thread that does not block it.
    """
    held: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: held.append(number)) for number in _STOPPING}
    try:
        for aside in asides:
            os.rename(aside.aside, aside.name, src_dir_fd=aside.folder, dst_dir_fd=aside.folder)
    except OSError as error:
        raise CannotWrite(f"file {aside.name}: {_reason(error)}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            os.kill(os.getpid(), held[0])


def _remove(name: str, folder: int) -> None:
    try:  # noqa: SIM105 - contextlib is not imported at a pod's start for one line
        os.unlink(name, dir_fd=folder)
    except OSError:
        pass  # it was never made, or the volume is going away with it


_REASONS = {
    errno.ENOENT: "it does not exist; the webhook mounts one volume per container",
    errno.ELOOP: "found a symbolic link, which is never followed; allowed: a folder",
    errno.ENOTDIR: "found a file or a symbolic link, which is never followed; allowed: a folder",
    errno.EISDIR: "found a folder in the file's place",
    errno.ENOSPC: "the volume is full; allowed: its sizeLimit, which the webhook's setting TFY_SECRET_VOLUME_SIZE gives it",
    errno.EROFS: "the volume is read-only; allowed: a volume that our init container mounts for writing",
    errno.EACCES: "permission is denied; allowed: a volume that the user of our init container can write to",
    errno.EPERM: "permission is denied; allowed: a volume that the user of our init container can write to",
}


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0, error.strerror or type(error).__name__)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from initcontainer.carry import Content, VolumeContents
