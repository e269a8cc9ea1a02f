"""What a change is in the middle of, kept with the group until store and resource agree: names and times, never a value.

Kept where the next broker finds it after a kill -9: in an annotation of the SecretGroup, off-cluster in a file beside the manifests.
What has to be done about one that nobody works on any more is decided in `repair`.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import structlog

from contract.fqn import is_part, shorten

log = structlog.get_logger()
Foreign = dict[str, Any]
MAX_BY = 320  # characters of who wants it; a user's name is rarely above 100
MAX_BYTES = 128 * 1024  # of all intents of a group; Kubernetes takes 256 KiB of annotations together


class Step(Enum):
    """CREATE: values come, then the keys are listed. DELETE: the keys are unlisted, values go. UNDO: a CREATE that is taken back.

    EDIT: values of listed keys are saved, by one at a time (`turns`).
    """

    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Intent:
    """`kept`: keys that had a value before, which an undo must not delete. `whole`: the group itself comes or goes. EDIT without keys: all.

    `due`: a deletion that can be undone until then; `undoable`: it could be, so nobody has waited for what the store says of it.
    `by`: who wants it.
    """

    id: str
    step: Step
    keys: tuple[str, ...]
    at: datetime
    by: str
    due: datetime | None = None
    kept: tuple[str, ...] = ()
    whole: bool = False
    undoable: bool = False

    def waits(self, now: datetime) -> bool:
        """Whether this is a deletion whose time has not come."""
        return self.due is not None and self.due > now

    def doomed(self) -> tuple[str, ...]:
        """The keys whose values go when this is carried out or taken back."""
        return () if self.step is Step.EDIT else tuple(key for key in self.keys if key not in self.kept)


def intent(step: Step, keys: Iterable[str], by: str, now: datetime, **more: Any) -> Intent:
    return Intent(secrets.token_hex(8), step, tuple(keys), now, by, **more)


def undone(found: Intent) -> Intent:
    return replace(found, step=Step.UNDO)


def encode(intents: Iterable[Intent], foreign: Iterable[Foreign] = ()) -> str | None:
    """One line of JSON; None: there is nothing to keep. What is foreign stays as long as there is room."""
    intents = tuple(intents)
    ours, others = [_encoded(found) for found in intents], list(foreign)
    try:
        text = json.dumps(ours + others, separators=(",", ":"))
    except RecursionError:
        return encode(intents)
    if others and len(text) > MAX_BYTES:
        return encode(intents)
    return text if ours or others else None


def decode(text: str | None) -> tuple[Intent, ...]:
    """What cannot be read is left out, and told in the log."""
    ours, others = _parted(text)
    if text and (others or not ours):
        log.warning("pending_unreadable", characters=len(text), entries=len(others))
    return tuple(ours)


def foreign(text: str | None) -> tuple[Foreign, ...]:
    """What a broker of another version may have written: not ours to carry out, nor to throw away."""
    return tuple(_parted(text)[1])


def _parted(text: str | None) -> tuple[list[Intent], list[Foreign]]:
    ours: list[Intent] = []
    others: list[Foreign] = []
    try:
        found = json.loads((text or "[]")[: 2 * MAX_BYTES])
    except (ValueError, RecursionError):
        found = []
    for document in found if isinstance(found, list) else []:
        if isinstance(document, dict):
            try:
                ours.append(_decoded(document))
            except (ValueError, TypeError, LookupError, OverflowError):
                others.append(document)
    return ours, others


def _encoded(found: Intent) -> dict[str, Any]:
    document: dict[str, Any] = {"id": found.id, "step": found.step.value, "keys": found.keys, "at": found.at.isoformat(), "by": found.by}
    if found.due is not None:
        document["due"] = found.due.isoformat()
    if found.kept:
        document["kept"] = found.kept
    if found.whole:
        document["whole"] = True
    if found.undoable:
        document["undoable"] = True
    return document


def _decoded(document: Foreign) -> Intent:
    """Whoever may edit the group may write this: so its keys are those of a group, and no way to another's values."""
    due = document.get("due")
    return Intent(
        str(document["id"]),
        Step(document["step"]),
        _keys(document["keys"]),
        _time(document["at"]),
        shorten(str(document["by"]), MAX_BY),
        None if due is None else _time(due),
        _keys(document.get("kept", [])),
        document.get("whole") is True,
        document.get("undoable") is True,
    )


def _keys(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(key, str) and is_part(key) for key in found):
        raise ValueError("not keys")
    return tuple(found)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
