"""Files by annotation: which secret goes to which path of which container, and whether Kubernetes can mount it there.

Each file is mounted by itself (`subPath`), so that a folder of the image or of another volume keeps its content. The kubelet
creates a missing mount point inside a volume that is already mounted there, which only a writable one allows.
"""

import re
from collections.abc import Container as Holder
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

import yaml

from contract.fqn import Fqn, FqnError, parse_fqn, shorten
from service.manifests import BrokenFile, check_depth
from webhook.pod import Container, PodSpec, Volume
from webhook.problem import Problem, Reason

MAX_TEXT = 256 * 1024  # characters: what Kubernetes allows all annotations of an object; checked here, since it checks after admission
MAX_FILES = 256  # each is a mount of its own
DEFAULT_MODE = 0o444  # the volume is mounted in this container alone, whose user we may not know
FIELDS = ("mount_path", "secret_fqn", "mode", "containers")
_FORM = "a YAML list of {mount_path, secret_fqn, mode?, containers?}"
_MODE = re.compile(r"0o?[0-7]{3}")


@dataclass(frozen=True, slots=True)
class WantedFile:
    """One entry of the annotation. `containers` None: all app containers."""

    place: str
    mount_path: str
    fqn_text: str
    mode: int = DEFAULT_MODE
    containers: tuple[str, ...] | None = None

    def wanted_by(self, container: str, is_app: bool) -> bool:
        return is_app if self.containers is None else container in self.containers


def parse_files(place: str, text: str, problems: list[Problem]) -> tuple[WantedFile, ...]:
    """The annotation's entries; faults are added to `problems`. Scalars stay text, so that `0400` and `400` can be told apart."""
    if len(text) > MAX_TEXT:
        problems.append(Problem(place, Reason.BAD_ANNOTATION, f"{len(text)} characters", f"at most {MAX_TEXT}", "split the pod"))
        return ()
    try:
        check_depth(text)
        document = yaml.load(text, Loader=yaml.CBaseLoader)  # noqa: S506 - a base loader makes nothing but text, lists and objects
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        problems.append(Problem(place, Reason.BAD_ANNOTATION, f"text that is not YAML{where}", _FORM, "correct the YAML"))
        return ()
    except BrokenFile as error:
        problems.append(Problem(place, Reason.BAD_ANNOTATION, f"text {error.reason}", _FORM, "correct the YAML"))
        return ()
    if not isinstance(document, list):
        problems.append(Problem(place, Reason.BAD_ANNOTATION, "no list", _FORM, "write a list, each entry beginning with '- '"))
        return ()
    if len(document) > MAX_FILES:
        problems.append(Problem(place, Reason.BAD_ANNOTATION, f"{len(document)} files", f"at most {MAX_FILES}", "split the pod"))
        return ()
    files = [_entry(f"{place}[{index}]", entry, problems) for index, entry in enumerate(document)]
    return tuple(file for file in files if file is not None)


def _entry(place: str, entry: Any, problems: list[Problem]) -> WantedFile | None:
    before = len(problems)

    def refuse(field: str, found: str, allowed: str, fix: str) -> None:
        problems.append(Problem(f"{place}.{field}" if field else place, Reason.BAD_ANNOTATION, found, allowed, fix))

    if not isinstance(entry, dict):
        refuse("", "no object", "{mount_path, secret_fqn, mode?, containers?}", "write the fields by name")
        return None
    for field in entry:
        if field not in FIELDS:
            refuse("", f"the unknown field '{shorten(str(field), 40)}'", ", ".join(FIELDS), "correct its name, or remove it")
    mount_path, fqn = entry.get("mount_path"), entry.get("secret_fqn")
    if not isinstance(mount_path, str) or not _is_file_path(mount_path):
        refuse(
            "mount_path",
            _found(mount_path),
            "the absolute path of the file, without '..', '//', ':' or a trailing '/'",
            "e.g. /etc/app/tls.key",
        )
    if not isinstance(fqn, str) or not fqn:
        refuse("secret_fqn", _found(fqn), "an FQN", "e.g. tfy-secret://acme:payments:TLS_KEY")
    mode = entry.get("mode", f"{DEFAULT_MODE:04o}")
    if not isinstance(mode, str) or not _MODE.fullmatch(mode):
        refuse("mode", _found(mode), "permission bits in octal, from '0000' to '0777'", "write e.g. mode: '0400'")
    containers = entry.get("containers")
    if containers is not None and (
        not isinstance(containers, list) or not containers or not all(isinstance(c, str) and c for c in containers)
    ):
        refuse("containers", _found(containers), "a list of container names", "e.g. containers: [app]")
    if len(problems) > before:
        return None
    return WantedFile(place, str(mount_path), str(fqn), int(mode.replace("o", ""), 8), None if containers is None else tuple(containers))


def read_fqn(file: WantedFile, stores: Holder[str], problems: list[Problem]) -> Fqn | None:
    try:
        return parse_fqn(file.fqn_text, stores)  # type: ignore[arg-type]  # a Container is all it asks for
    except FqnError as error:
        problems.append(Problem.of_fqn(f"{file.place}.secret_fqn", error))
        return None


def mount_problem(file: WantedFile, container: Container, spec: PodSpec) -> Problem | str | None:
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


def _inside(place: str, file: WantedFile, container: Container, spec: PodSpec, around: tuple[str, str, bool]) -> Problem | str:
    path, name, read_only = around
    volume = next((v for v in spec.volumes or [] if v.name == name), Volume())
    kind = next((k for k in ("configMap", "secret", "projected", "downwardAPI", "image") if getattr(volume, k) is not None), None)
    if read_only or kind:
        found = f"'{file.mount_path}', inside the read-only mount '{path}' of volume '{name}' in container '{container.name}'"
        fix = "mount the file outside of it, or mount that volume's entries one by one with subPath"
        return Problem(place, Reason.MOUNT_IMPOSSIBLE, found, "a path outside of read-only mounts, where no mount point can be made", fix)
    return f"{place}: {file.mount_path} is inside volume '{name}': an empty file of that name stays in the volume as the mount point"


def _is_file_path(path: str) -> bool:
    plain = len(path) <= 1024 and ":" not in path and path.isprintable()
    return plain and path.startswith("/") and not path.startswith("//") and path != "/" and normpath(path) == path


def _found(value: Any) -> str:
    return "nothing" if value is None else f"'{shorten(value, 80)}'" if isinstance(value, str) else "something else"
