"""What a pod's author says in annotations under our prefix, read strictly: a misspelt one is a problem, never passed over."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from contract import keys
from contract.fqn import SCHEME
from webhook.files import WantedFile, parse_files
from webhook.modes import MODES
from webhook.pod import Pod, PodSpec
from webhook.problem import MAX_TOLD, Problem, Reason, nearest
from webhook.templates import WantedTemplate, parse_templates

_LABELS = (keys.INJECT_LABEL,)


@dataclass(frozen=True, slots=True)
class Wishes:
    """The author's choices; `position` is (`first` | `last` | `after`, container)."""

    mode: str | None = None
    modes: Mapping[str, str] = field(default_factory=dict)  # by container
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by container
    files: tuple[WantedFile, ...] = ()
    templates: tuple[WantedTemplate, ...] = ()
    position: tuple[str, str] = ("first", "")

    def mode_of(self, container: str, default: str) -> tuple[str, str]:
        """The wish for a container, and the place where it is said."""
        if container in self.modes:
            return self.modes[container], f"metadata.annotations[{keys.MODE_OF}{container}]"
        return (self.mode, f"metadata.annotations[{keys.MODE}]") if self.mode else (default, "spec")


def opted_out(pod: Pod) -> bool:
    return pod.labels.get(keys.INJECT_LABEL) == keys.INJECT_DISABLED


def read_wishes(pod: Pod, problems: list[Problem]) -> Wishes:
    """Read all annotations and labels under the prefix; what is wrong is added to `problems`."""
    wishes = Wishes()
    mode, files, templates, position = wishes.mode, wishes.files, wishes.templates, wishes.position
    modes: dict[str, str] = {}
    commands: dict[str, tuple[str, ...]] = {}
    ours = [(name, value) for name, value in pod.annotations.items() if name.startswith(keys.PREFIX)]
    containers = _containers(pod) if ours else []
    for name, value in ours:
        if len(problems) > MAX_TOLD:
            break  # the rest would not be shown
        place, text = f"metadata.annotations[{name}]", value or ""
        if name == keys.MODE:
            mode = _mode(place, text, problems)
        elif name.startswith(keys.MODE_OF):
            modes[_container(place, name, keys.MODE_OF, containers, problems)] = _mode(place, text, problems) or "auto"
        elif name.startswith(keys.COMMAND_OF):
            commands[_container(place, name, keys.COMMAND_OF, containers, problems)] = _command(place, text, problems)
        elif name == keys.FILES:
            files = parse_files(place, text, problems)
        elif name == keys.TEMPLATES:
            templates = parse_templates(place, text, problems)
        elif name == keys.INIT_POSITION:
            position = _position(place, text, problems)
        elif name == keys.INJECT_LABEL:
            problems.append(Problem(place, Reason.BAD_ANNOTATION, "an annotation", "a label of this name", "move it to metadata.labels"))
        else:
            problems.append(_unknown(place, name, tuple(keys.ANNOTATIONS)))
    _check_labels(pod, problems)
    return Wishes(mode, modes, commands, files, templates, position)


def _check_labels(pod: Pod, problems: list[Problem]) -> None:
    for name, value in pod.labels.items():
        if not name.startswith(keys.PREFIX):
            continue
        if len(problems) > MAX_TOLD:
            break
        place = f"metadata.labels[{name}]"
        if name == keys.INJECT_LABEL and value != keys.INJECT_ENABLED:
            allowed = f"{keys.INJECT_DISABLED}, or {keys.INJECT_ENABLED}, which is what the namespace says"
            problems.append(Problem(place, Reason.BAD_ANNOTATION, f"'{value}'", allowed, "correct the label, or remove it"))
        elif name not in _LABELS:
            problems.append(_unknown(place, name, _LABELS))


def _mode(place: str, value: str, problems: list[Problem]) -> str | None:
    if value not in MODES:
        problems.append(
            Problem(place, Reason.BAD_ANNOTATION, f"'{value}'", ", ".join(MODES), "correct the mode, or remove the annotation for auto")
        )
        return None
    return value


def _containers(pod: Pod) -> list[str]:
    spec = pod.spec or PodSpec()
    return [container.name for container in (*(spec.initContainers or ()), *(spec.containers or ()))]


def _container(place: str, name: str, prefix: str, containers: list[str], problems: list[Problem]) -> str:
    """The container that an annotation's name ends in."""
    container = name.removeprefix(prefix)
    if container not in containers:
        near = nearest(container, containers)
        fix = f"did you mean {prefix}{near}?" if near else "correct the container's name"
        problems.append(Problem(place, Reason.BAD_ANNOTATION, f"the unknown container '{container}'", ", ".join(containers), fix))
    return container


def _command(place: str, value: str, problems: list[Problem]) -> tuple[str, ...]:
    try:
        words = json.loads(value)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words) or not words[0]:
        fix = """write e.g. '["/app", "--serve"]'"""
        problems.append(Problem(place, Reason.BAD_ANNOTATION, f"'{value}'", "a JSON list of strings, the program first", fix))
        return ()
    if not all(_can_be_a_word(word) for word in words):
        found, allowed = "a word with NUL or half of a surrogate pair", "words that a process can be started with"
        problems.append(Problem(place, Reason.BAD_ANNOTATION, found, allowed, "remove \\u0000 and single \\ud800 to \\udfff"))
        return ()
    problems += [Problem.in_command_line(place, word) for word in islice((word for word in words if SCHEME in word), MAX_TOLD)]
    return tuple(words)


def _can_be_a_word(word: str) -> bool:
    """JSON can say in text what no argument of a process, and no other JSON of ours, can hold."""
    return "\0" not in word and not any("\ud800" <= letter <= "\udfff" for letter in word)


def _position(place: str, value: str, problems: list[Problem]) -> tuple[str, str]:
    word, _, container = value.partition(":")
    if value in ("first", "last") or (word == "after" and container):
        return word, container
    problems.append(
        Problem(
            place,
            Reason.BAD_ANNOTATION,
            f"'{value}'",
            "first, last or after:<init container>",
            "correct the position, or remove the annotation for first",
        )
    )
    return "first", ""


def _unknown(place: str, name: str, known: tuple[str, ...]) -> Problem:
    near = nearest(name, known, cutoff=0.5)
    fix = f"did you mean {near}? Correct it, or remove it" if near else "remove it"
    return Problem(place, Reason.BAD_ANNOTATION, f"the unknown name '{name}'", ", ".join(known), fix)
