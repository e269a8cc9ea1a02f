"""Which values were saved since somebody looked: the last part of a group's version, so that an editor of a value learns of another's.

`<version>-<mark>`. The version moves with keys and collaborators. The mark is of the last entry in the group's activity that saved a value;
it is found again there, whatever the clocks of two replicas say, and what stands after it was saved since. One that is too old to be
there still may have been followed by all that is: then the editor of such a key is asked to look again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]
WRITES = ("create", "edit", "restore")  # activities that make a version
_NONE = "0"


def version_of(version: str, activity: Sequence[Entry]) -> str:
    """As people get it and give it back. `activity` oldest first, as it is kept."""
    saved = _saved(activity)
    return f"{version}-{_mark(saved[-1]) if saved else _NONE}"


def parts_of(given: str) -> tuple[str, str]:
    version, _, mark = given.rpartition("-")
    return version, mark


def saved_since(activity: Sequence[Entry], mark: str) -> list[Entry]:
    saved = _saved(activity)
    last = next((n for n in range(len(saved) - 1, -1, -1) if _mark(saved[n]) == mark), -1)
    return saved[last + 1 :]


def _saved(activity: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in activity if entry.get("action") in WRITES]


def _mark(entry: Entry) -> str:
    told = "\n".join(str(entry.get(name)) for name in ("time", "who", "action", "key", "version"))
    return hashlib.sha256(told.encode(errors="replace")).hexdigest()[:8]
