"""The stores and groups that an installation has, by name: what the webhook and the broker know without a call.

Kept up to date by whoever watches (`service.catalog`); looked at by `access`. Names and rules only. A manifest that cannot be
used is remembered with its problem, so that a reference to it is refused with the reason and not as unknown.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from contract.resources import ResourceError, SecretGroup, SecretStore, parse_group, parse_store

Kind = str
STORE, GROUP = "SecretStore", "SecretGroup"


class Catalog:
    """Mutable by `put` and `remove` alone; every look-up is a dictionary access."""

    def __init__(self, tenant: str, manifests: Iterable[Mapping[str, Any]] = ()) -> None:
        self.tenant = tenant
        self.changes = 0  # grows with each one: what was concluded from the catalog holds as long as it stands still
        self.stores: dict[str, SecretStore] = {}
        self.groups: dict[str, SecretGroup] = {}
        self.stores_by_fqn: dict[str, SecretStore] = {}
        # Also those of stores that cannot be used: their references must be refused, not taken for plain text.
        self.store_fqns: frozenset[str] = frozenset()
        self._claimed: dict[str, str] = {}
        self.problems: dict[tuple[Kind, str], tuple[str, ...]] = {}
        for manifest in manifests:
            self.put(manifest)

    def put(self, manifest: Mapping[str, Any]) -> None:
        """Add or replace the object of that kind and name. One that is as it was (its status alone is new) is no change."""
        kind = manifest.get("kind")
        name = str(_field(manifest, "metadata", "name"))
        try:
            if kind == STORE:
                store = parse_store(manifest)
                if self.stores.get(name) == store:
                    return
                self.stores[name] = store
            elif kind == GROUP:
                group = parse_group(manifest)
                if self.groups.get(name) == group:
                    return
                self.groups[name] = group
            self.problems.pop((str(kind), name), None)
        except ResourceError as error:
            self._forget(str(kind), name)
            self.problems[str(kind), name] = tuple(error.problems)
        self.changes += 1
        if kind == STORE:
            self._claimed[name] = str(_field(manifest, "spec", "fqn"))
            self._index_stores()

    def remove(self, kind: Kind, name: str) -> None:
        self.changes += 1
        self._forget(kind, name)
        self.problems.pop((kind, name), None)
        if kind == STORE:
            self._claimed.pop(name, None)
            self._index_stores()

    def _forget(self, kind: Kind, name: str) -> None:
        (self.stores if kind == STORE else self.groups).pop(name, None)

    def _index_stores(self) -> None:
        """Index by FQN. Two stores of one FQN: neither answers for it, since either could be the wrong one."""
        self.stores_by_fqn = {}
        self.store_fqns = frozenset(self._claimed.values())
        by_fqn: dict[str, list[SecretStore]] = {}
        for store in self.stores.values():
            by_fqn.setdefault(store.fqn, []).append(store)
        for key in [k for k, sentences in self.problems.items() if k[0] == STORE and k[1] in self.stores and sentences]:
            del self.problems[key]
        for fqn, stores in by_fqn.items():
            if len(stores) == 1:
                self.stores_by_fqn[fqn] = stores[0]
                continue
            names = ", ".join(sorted(store.name for store in stores))
            for store in stores:
                self.problems[STORE, store.name] = (f"spec.fqn: '{fqn}' is given by several SecretStores ({names}); give each its own",)


def _field(manifest: Mapping[str, Any], part: str, name: str) -> Any:
    holder = manifest.get(part)
    return holder.get(name) if isinstance(holder, Mapping) else None
