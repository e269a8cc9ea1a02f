"""A file that the pod's author wants in a container: where, for whom, and whether Kubernetes can mount it there.

Each file is mounted by itself (`subPath`), so that a folder of the image or of another volume keeps its content. The kubelet
creates a missing mount point inside a volume that is already mounted there, which only a writable one allows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from posixpath import normpath

from webhook.pod import Container, PodSpec, Volume
from webhook.problem import Problem, Reason


@dataclass(frozen=True, slots=True)
class WantedMount:
    """One entry of an annotation. `containers` None: all app containers."""

    place: str
    mount_path: str
    mode: int
    containers: tuple[str, ...] | None

    def wanted_by(self, container: str, is_app: bool) -> bool:
        return is_app if self.containers is None else container in self.containers


def mount_problem(file: WantedMount, container: Container, spec: PodSpec) -> Problem | str | None:
    """Whether the file can be mounted among the container's own mounts; text is a warning."""
    place = f"{file.place}.mount_path"
    around: tuple[str, str, bool] | None = None
    for mount in container.volumeMounts or []:
        path = normpath(mount.mountPath) if mount.mountPath else "/"
        if path == file.mount_path:
            found = f"'{path}', where container '{container.name}' already mounts volume '{mount.name}'"
            return Problem(
                place, Reason.MOUNT_IMPOSSIBLE, found, "a path that nothing else is mounted at", "choose another path, or remove that mount"
            )
        if path.startswith(file.mount_path + "/"):
            found = f"'{file.mount_path}', below which container '{container.name}' mounts volume '{mount.name}'"
            return Problem(
                place, Reason.MOUNT_IMPOSSIBLE, found, "the path of a file", "name the file itself, not a folder of other mounts"
            )
        if file.mount_path.startswith(path.rstrip("/") + "/") and (around is None or len(path) > len(around[0])):
            around = (path, mount.name, bool(mount.readOnly))
    return None if around is None else _inside(place, file, container, spec, around)


def _inside(place: str, file: WantedMount, container: Container, spec: PodSpec, around: tuple[str, str, bool]) -> Problem | str:
    path, name, read_only = around
    if read_only or is_read_only(name, spec):
        found = f"'{file.mount_path}', inside the read-only mount '{path}' of volume '{name}' in container '{container.name}'"
        fix = "mount the file outside of it, or mount that volume's entries one by one with subPath"
        return Problem(place, Reason.MOUNT_IMPOSSIBLE, found, "a path outside of read-only mounts, where no mount point can be made", fix)
    return f"{place}: {file.mount_path} is inside volume '{name}': an empty file of that name stays in the volume as the mount point"


def is_read_only(volume: str, spec: PodSpec) -> bool:
    """Whether nothing can be made in the volume, whatever its mounts say."""
    found = next((v for v in spec.volumes or [] if v.name == volume), Volume())
    return any(getattr(found, kind) is not None for kind in ("configMap", "secret", "projected", "downwardAPI", "image"))


def clash(file: WantedMount, others: Iterable[WantedMount], container: str) -> Problem | None:
    """Whether the file is in the way of another one that the container gets."""
    one = file.mount_path
    for other in others:
        two = other.mount_path
        if one == two or two.startswith(one + "/") or one.startswith(two + "/"):
            found, allowed = f"'{one}' beside '{two}' in container '{container}'", "one file for each path, none inside another"
            return Problem(f"{file.place}.mount_path", Reason.MOUNT_IMPOSSIBLE, found, allowed, "change one of the paths")
    return None
