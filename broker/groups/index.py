"""What this replica knows of all groups without a call, for lists and searches: fed by the catalog's observer.

Decides nothing about access. Rules are in the catalog; here is what the catalog leaves out (who made a group, when, what is pending), and
the last few states of each group, so that a conflict can say what changed. Whoever wrote waits here until the watch has seen it.
"""

import asyncio
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from broker.groups.held import Held, Manifest, last_change
from broker.groups.model import Collaborator
from contract.catalog import GROUP, Catalog
from contract.resources import SecretGroup

SEEN_SECONDS = 1.0  # a watch is milliseconds behind; longer than this the next request may see the former state
STATES = 16  # of one group: that many edits may be made while someone looks at a form
STATES_OF = 2000  # groups whose former states are kept


@dataclass(frozen=True, slots=True)
class State:
    """What people could see of a group at one version."""

    version: str
    keys: tuple[str, ...]
    collaborators: tuple[Collaborator, ...]


class Index:
    """Names sorted; every look-up is a dictionary access."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._held: dict[str, Held] = {}
        self._names: list[str] = []
        self._texts: dict[str, tuple[SecretGroup, str]] = {}
        self._states: dict[str, deque[State]] = {}
        self._waiting: dict[str, list[asyncio.Event]] = {}

    def put(self, held: Held) -> None:
        known = self._held.get(held.name)
        if known is None:
            insort(self._names, held.name)
        elif (known.version, known.uid) != (held.version, held.uid):
            self._keep(known)
        self._held[held.name] = held
        self._wake(held.name)

    def remember(self, name: str, activity: tuple[Manifest, ...]) -> None:
        """What people did with a group, where no watch brings it."""
        known = self._held.get(name)
        if known is not None:
            self._held[name] = replace(known, activity=activity, updated=last_change(activity) or known.updated)

    def remove(self, name: str) -> None:
        known = self._held.pop(name, None)
        if known is not None:
            self._keep(known)
            del self._names[bisect_left(self._names, name)]
            self._texts.pop(name, None)
        self._wake(name)

    def held(self, name: str) -> Held | None:
        return self._held.get(name)

    def names(self) -> list[str]:
        """Sorted."""
        return self._names

    def pending(self) -> list[str]:
        return [name for name, held in self._held.items() if held.pending]

    def text(self, name: str) -> str:
        """What a search looks through, in lower case. Made when first searched."""
        group = self._held[name].group
        known = self._texts.get(name)
        if known is None or known[0] is not group:
            store = self._catalog.stores.get(group.store)
            words = "\n".join((name, group.store, store.fqn if store else "", *group.keys)).lower()
            known = self._texts[name] = (group, words)
        return known[1]

    def state(self, name: str, version: str) -> State | None:
        """A former state, if it is still remembered."""
        return next((state for state in self._states.get(name, ()) if state.version == version), None)

    def keep(self, held: Held) -> None:
        """Someone looks at this state and may come back with its version."""
        self._keep(held)

    def _keep(self, held: Held) -> None:
        states = self._states.pop(held.name, None) or deque(maxlen=STATES)
        if all(state.version != held.version for state in states):
            states.append(State(held.version, held.keys, held.collaborators))
        self._states[held.name] = states  # the last in the dictionary: the first one goes when there are too many
        if len(self._states) > STATES_OF:
            del self._states[next(iter(self._states))]

    async def seen(self, name: str, mark: str) -> None:
        """Wait until the watch has brought this resourceVersion of a group, or a later one."""
        await self._until(name, lambda: (found := self._held.get(name)) is not None and _reached(found.mark, mark))

    async def gone(self, name: str, uid: str) -> None:
        await self._until(name, lambda: (found := self._held.get(name)) is None or found.uid != uid)

    async def _until(self, name: str, met: Callable[[], bool]) -> None:
        event = asyncio.Event()
        self._waiting.setdefault(name, []).append(event)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(SEEN_SECONDS):
                    while not met():
                        event.clear()
                        await event.wait()
        finally:
            waiting = self._waiting[name]
            waiting.remove(event)
            if not waiting:
                del self._waiting[name]

    def _wake(self, name: str) -> None:
        for event in self._waiting.get(name, ()):
            event.set()


class Follower:
    """The catalog's observer: keeps an Index in step. `read` may raise ResourceError, and then the group is in nobody's list."""

    def __init__(self, index: Index, catalog: Catalog, read: Callable[[Manifest], Held]) -> None:
        self._index, self._catalog, self._read = index, catalog, read

    def __call__(self, kind: str, name: str, manifest: Manifest | None) -> None:
        if kind != GROUP:
            return
        if manifest is None or name not in self._catalog.groups:
            self._index.remove(name)
        else:
            self._index.put(self._read(manifest))


def _reached(found: str, wanted: str) -> bool:
    """resourceVersions of one object are numbers that grow (promised since Kubernetes 1.35, true before)."""
    return found == wanted or (found.isdecimal() and wanted.isdecimal() and int(found) >= int(wanted))
