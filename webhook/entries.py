"""Annotations that are YAML lists: read strictly, every fault with the entry's number and the field.

Scalars stay text, so that `0400` and `400` can be told apart.
"""

import re
from posixpath import normpath
from typing import Any

import yaml

from contract.fqn import shorten
from service.manifests import BrokenFile, check_depth
from webhook.problem import Problem, Reason, nearest

MAX_TEXT = 256 * 1024  # characters: what Kubernetes allows all annotations of an object; checked here, since it checks after admission
MAX_ENTRIES = 256  # each is a mount of its own
DEFAULT_MODE = 0o444  # the volume is mounted in this container alone, whose user we may not know
_MODE = re.compile(r"0o?[0-7]{3}")


class _Loader(yaml.CBaseLoader):
    """Makes text, lists and objects, and nothing else. Of a field that is given twice YAML would keep the last: here it is told."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in names:
                    mark = key.start_mark
                    where = f"line {mark.line + 1}, column {mark.column + 1}"
                    raise BrokenFile(f"that gives '{shorten(key.value, 40)}' twice in one entry ({where})")
                names.add(key.value)
        return super().construct_mapping(node, deep)


def read_entries(place: str, text: str, form: str, problems: list[Problem]) -> list[Any]:
    """The list's entries; none, and a problem, where it is no list. `form` is what an entry looks like."""
    whole = f"a YAML list of {form}"

    def refuse(found: str, allowed: str, fix: str) -> list[Any]:
        problems.append(Problem(place, Reason.BAD_ANNOTATION, found, allowed, fix))
        return []

    if len(text) > MAX_TEXT:
        return refuse(f"{len(text)} characters", f"at most {MAX_TEXT}", "split the pod")
    try:
        check_depth(text)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - see there what it makes
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        return refuse(f"text that is not YAML{where}", whole, "correct the YAML")
    except BrokenFile as error:
        return refuse(f"text {error.reason}", whole, "correct the YAML")
    if not isinstance(document, list):
        return refuse("no list", whole, "write a list, each entry beginning with '- '")
    if len(document) > MAX_ENTRIES:
        return refuse(f"{len(document)} files", f"at most {MAX_ENTRIES}", "split the pod")
    return document


class Entry:
    """One object of the list, read field by field; what is wrong goes to `problems`."""

    def __init__(self, place: str, document: Any, fields: tuple[str, ...], form: str, problems: list[Problem]) -> None:
        self.place, self._problems, self._before = place, problems, len(problems)
        self.is_object = isinstance(document, dict)
        self._fields: dict[Any, Any] = document if self.is_object else {}
        if not self.is_object:
            self.refuse("", "no object", form, "write the fields by name")
            return
        for field in document:
            if field not in fields:
                near = nearest(str(field), fields)
                fix = f"did you mean {near}?" if near else "correct its name, or remove it"
                self.refuse("", f"the unknown field '{shorten(str(field), 40)}'", ", ".join(fields), fix)

    @property
    def is_good(self) -> bool:
        return len(self._problems) == self._before

    def refuse(self, field: str, found: str, allowed: str, fix: str) -> None:
        place = f"{self.place}.{field}" if field else self.place
        self._problems.append(Problem(place, Reason.BAD_ANNOTATION, found, allowed, fix))

    def text(self, field: str, allowed: str, fix: str, pattern: "re.Pattern[str] | None" = None) -> str:
        """A field that must be there; "" and a problem where it is not."""
        value = self._fields.get(field)
        if isinstance(value, str) and value and (pattern is None or pattern.fullmatch(value)):
            return value
        self.refuse(field, _found(value), allowed, fix)
        return ""

    def choice(self, field: str, choices: tuple[str, ...], fix: str) -> str:
        value = self._fields.get(field)
        if value in choices:
            return str(value)
        near = nearest(value, choices) if isinstance(value, str) else None
        self.refuse(field, _found(value), ", ".join(choices), f"did you mean {near}?" if near else fix)
        return ""

    def flag(self, field: str) -> bool:
        value = self._fields.get(field, "false")
        if value not in ("true", "false"):
            self.refuse(field, _found(value), "true or false", f"write e.g. {field}: true")
        return bool(value == "true")

    def mount_path(self) -> str:
        path = self._fields.get("mount_path")
        if isinstance(path, str) and _is_file_path(path):
            if f"{path}/".startswith("/proc/"):
                self.refuse("mount_path", _found(path), "a path outside of /proc, where no runtime mounts a file", "choose another path")
            return path
        allowed = "the absolute path of the file, without '..', '//', ':' or a trailing '/'"
        self.refuse("mount_path", _found(path), allowed, "e.g. /etc/app/tls.key")
        return ""

    def mode(self) -> int:
        mode = self._fields.get("mode", f"{DEFAULT_MODE:04o}")
        if isinstance(mode, str) and _MODE.fullmatch(mode):
            return int(mode.replace("o", ""), 8)
        self.refuse("mode", _found(mode), "permission bits in octal, from '0000' to '0777'", "write e.g. mode: '0400'")
        return 0

    def containers(self) -> tuple[str, ...] | None:
        """None: not said."""
        names = self._fields.get("containers")
        if names is None:
            return None
        if isinstance(names, list) and names and all(isinstance(name, str) and name for name in names):
            return tuple(names)
        self.refuse("containers", _found(names), "a list of container names", "e.g. containers: [app]")
        return None


def _is_file_path(path: str) -> bool:
    plain = len(path) <= 1024 and ":" not in path and path.isprintable()
    return plain and path.startswith("/") and not path.startswith("//") and path != "/" and normpath(path) == path


def _found(value: Any) -> str:
    return "nothing" if value is None else f"'{shorten(value, 80)}'" if isinstance(value, str) else "something else"
