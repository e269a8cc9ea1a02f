"""What people did with a group lately, kept where every replica sees it: the last 100 entries, at most 24 KiB a group.

For people to look at, and to say who made which version. The audit log is the record: it is written first, and what cannot be added
here is only logged. A workload's reads are not here: a restart of 500 pods would push out everything else.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from broker.groups.held import time_of
from broker.groups.model import ACTIONS, Activity
from contract.fqn import shorten

MAX_ENTRIES = 100
MAX_LOOKS = 50  # as soon as there are more entries than that: a script that reads every value each hour hides no change
MAX_BYTES = 24 * 1024  # 5,000 groups that are all full are 120 MB in etcd; most have a few entries
_MAX_TEXT = 320  # characters of one field: a key is at most 253, a user's name rarely above 100
_OPTIONAL = ("key", "version", "source", "detail")


def encode(entry: Activity) -> dict[str, str]:
    document = {"time": entry.time.isoformat(timespec="milliseconds"), "who": shorten(entry.who, _MAX_TEXT), "action": entry.action}
    for name in _OPTIONAL:
        value = getattr(entry, name)
        if value is not None:
            document[name] = shorten(value, _MAX_TEXT)
    return document


def decode(entries: Sequence[Mapping[str, Any]]) -> tuple[Activity, ...]:
    """Newest first; what is no entry of ours is left out."""
    found = []
    for entry in entries:
        time, who, action = time_of(entry.get("time")), entry.get("who"), entry.get("action")
        if time is None or not isinstance(who, str) or action not in ACTIONS:
            continue
        more = {name: value for name in _OPTIONAL if isinstance(value := entry.get(name), str)}
        found.append(Activity(time, who, str(action), **more))
    found.reverse()  # of two at the same time the later one was added later
    return tuple(sorted(found, key=lambda entry: entry.time, reverse=True))


def merged(before: Iterable[Mapping[str, Any]], added: Iterable[Activity]) -> list[Mapping[str, Any]]:
    """Oldest first, within the bounds: of many looks at values the oldest go, then the oldest of all."""
    entries = [*(entry for entry in before if isinstance(entry, Mapping)), *map(encode, added)]
    looks = [n for n, entry in enumerate(entries) if entry.get("action") == "reveal"]
    gone = set(looks[: max(0, min(len(entries) - MAX_ENTRIES, len(looks) - MAX_LOOKS))])
    entries = [entry for n, entry in enumerate(entries) if n not in gone][-MAX_ENTRIES:]
    size = 0
    for index in range(len(entries) - 1, -1, -1):
        size += sum(len(str(name)) + 8 + len(str(value).encode(errors="replace")) for name, value in entries[index].items())
        if size > MAX_BYTES:
            return entries[index + 1 :]
    return entries
