"""What changed in a group between what somebody looked at and what is there now, in sentences; and by whom, when that is known."""

from collections.abc import Iterable, Sequence

from broker.errors import Conflict
from broker.groups.held import Held
from broker.groups.index import State
from broker.groups.model import Activity, Collaborator

_SHOWN = 20  # sentences; more are counted


def conflict(name: str, before: State | None, now: Held, activity: Sequence[Activity]) -> Conflict:
    """`before` None: that state is not remembered, so only what people did lately can be told. `activity` newest first."""
    if before is not None:
        changes = tuple(_changes(before, now, activity))
    else:
        changes = tuple(f"{_time(entry)}: {entry.who}: {entry.action} {entry.key or ''}".rstrip() for entry in activity[:5])
    told = changes[:_SHOWN] + ((f"and {len(changes) - _SHOWN} more changes",) if len(changes) > _SHOWN else ())
    what = f": {'; '.join(told)}" if told else ""
    return Conflict(f"secret group '{name}' was changed since you looked{what}. To fix: look again, then change it", told, now.shown)


def saved_conflict(now: Held, entries: Sequence[Activity]) -> Conflict:
    """`entries`: values of it that were saved since, oldest first."""
    changes = tuple(f"{_version(entry)} of '{entry.key}' was saved by {entry.who} at {_time(entry)}" for entry in entries)[-_SHOWN:]
    return Conflict(f"{'; '.join(changes)} since you looked. To fix: look again, then change it", changes, now.shown)


def share_detail(before: Iterable[Collaborator], after: Iterable[Collaborator]) -> str | None:
    """What changed among collaborators, for the group's activity; None: nothing."""
    return "; ".join(_shared(tuple(before), tuple(after))) or None


def _changes(before: State, now: Held, activity: Sequence[Activity]) -> Iterable[str]:
    for key in now.keys:
        if key not in before.keys:
            yield f"key '{key}' was added{_by(activity, ('create', 'undo'), key)}"
    for key in before.keys:
        if key not in now.keys:
            yield f"key '{key}' was deleted{_by(activity, ('delete',), key)}"
    by = _by(activity, ("share",), None)
    for sentence in _shared(before.collaborators, now.collaborators):
        yield sentence + by


def _shared(before: Sequence[Collaborator], after: Sequence[Collaborator]) -> Iterable[str]:
    for found in after:
        if found not in before:
            yield f"{found.subject} became {found.role}"
    for found in before:
        if found not in after:
            yield f"{found.subject} is no longer {found.role}"


def _by(activity: Sequence[Activity], actions: Sequence[str], key: str | None) -> str:
    entry = next((entry for entry in activity if entry.action in actions and entry.key == key), None)
    return "" if entry is None else f" by {entry.who} at {_time(entry)}"


def _version(entry: Activity) -> str:
    return "a new version" if entry.version is None else f"version {entry.version}"


def _time(entry: Activity) -> str:
    return entry.time.strftime("%H:%M:%S UTC")
