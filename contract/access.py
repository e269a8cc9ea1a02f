"""Who may do what with which secret: the rules that the broker enforces and the webhook tells early.

The default is Deny; only an `Allow` instance opens anything, and it carries the store and the path that it opens. A denial
says nothing about whether the secret exists: group, key and store are looked at only after the role.

role                  | create | edit, delete | reveal | list keys | inject | share
--------------------- | ------ | ------------ | ------ | --------- | ------ | -----
secret-group-admin    | yes    | yes          | yes    | yes       | yes    | yes
secret-group-editor   |        | yes          | yes    | yes       | yes    |
secret-group-viewer   |        |              |        | yes       |        |
secret-group-consumer |        |              |        |           | yes    |
"""

from enum import Enum

from contract.catalog import Catalog
from contract.fqn import ROOT, ManagedSecret, StoreSecret
from contract.record import record
from contract.resources import SecretGroup, SecretStore


class Action(Enum):
    """What a caller wants to do, as the design's table of roles names it."""

    CREATE = "create"
    EDIT = "edit"
    REVEAL = "reveal"
    LIST = "list"
    INJECT = "inject"
    SHARE = "share"


_EDITOR = frozenset({Action.EDIT, Action.REVEAL, Action.LIST, Action.INJECT})
ROLE_ACTIONS: dict[str, frozenset[Action]] = {
    "secret-group-admin": _EDITOR | {Action.CREATE, Action.SHARE},
    "secret-group-editor": _EDITOR,
    "secret-group-viewer": frozenset({Action.LIST}),
    "secret-group-consumer": frozenset({Action.INJECT}),
}


@record
class Allow:
    """Permission to touch one path of one store."""

    store: SecretStore
    path: str


@record
class Deny:
    """No permission. `missing` is set only where the caller has the role and may learn what is wrong: key or store."""

    missing: str | None = None
    misconfigured: bool = False  # the group's store is missing, which its admin must mend, not the caller


Decision = Allow | Deny


def workload_subjects(namespace: str, service_account: str) -> frozenset[str]:
    """The subjects that a pod acts as: its service account, its namespace, and the groups that Kubernetes gives every one."""
    return frozenset(
        {
            f"serviceaccount:{namespace}/{service_account}",
            f"namespace:{namespace}",
            f"user:system:serviceaccount:{namespace}:{service_account}",
            "team:system:serviceaccounts",
            f"team:system:serviceaccounts:{namespace}",
            "team:system:authenticated",
        }
    )


def has_role(subjects: frozenset[str], action: Action, group: str, catalog: Catalog, admins: frozenset[str]) -> bool:
    """Whether any of the subjects may do this in the group. Tenant admins may, in every group; no one may in an unknown one."""
    found = catalog.groups.get(group)
    return found is not None and action in actions_in(subjects, found, admins)


def actions_in(subjects: frozenset[str], group: SecretGroup, admins: frozenset[str]) -> frozenset[Action]:
    """Everything that any of the subjects may do in the group."""
    if not admins.isdisjoint(subjects):
        return ROLE_ACTIONS["secret-group-admin"]
    found: frozenset[Action] = frozenset()
    for subject in group.roles.keys() & subjects:
        for role in group.roles[subject]:
            found |= ROLE_ACTIONS[role]
    return found


def decide(
    subjects: frozenset[str], action: Action, secret: ManagedSecret | StoreSecret, catalog: Catalog, admins: frozenset[str] = frozenset()
) -> Decision:
    """Decide one request.

    secret                              | needed
    ----------------------------------- | ---------------------------------------------------------
    managed                             | our tenant, a role in the group, a key that the group lists
    store path below /tfy-secret/<us>/  | the same role as for the managed secret that lives there
    any other store path                | an allow rule of the store that names subject and path
    """
    if isinstance(secret, ManagedSecret):
        return _decide_managed(subjects, action, secret, catalog, admins)
    store = catalog.stores_by_fqn.get(secret.store)
    if store is None:
        return Deny()
    managed = _managed_at(secret.path, catalog.tenant)
    if managed is not None:
        decision = _decide_managed(subjects, action, managed, catalog, admins)
        return decision if isinstance(decision, Deny) or decision.store.name == store.name else Deny()
    if action is Action.INJECT and any(not rule.subjects.isdisjoint(subjects) and _covers(rule.paths, secret.path) for rule in store.allow):
        return Allow(store, secret.path)
    return Deny()


def _decide_managed(subjects: frozenset[str], action: Action, secret: ManagedSecret, catalog: Catalog, admins: frozenset[str]) -> Decision:
    if secret.tenant != catalog.tenant or not has_role(subjects, action, secret.group, catalog, admins):
        return Deny()
    group = catalog.groups[secret.group]
    if secret.key not in group.keys:
        return Deny(missing=f"group '{group.name}' lists no key '{secret.key}'")
    store = catalog.stores.get(group.store)
    if store is None:
        return Deny(f"SecretStore '{group.store}' of group '{group.name}' does not exist or cannot be used", misconfigured=True)
    return Allow(store, secret.path)


def _managed_at(path: str, tenant: str) -> ManagedSecret | None:
    """The managed secret that lives at a store's path, in any spelling that a lenient store might read as it.

    Without this a store's own allow rule, or its store FQN, would open what a group's roles keep closed. A folder or a deeper
    path below our tenant gives a secret that no group has, which is denied.
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) < 2 or parts[0] != ROOT or parts[1] != tenant:
        return None
    group, _, key = "/".join(parts[2:]).partition("/")
    return ManagedSecret(tenant, group, key)


def _covers(rules: tuple[str, ...], path: str) -> bool:
    return any(path == rule or path.startswith(rule if rule.endswith("/") else rule + "/") for rule in rules)
