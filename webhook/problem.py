"""A problem of a pod: where, what was found, what is allowed, how to fix it; and its stable reason for metrics and logs."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from itertools import islice

from contract.fqn import FqnError, shorten


MAX_TOLD = 20  # a message is kept in events and in a Deployment's conditions, so it must not grow with the pod
FOUND_LENGTH = 160  # characters


class Reason(Enum):
    """Why a pod was refused; a label of the metrics, so the list is closed."""

    MALFORMED_REFERENCE = "malformed_reference"
    UNKNOWN_GROUP = "unknown_group"
    UNKNOWN_KEY = "unknown_key"
    OTHER_TENANT = "other_tenant"
    DENIED = "denied"
    STORE_UNUSABLE = "store_unusable"
    BAD_ANNOTATION = "bad_annotation"
    NAME_TAKEN = "name_taken"
    MOUNT_IMPOSSIBLE = "mount_impossible"
    EXPANSION_UNKNOWN = "expansion_unknown"
    MODE_UNAVAILABLE = "mode_unavailable"
    COMMAND_UNKNOWN = "command_unknown"
    NOT_DELIVERABLE = "not_deliverable"
    PLAN_TOO_LARGE = "plan_too_large"
    UNREADABLE_POD = "unreadable_pod"
    TEMPLATE_BROKEN = "template_broken"
    NOT_READY = "not_ready"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that its author must mend. `found` is shown on one line and shortened to `room` characters; it is a name, never a value."""

    place: str
    reason: Reason
    found: str
    allowed: str
    fix: str
    room: int = FOUND_LENGTH

    @classmethod
    def of_fqn(cls, place: str, error: FqnError) -> "Problem":
        return cls(place, Reason.MALFORMED_REFERENCE, f"'{error.found}'", error.allowed, error.fix)

    @classmethod
    def in_command_line(cls, place: str, word: str) -> "Problem":
        """A reference in a word of a command: the process would get the name."""
        fix = "put the reference in an env variable and write $(NAME) here"
        return cls(place, Reason.NOT_DELIVERABLE, f"'{shorten(word)}'", "no reference in a command line", fix)

    def __str__(self) -> str:
        end = "" if self.fix.endswith("?") else "."
        return f"{self.place}: found {shorten(self.found, self.room)}; allowed: {self.allowed}.\nTo fix: {self.fix}{end}"


def told(problems: list[Problem]) -> str:
    """All problems as one message, or the first of them with a word about the rest."""
    if len(problems) == 1:
        return str(problems[0])
    lines = [f"({number}) {problem}" for number, problem in enumerate(problems[:MAX_TOLD], 1)]
    head = f"{len(problems)} problems." if len(problems) <= MAX_TOLD else f"More than {MAX_TOLD} problems; the first {MAX_TOLD}:"
    return "\n".join([head, *lines])


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that was probably meant. Bounded, since each comparison costs microseconds of everybody's admission."""
    near = get_close_matches(name[:200], islice(known, 2000), 1, cutoff)
    return near[0] if near else None
