"""Only what is in memory is written to."""

import os
from pathlib import Path

import pytest

from initcontainer.tmpfs import filesystem_of, filesystem_type

MOUNTS = rb"""22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
29 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro
104 102 0:57 /kubelet/pods/1/volumes/a\040b /tfy-secret/volumes/tfy-secret-app rw,relatime master:12 propagate_from:2 - tmpfs tmpfs rw,size=16384k
105 102 0:58 / /with-a-dash-field rw - - ramfs ramfs rw
broken line
106 102 259:300 / /data rw - xfs /dev/nvme0n1 rw
"""


@pytest.mark.parametrize(
    ("major", "minor", "kind"),
    [(0, 57, "tmpfs"), (8, 1, "ext4"), (259, 300, "xfs"), (0, 20, "sysfs"), (0, 99, "unknown")],
)
def test_a_device_leads_to_its_file_system(major: int, minor: int, kind: str) -> None:
    assert filesystem_type(MOUNTS, os.makedev(major, minor)) == kind


def test_this_machines_own_mounts(memory: Path) -> None:
    folders = {"/proc": "proc", str(memory): "tmpfs"}
    for path, kind in folders.items():
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            assert filesystem_of(folder) == kind
        finally:
            os.close(folder)
