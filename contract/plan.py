"""The injection plan: what the webhook tells the init container to fetch, and where to put it. Names, never values.

It travels as one environment variable, so its text is bounded by the kernel (128 KiB for one string) and must survive the
kubelet's `$(VAR)` expansion; and it must not look like a raw reference to the backstop policy or to a second admission.
`encode` escapes `$` and the scheme's slashes for that, inside JSON strings, where both mean the same when decoded.
"""

import json

from contract.fqn import SCHEME, Fqn, FqnError, parse_fqn
from contract.record import record
from contract.strict import FormatError, fields, loads, strings

VERSION = 1
MAX_BYTES = 128 * 1024 - 64  # MAX_ARG_STRLEN of Linux, less the variable's name, "=" and NUL

PlanError = FormatError
_TEMPLATE_TEXTS = ("mount_path", "path", "source", "config_map", "key", "format")
_encode = json.JSONEncoder(separators=(",", ":")).encode


@record
class EnvDelivery:
    """One variable: `parts` are text, FQN, text, FQN, ..., text; `path` is the file, relative to the container's volume."""

    name: str
    path: str
    parts: tuple[str, ...]

    @property
    def fqns(self) -> tuple[Fqn, ...]:
        return tuple(parse_fqn(part) for part in self.parts[1::2])


@record
class FileDelivery:
    """One file: `mount_path` is where the app sees it (for messages), `path` where we write it, `mode` its permission bits."""

    mount_path: str
    path: str
    fqn: str
    mode: int


@record
class TemplateDelivery:
    """One file that is rendered: `source` is the folder of our own mounts that holds it, `config_map` and `key` are for messages.

    Where `optional` says so, a source that is not there is an empty file.
    """

    mount_path: str
    path: str
    source: str
    config_map: str
    key: str
    format: str
    mode: int
    optional: bool = False


@record
class ContainerPlan:
    """What one container gets, all of it in its own volume. `mode` says how its variables are delivered."""

    name: str
    volume: str
    mode: str
    env: tuple[EnvDelivery, ...] = ()
    files: tuple[FileDelivery, ...] = ()
    templates: tuple[TemplateDelivery, ...] = ()


@record
class Plan:
    """Everything that one pod gets; `broker` is an https URL, `ca` the PEM bundle that it is verified with."""

    broker: str
    ca: str
    containers: tuple[ContainerPlan, ...]


def encode_plan(plan: Plan, dumps: "Callable[[object], str]" = _encode) -> str:
    """The plan as one line of JSON. `decode_plan` gives an equal plan back, also after the kubelet's expansion.

    `dumps` is any encoder of compact JSON: the webhook has a quicker one than the standard library's.
    """
    document = {
        "version": VERSION,
        "broker": plan.broker,
        "ca": plan.ca,
        "containers": [
            {
                "name": c.name,
                "volume": c.volume,
                "mode": c.mode,
                "env": [{"name": e.name, "path": e.path, "parts": e.parts} for e in c.env],
                "files": [{"mount_path": f.mount_path, "path": f.path, "fqn": f.fqn, "mode": f.mode} for f in c.files],
                # Only where there are some: an init container that is older than templates goes on with every other plan.
                **({"templates": [_template_fields(t) for t in c.templates]} if c.templates else {}),
            }
            for c in plan.containers
        ],
    }
    text = dumps(document)
    return text.replace("$", "\\u0024").replace(SCHEME, SCHEME.replace("/", "\\/"))


def decode_plan(text: str) -> Plan:
    """Raises PlanError, which names the place; unknown fields and versions are refused."""
    document = loads(text, "the plan")
    if isinstance(document, dict) and document.get("version") != VERSION:
        raise PlanError(f"plan version {str(document.get('version'))[:20]} is not known here; known: {VERSION}")
    _, broker, ca, containers = fields(document, "plan", {"version": int, "broker": str, "ca": str, "containers": list})
    return Plan(broker, ca, tuple(_container(c, f"plan.containers[{i}]") for i, c in enumerate(containers)))


def _container(value: object, place: str) -> ContainerPlan:
    needed: dict[str, type] = {"name": str, "volume": str, "mode": str, "env": list, "files": list}
    name, volume, mode, env, files, templates = fields(value, place, needed, {"templates": list})
    if not name or not volume or "/" in volume or volume in (".", ".."):
        raise PlanError(f"{place}: name and volume must be names")
    return ContainerPlan(
        name,
        volume,
        mode,
        tuple(_env(e, f"{place}.env[{i}]") for i, e in enumerate(env)),
        tuple(_file(f, f"{place}.files[{i}]") for i, f in enumerate(files)),
        tuple(_template(t, f"{place}.templates[{i}]") for i, t in enumerate(templates or ())),
    )


def _env(value: object, place: str) -> EnvDelivery:
    name, path, parts = fields(value, place, {"name": str, "path": str, "parts": list})
    delivery = EnvDelivery(name, _relative(path, place), strings(parts, f"{place}.parts"))
    if len(parts) % 2 == 0 or len(parts) < 3:
        raise PlanError(f"{place}.parts: text and FQNs must alternate, beginning and ending with text")
    for fqn in delivery.parts[1::2]:
        _fqn(fqn, place)
    return delivery


def _file(value: object, place: str) -> FileDelivery:
    mount_path, path, fqn, mode = fields(value, place, {"mount_path": str, "path": str, "fqn": str, "mode": int})
    return FileDelivery(mount_path, _relative(path, place), _fqn(fqn, place), _mode(mode, place))


def _template(value: object, place: str) -> TemplateDelivery:
    needed: dict[str, type] = {**dict.fromkeys(_TEMPLATE_TEXTS, str), "mode": int, "optional": bool}
    mount_path, path, source, config_map, key, format_name, mode, optional = fields(value, place, needed)
    if "/" in _relative(source, place):
        raise PlanError(f"{place}.source: a name is needed")
    return TemplateDelivery(mount_path, _relative(path, place), source, config_map, key, format_name, _mode(mode, place), optional)


def _template_fields(template: TemplateDelivery) -> "dict[str, str | int | bool]":
    return {name: getattr(template, name) for name in (*_TEMPLATE_TEXTS, "mode", "optional")}


def _mode(mode: int, place: str) -> int:
    if not 0 <= mode <= 0o777:
        raise PlanError(f"{place}.mode: permission bits are needed")
    return mode


def _relative(path: str, place: str) -> str:
    """A path that cannot leave the container's volume, however the plan came to be."""
    if not path or path.startswith("/") or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise PlanError(f"{place}.path: a relative path inside the volume is needed")
    return path


def _fqn(text: str, place: str) -> str:
    try:
        parse_fqn(text)
    except FqnError as error:
        raise PlanError(f"{place}: {error}") from None
    return text


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
