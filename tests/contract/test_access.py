"""Who may do what: the design's table of roles, and the rules of stores' own paths."""

from itertools import product
from typing import Any

import pytest

from contract.access import ROLE_ACTIONS, Action, Allow, Deny, decide, has_role, workload_subjects
from contract.catalog import Catalog
from contract.fqn import ManagedSecret, StoreSecret
from contract.resources import ROLES
from tests.contract.test_resources import group, store

ME, ADMIN = frozenset({"user:me"}), frozenset({"team:platform"})
NOBODY: frozenset[str] = frozenset()
KEY = ManagedSecret("acme", "payments", "A")

# The design's table: create, edit and delete, see values, see keys, have values injected, change collaborators.
TABLE = {
    "secret-group-admin": "create edit reveal list inject share",
    "secret-group-editor": "edit reveal list inject",
    "secret-group-viewer": "list",
    "secret-group-consumer": "inject",
    None: "",
}


def catalog(role: str | None = None, **more: Any) -> Catalog:
    collaborators = [{"role": role, "subject": "user:me"}] if role else []
    return Catalog(
        "acme",
        [
            store("ssm", "acme/aws/ssm", **more),
            store("other", "acme/aws/other", allow=[{"subjects": ["user:me"], "paths": ["/"]}]),
            group("payments", keys=["A"], collaborators=collaborators),
            group("search", keys=["A"]),
            group("broken", keys=["A"], store="gone", collaborators=collaborators),
        ],
    )


@pytest.mark.parametrize(("role", "action"), list(product(TABLE, Action)))
def test_roles(role: str | None, action: Action) -> None:
    """Each role opens exactly its actions in its own group, and nothing in another."""
    known = catalog(role)
    granted = isinstance(decide(ME, action, KEY, known), Allow)
    assert granted == (action.value in TABLE[role].split())
    assert decide(ME, action, ManagedSecret("acme", "search", "A"), known) == Deny()
    assert decide(frozenset({"user:you"}), action, KEY, known) == Deny()


def test_roles_are_those_of_the_manifests() -> None:
    """One list of roles: what a manifest may say is what is decided on."""
    assert set(ROLE_ACTIONS) == set(ROLES) == {role for role in TABLE if role}


def test_an_allow_opens_one_path_of_one_store() -> None:
    """The store of the group, and the fixed path of the key."""
    known = catalog("secret-group-consumer")
    assert decide(ME, Action.INJECT, KEY, known) == Allow(known.stores["ssm"], "/tfy-secret/acme/payments/A")


@pytest.mark.parametrize("action", list(Action))
def test_tenant_admins(action: Action) -> None:
    """They have every role in every group, by any of their subjects, but none in a group that does not exist."""
    known = catalog()
    subjects = frozenset({"user:root", "team:platform"})
    assert isinstance(decide(subjects, action, KEY, known, ADMIN), Allow)
    assert decide(subjects, action, ManagedSecret("acme", "unknown", "A"), known, ADMIN) == Deny()
    assert decide(ME, action, KEY, known, ADMIN) == Deny()
    assert not has_role(subjects, action, "unknown", known, ADMIN)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(ManagedSecret("acme", "search", "A"), id="key-that-exists"),
        pytest.param(ManagedSecret("acme", "search", "NO"), id="key-that-does-not"),
        pytest.param(ManagedSecret("acme", "unknown", "A"), id="group-that-does-not"),
        pytest.param(ManagedSecret("other", "payments", "A"), id="other-tenant"),
        pytest.param(StoreSecret("acme/aws/ssm", "/own/path"), id="path-without-a-rule"),
        pytest.param(StoreSecret("acme/aws/unknown", "/own/path"), id="store-that-does-not-exist"),
        pytest.param(StoreSecret("acme/aws/ssm", "/tfy-secret/acme/search/NO"), id="managed-path"),
    ],
)
def test_a_denial_says_nothing(secret: ManagedSecret | StoreSecret) -> None:
    """Without a role all look alike, whether group, key and store exist or not."""
    assert all(decide(ME, action, secret, catalog("secret-group-admin")) == Deny() for action in Action)


@pytest.mark.parametrize(
    ("secret", "missing", "misconfigured"),
    [
        pytest.param(ManagedSecret("acme", "payments", "B"), "group 'payments' lists no key 'B'", False, id="key"),
        pytest.param(
            ManagedSecret("acme", "broken", "A"),
            "SecretStore 'gone' of group 'broken' does not exist or cannot be used",
            True,
            id="store",
        ),
    ],
)
def test_who_has_the_role_learns_what_is_missing(secret: ManagedSecret, missing: str, misconfigured: bool) -> None:
    """A member of the group may know which of its parts is not there, and whether its operator must act; others may not."""
    assert decide(ME, Action.INJECT, secret, catalog("secret-group-consumer")) == Deny(missing, misconfigured)
    assert decide(ME, Action.REVEAL, secret, catalog("secret-group-consumer")) == Deny()


@pytest.mark.parametrize(
    ("rule", "path", "granted"),
    [
        pytest.param("/mail/", "/mail/key", True, id="below-a-folder"),
        pytest.param("/mail/", "/mail/a/b", True, id="deep-below"),
        pytest.param("/mail", "/mail/key", True, id="folder-without-slash"),
        pytest.param("/mail", "/mail", True, id="the-path-itself"),
        pytest.param("/mail/", "/mail", False, id="not-the-folder-by-another-name"),
        pytest.param("/mail", "/mailbox", False, id="prefix-inside-a-segment"),
        pytest.param("/mail/k", "/mail/key", False, id="prefix-inside-the-last-segment"),
        pytest.param("/mail/", "mail/key", False, id="without-its-leading-slash"),
        pytest.param("/mail/", "//mail/key", False, id="two-leading-slashes"),
        pytest.param("mail", "mail/key", True, id="store-without-leading-slashes"),
        pytest.param("/", "/anything", True, id="all-of-a-store"),
        pytest.param("/mail/", "/MAIL/key", False, id="other-case"),
    ],
)
def test_store_paths(rule: str, path: str, granted: bool) -> None:
    """A rule opens its path and what is below it, at segment borders, for injection alone."""
    known = catalog(allow=[{"subjects": ["user:me"], "paths": [rule]}])
    secret = StoreSecret("acme/aws/ssm", path)
    expected = Allow(known.stores["ssm"], path) if granted else Deny()
    assert decide(ME, Action.INJECT, secret, known) == expected
    assert decide(frozenset({"user:you"}), Action.INJECT, secret, known) == Deny()
    assert all(decide(ME, action, secret, known) == Deny() for action in Action if action is not Action.INJECT)
    assert decide(ME | ADMIN, Action.EDIT, secret, known, ADMIN) == Deny()


def test_a_rule_is_one_of_several() -> None:
    """Any rule that names subject and path opens it; subject and path of different rules do not add up."""
    rules = [{"subjects": ["user:me"], "paths": ["/a", "/b"]}, {"subjects": ["user:you"], "paths": ["/c"]}]
    known = catalog(allow=rules)
    granted = [isinstance(decide(ME, Action.INJECT, StoreSecret("acme/aws/ssm", p), known), Allow) for p in ("/a", "/b/x", "/c")]
    assert granted == [True, True, False]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/tfy-secret/acme/payments/A", id="as-it-is"),
        pytest.param("tfy-secret/acme/payments/A", id="without-leading-slash"),
        pytest.param("//tfy-secret//acme/payments///A/", id="more-slashes"),
    ],
)
@pytest.mark.parametrize("role", list(TABLE))
def test_managed_ground_needs_the_groups_role(path: str, role: str | None) -> None:
    """A store's own rule opens nothing below /tfy-secret/<tenant>/: there the group's roles decide, in any spelling of the path."""
    known = catalog(role, allow=[{"subjects": ["user:me"], "paths": ["/", "tfy-secret", "//"]}])
    for action in Action:
        granted = decide(ME, action, StoreSecret("acme/aws/ssm", path), known)
        assert granted == decide(ME, action, KEY, known)
        assert isinstance(granted, Allow) == (action.value in TABLE[role].split())


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/tfy-secret/acme", id="the-tenants-folder"),
        pytest.param("/tfy-secret/acme/payments", id="the-groups-folder"),
        pytest.param("/tfy-secret/acme/payments/A/B", id="below-a-key"),
        pytest.param("/tfy-secret/acme//A", id="without-a-group"),
    ],
)
def test_managed_ground_holds_only_keys(path: str) -> None:
    """Folders and deeper paths below our tenant are nobody's, whatever a rule says, and also for tenant admins."""
    known = catalog("secret-group-admin", allow=[{"subjects": ["user:me"], "paths": ["/"]}])
    found = [decide(ME | ADMIN, action, StoreSecret("acme/aws/ssm", path), known, ADMIN) for action in Action]
    assert not any(isinstance(decision, Allow) for decision in found)


def test_a_managed_path_of_another_store_is_denied() -> None:
    """The key lives in its group's store; at the same path of another store something else may lie."""
    known = catalog("secret-group-admin")
    path = "/tfy-secret/acme/payments/A"
    assert decide(ME, Action.INJECT, StoreSecret("acme/aws/other", path), known) == Deny()


def test_other_tenants_ground_is_a_plain_path() -> None:
    """What another installation keeps in the same store follows the store's rules."""
    known = catalog()
    assert isinstance(decide(ME, Action.INJECT, StoreSecret("acme/aws/other", "/tfy-secret/globex/x/Y"), known), Allow)


def test_what_a_pod_acts_as() -> None:
    """Its service account, its namespace, and what Kubernetes' own tokens say of every service account."""
    assert workload_subjects("shop", "web") == {
        "serviceaccount:shop/web",
        "namespace:shop",
        "user:system:serviceaccount:shop:web",
        "team:system:serviceaccounts",
        "team:system:serviceaccounts:shop",
        "team:system:authenticated",
    }
