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

log = structlog.get_logger()
MAX_BYTES = 128 * 1024  # of all intents of a group; Kubernetes takes 256 KiB of annotations together


class Step(Enum):
    """CREATE: values come, then the keys are listed. DELETE: the keys are unlisted, values go. UNDO: a CREATE that is taken back."""

    CREATE = "create"
    DELETE = "delete"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Intent:
    """`kept`: keys that had a value before, which an undo must not delete. `whole`: the group itself comes or goes.

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
        return tuple(key for key in self.keys if key not in self.kept)


def intent(step: Step, keys: Iterable[str], by: str, now: datetime, **more: Any) -> Intent:
    return Intent(secrets.token_hex(8), step, tuple(keys), now, by, **more)


def undone(found: Intent) -> Intent:
    return replace(found, step=Step.UNDO)


def encode(intents: Iterable[Intent]) -> str | None:
    """One line of JSON; None: there is nothing to keep."""
    made = [_encoded(found) for found in intents]
    return json.dumps(made, separators=(",", ":")) if made else None


def decode(text: str | None) -> tuple[Intent, ...]:
    """What cannot be read was not written by us; it is left out, and told in the log."""
    if not text:
        return ()
    try:
        return tuple(_decoded(found) for found in json.loads(text[: 2 * MAX_BYTES]))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        log.warning("pending_unreadable", characters=len(text))
        return ()


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


def _decoded(document: dict[str, Any]) -> Intent:
    due = document.get("due")
    return Intent(
        str(document["id"]),
        Step(document["step"]),
        tuple(map(str, document["keys"])),
        _time(document["at"]),
        str(document["by"]),
        None if due is None else _time(due),
        tuple(map(str, document.get("kept", ()))),
        document.get("whole") is True,
        document.get("undoable") is True,
    )


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
