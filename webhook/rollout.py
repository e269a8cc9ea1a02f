"""What was found in a container's env a moment ago: the pods of a rollout are alike, and each would be read anew.

A container is the same if its env entries, its place in the pod and the known stores are. Only what nothing was wrong with is
remembered, and only of the first call for a pod. Bounded: by number, and each by the length of what its author wrote.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from contract.plan import EnvDelivery
from webhook.patch import Op
from webhook.pod import EnvVar
from webhook.reference import EnvReference

MAX_KNOWN = 128
MAX_ENTRIES = 128  # comparing more than these costs as much as reading them
MAX_CHARACTERS = 16 * 1024  # of one env: a full memory is some 4 MiB with what was made of them


@dataclass(slots=True)
class Delivery:
    """How a mode delivers the references to a container that gets its first ones. Its parts are never changed.

    `plan` is the whole plan of a pod in which this is all there is, and for which broker and CA it was made.
    """

    env: tuple[EnvDelivery, ...]
    paths: frozenset[str]
    operations: tuple[Op, ...]
    plan: tuple[str, str, str] | None = None


@dataclass(slots=True)
class KnownEnv:
    """The references of one env. `delivery` is filled in by mode envfile, for which it depends on nothing else."""

    references: tuple[EnvReference, ...]
    number: int  # of the secrets that they name
    managed: int  # how many of them are managed
    delivery: Delivery | None = None

    @classmethod
    def of(cls, references: tuple[EnvReference, ...]) -> Self:
        found = [reference.found for reference in references]
        return cls(references, sum(len(f.template.fqns) for f in found), sum(f.managed for f in found))


def _characters(entry: EnvVar) -> int:
    """All that its author may make long: nobody has checked the pod yet."""
    size = len(entry.name) + len(entry.value or "")
    if entry.valueFrom is not None:
        file, config_map = entry.valueFrom.fileKeyRef, entry.valueFrom.configMapKeyRef
        size += len((file and file.volumeName) or "")
        size += len((config_map and config_map.name) or "") + len((config_map and config_map.key) or "")
    return size


Key = tuple[str, int, str, bool, frozenset[str], tuple[EnvVar, ...]]


class KnownEnvs:
    """Least recently used goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, KnownEnv] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[KnownEnv]:
        return iter(self._known.values())

    def get(self, key: Key) -> KnownEnv | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def remember(self, key: Key, known: KnownEnv) -> bool:
        """False: it is too large to keep."""
        if len(key[2]) + sum(map(_characters, key[-1])) > MAX_CHARACTERS:
            return False
        self._known[key] = known
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return True
