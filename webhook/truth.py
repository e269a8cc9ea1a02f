"""Early truth: what the webhook knows about a reference at admission, told before the pod exists.

reference to                    | told
------------------------------- | ---------------------------------------------------------------
another tenant                  | which tenant is served here
an unknown group                | unknown, with a near name among the groups that the pod may use
a group without a role for it   | denied, and nothing about the key
a key that the group lacks      | unknown, with a near name; a warning with `?optional=true`
a store path without a rule     | denied
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from contract.access import Action, Deny, decide, has_role, workload_subjects
from contract.catalog import GROUP, Catalog
from contract.fqn import SCHEME, Fqn, ManagedSecret
from webhook.problem import Problem, Reason, nearest


MAX_FINE = 2048  # values that are remembered for one workload
MAX_WORKLOADS = 512
MAX_VALUE = 1024  # characters of a value that is remembered
MAX_REMEMBERED = 8 * 1024 * 1024  # characters of all workloads together: a workload has a few dozen values
OVERHEAD = 128  # of each, in characters: objects


@dataclass(slots=True)
class Size:
    """How much is remembered, in characters."""

    taken: int = 0


@dataclass(frozen=True, slots=True)
class Truth:
    """The catalog as one workload may see it."""

    catalog: Catalog
    subjects: frozenset[str]
    admins: frozenset[str]
    who: str
    _fine: set[tuple[str, ...]] = field(default_factory=set)  # parts of values whose references this workload gets
    _size: Size = field(default_factory=Size)

    @classmethod
    def of_workload(
        cls, catalog: Catalog, admins: frozenset[str], namespace: str, service_account: str, size: Size | None = None
    ) -> "Truth":
        who = f"{namespace}/{service_account}"
        return cls(catalog, workload_subjects(namespace, service_account), admins, who, _size=size or Size())

    def knows(self, parts: tuple[str, ...]) -> bool:
        """Whether every reference of the value was checked before, and found fine."""
        return parts in self._fine

    def remember(self, parts: tuple[str, ...]) -> None:
        """Short values alone: the text around a reference is as long as its author likes."""
        length = sum(map(len, parts))
        if length > MAX_VALUE:
            return
        if len(self._fine) >= MAX_FINE:
            self._fine.clear()
        self._fine.add(parts)
        self._size.taken += length + OVERHEAD

    def check(self, place: str, fqn: Fqn, absent: str) -> Problem | str | None:
        """A problem, a warning, or None: as far as names and rules tell, the pod will get this.

        `absent` is what becomes of an optional reference to nothing.
        """
        decision = decide(self.subjects, Action.INJECT, fqn.secret, self.catalog, self.admins)
        if not isinstance(decision, Deny):
            return None
        if not isinstance(fqn.secret, ManagedSecret):
            if fqn.secret.store not in self.catalog.stores_by_fqn:
                fix = "let the platform team mend it: kubectl get secretstores shows why"
                return Problem(place, Reason.STORE_UNUSABLE, f"'{fqn}', whose SecretStore cannot be used", "a store that is ready", fix)
            return self._denied(place, fqn, "an allow rule of the SecretStore for this path")
        told = self._managed(place, fqn, fqn.secret, decision)
        if fqn.optional and isinstance(told, Problem) and told.reason is Reason.UNKNOWN_KEY:
            return f"{place}: {decision.missing}; the reference is optional, so {absent}"
        return told

    def _managed(self, place: str, fqn: Fqn, secret: ManagedSecret, decision: Deny) -> Problem:
        found = f"'{fqn}'"
        if secret.tenant != self.catalog.tenant:
            fix = f"write {SCHEME}{self.catalog.tenant}:{secret.group}:{secret.key}, if that is meant"
            return Problem(place, Reason.OTHER_TENANT, found, f"the tenant '{self.catalog.tenant}', which this cluster serves", fix)
        if (GROUP, secret.group) in self.catalog.problems:
            fix = f"let its owner mend it: kubectl get secretgroup {secret.group} -o yaml shows why in its status"
            return Problem(place, Reason.STORE_UNUSABLE, found, f"a valid SecretGroup; '{secret.group}' is not", fix)
        if secret.group not in self.catalog.groups:
            return Problem(
                place,
                Reason.UNKNOWN_GROUP,
                f"the unknown group '{secret.group}' in {found}",
                "an existing SecretGroup",
                self._near_group(secret),
            )
        if decision.missing is None:
            return self._denied(place, fqn, f"a role in group '{secret.group}'")
        return self._missing(place, fqn, secret, decision)

    def _missing(self, place: str, fqn: Fqn, secret: ManagedSecret, decision: Deny) -> Problem:
        group, missing = self.catalog.groups[secret.group], decision.missing
        if decision.misconfigured:
            return Problem(
                place,
                Reason.STORE_UNUSABLE,
                f"'{fqn}'",
                f"a group with a usable store; {missing}",
                f"correct spec.store of SecretGroup {group.name}",
            )
        near = nearest(secret.key, group.keys)
        meant = f"did you mean {near}? Else add" if near else "add"
        fix = f"{meant} '{secret.key}' to spec.keys of SecretGroup {group.name}"
        return Problem(
            place, Reason.UNKNOWN_KEY, f"the unknown key '{secret.key}' in '{fqn}'", f"a key that group '{group.name}' lists", fix
        )

    def _near_group(self, secret: ManagedSecret) -> str:
        mine = [name for name in self.catalog.groups if has_role(self.subjects, Action.INJECT, name, self.catalog, self.admins)]
        near = nearest(secret.group, mine)
        return (
            f"did you mean {SCHEME}{secret.tenant}:{near}:{secret.key}?" if near else "correct the group's name (kubectl get secretgroups)"
        )

    def _denied(self, place: str, fqn: Fqn, needed: str) -> Problem:
        namespace, _, account = self.who.partition("/")
        fix = f"ask its admin to allow serviceaccount:{namespace}/{account} or namespace:{namespace}"
        return Problem(place, Reason.DENIED, f"'{fqn}', denied for service account {self.who}", needed, fix)


class Truths:
    """The truth of each workload, kept until the catalog changes: a rollout asks the same of it a thousand times.

    All of it is forgotten where it becomes too much: names and values are an author's, and nobody has checked the pod yet.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Truth] = OrderedDict()
        self._of: tuple[Catalog, int, frozenset[str]] | None = None
        self._size = Size()

    def of_workload(self, catalog: Catalog, admins: frozenset[str], namespace: str, service_account: str) -> Truth:
        if self._of != (now := (catalog, catalog.changes, admins)) or self._size.taken > MAX_REMEMBERED:
            self._known.clear()
            self._of, self._size = now, Size()
        key = (namespace, service_account)
        truth = self._known.get(key)
        if truth is None:
            truth = self._known[key] = Truth.of_workload(catalog, admins, namespace, service_account, self._size)
            self._size.taken += OVERHEAD + 8 * (len(namespace) + len(service_account))  # in each of its subjects
            if len(self._known) > MAX_WORKLOADS:
                self._known.popitem(last=False)
        return truth
