"""Is this folder in memory? Values are written to tmpfs (or ramfs) and to nothing else: a disk remembers.

Asked of an open folder, by its device number, among the mounts of this process: neither a symbolic link nor a mount that is
made meanwhile can come between the check and the write, and no path has to be compared.
"""

import os

IN_MEMORY = ("tmpfs", "ramfs")
MOUNTS = "/proc/self/mountinfo"


def filesystem_of(folder: int) -> str:
    """The type of the file system that an open folder is on, as /proc names it; "unknown" if no mount has its device."""
    with open(MOUNTS, "rb") as file:  # noqa: PTH123 - pathlib costs 3 ms
        return filesystem_type(file.read(), os.fstat(folder).st_dev)


def filesystem_type(mountinfo: bytes, device: int) -> str:
    """From proc_pid_mountinfo(5): `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`."""
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    for line in mountinfo.splitlines():
        fields = line.split(b" ")  # blanks inside a path are written as \040
        if len(fields) > 6 and fields[2] == number and b"-" in fields[6:]:
            return fields[fields.index(b"-", 6) + 1].decode(errors="replace")
    return "unknown"
