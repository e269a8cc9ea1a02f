"""Values that were read a moment ago, in memory, for seconds: bounded in time, number and bytes, and gone on a write.

A value past its seconds may be kept for longer, for the time when its store does not answer; `get` never gives it, `stale` does.
Decides nothing about access: who may have a value is decided for every caller before anyone looks here. Never on disk.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from broker.stores.store import Stored

MAX_ENTRIES = 10_000
ENTRY_BYTES = 512  # what an entry takes besides its value and path: objects, the dictionary's slot


class Key(NamedTuple):
    """One readable thing: a store by its FQN, a path, a version (None: the newest)."""

    store: str
    path: str
    version: str | None


@dataclass(frozen=True, slots=True)
class _Entry:
    stored: Stored
    expires: float
    dies: float
    size: int


class Cache:
    """Least recently used goes first. `seconds` and `stale_seconds` 0, or `max_bytes` 0: holds nothing."""

    def __init__(
        self, seconds: float, max_bytes: int, clock: Callable[[], float], max_entries: int = MAX_ENTRIES, stale_seconds: float = 0.0
    ) -> None:
        self._seconds, self._max_bytes, self._max_entries, self._clock = seconds, max_bytes, max_entries, clock
        self._kept = max(seconds, stale_seconds)
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Stored | None:
        entry = self._living(key)
        if entry is None or entry.expires <= self._clock():
            return None
        self._entries.move_to_end(key)
        return entry.stored

    def stale(self, key: Key) -> Stored | None:
        """The value, also past its seconds: for when the store does not answer."""
        entry = self._living(key)
        return None if entry is None else entry.stored

    def _living(self, key: Key) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.dies <= self._clock():
            self._drop(key)
            return None
        return entry

    def put(self, key: Key, stored: Stored, read_at: float) -> None:
        """`read_at` is when the read began: a value is never served longer than its seconds after the store had it."""
        size = ENTRY_BYTES + len(stored.value) + 2 * len(key.path)
        self._drop(key)
        if size > self._max_bytes or read_at + self._kept <= self._clock():
            return
        self._entries[key] = _Entry(stored, read_at + self._seconds, read_at + self._kept, size)
        self.bytes += size
        while self.bytes > self._max_bytes or len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    def forget(self, store: str, path: str | None = None) -> None:
        """Drop every version of a path, or all of a store."""
        for key in [k for k in self._entries if k.store == store and path in (None, k.path)]:
            self._drop(key)

    def lose(self, key: Key) -> None:
        """The store said something else of it."""
        self._drop(key)

    def expire(self) -> None:
        """Drop what is past its time; otherwise a value that no one asks for again would stay in memory."""
        now = self._clock()
        for key in [k for k, entry in self._entries.items() if entry.dies <= now]:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
