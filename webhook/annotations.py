"""What a pod's author says in annotations under our prefix, read strictly: a misspelt one is a problem, never passed over."""

from dataclasses import dataclass

from contract import keys
from webhook.files import WantedFile, parse_files
from webhook.pod import Pod
from webhook.problem import MAX_TOLD, Problem, Reason, nearest

MODES = ("auto", "envfile")
_LABELS = (keys.INJECT_LABEL,)


@dataclass(frozen=True, slots=True)
class Wishes:
    """The author's choices; `position` is (`first` | `last` | `after`, container)."""

    mode: str | None = None
    files: tuple[WantedFile, ...] = ()
    position: tuple[str, str] = ("first", "")


def opted_out(pod: Pod) -> bool:
    return pod.labels.get(keys.INJECT_LABEL) == keys.INJECT_DISABLED


def read_wishes(pod: Pod, problems: list[Problem]) -> Wishes:
    """Read all annotations and labels under the prefix; what is wrong is added to `problems`."""
    wishes = Wishes()
    mode, files, position = wishes.mode, wishes.files, wishes.position
    for name, value in pod.annotations.items():
        if not name.startswith(keys.PREFIX):
            continue
        if len(problems) > MAX_TOLD:
            break  # the rest would not be shown
        place, text = f"metadata.annotations[{name}]", value or ""
        if name == keys.MODE:
            mode = _mode(place, text, problems)
        elif name == keys.FILES:
            files = parse_files(place, text, problems)
        elif name == keys.INIT_POSITION:
            position = _position(place, text, problems)
        elif name == keys.INJECT_LABEL:
            problems.append(Problem(place, Reason.BAD_ANNOTATION, "an annotation", "a label of this name", "move it to metadata.labels"))
        else:
            problems.append(_unknown(place, name, tuple(keys.ANNOTATIONS)))
    _check_labels(pod, problems)
    return Wishes(mode, files, position)


def _check_labels(pod: Pod, problems: list[Problem]) -> None:
    for name, value in pod.labels.items():
        if len(problems) > MAX_TOLD:
            break
        place = f"metadata.labels[{name}]"
        if name == keys.INJECT_LABEL and value != keys.INJECT_ENABLED:
            allowed = f"{keys.INJECT_DISABLED}, or {keys.INJECT_ENABLED}, which is what the namespace says"
            problems.append(Problem(place, Reason.BAD_ANNOTATION, f"'{value}'", allowed, "correct the label, or remove it"))
        elif name.startswith(keys.PREFIX) and name not in _LABELS:
            problems.append(_unknown(place, name, _LABELS))


def _mode(place: str, value: str, problems: list[Problem]) -> str | None:
    if value not in MODES:
        problems.append(
            Problem(place, Reason.BAD_ANNOTATION, f"'{value}'", ", ".join(MODES), "correct the mode, or remove the annotation for auto")
        )
        return None
    return value


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
