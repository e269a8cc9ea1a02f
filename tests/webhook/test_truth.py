"""Early truth: what is wrong with a name is told before the pod exists, and a denial tells nothing else."""

import pytest

from contract.catalog import Catalog
from tests.webhook.pods import (
    KEY,
    MANIFESTS,
    OWN,
    TOKEN,
    Json,
    app,
    cluster,
    container,
    decide,
    env,
    injected,
    key_ref,
    pod,
    refused,
    warned,
)
from webhook.planning import Inject, Reject

A = "spec.containers[app].env[A]: found "


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            "tfy-secret://acme:paymnts:DB_PASSWORD",
            "the unknown group 'paymnts' in 'tfy-secret://acme:paymnts:DB_PASSWORD'; allowed: an existing SecretGroup.\n"
            "To fix: did you mean tfy-secret://acme:payments:DB_PASSWORD?",
            id="unknown-group-that-is-near",
        ),
        pytest.param(
            "tfy-secret://acme:zzz:X",
            "the unknown group 'zzz' in 'tfy-secret://acme:zzz:X'; allowed: an existing SecretGroup.\n"
            "To fix: correct the group's name (kubectl get secretgroups).",
            id="unknown-group",
        ),
        pytest.param(
            "tfy-secret://acme:serch:INDEX_KEY",
            "the unknown group 'serch' in 'tfy-secret://acme:serch:INDEX_KEY'; allowed: an existing SecretGroup.\n"
            "To fix: correct the group's name (kubectl get secretgroups).",
            id="near-a-group-that-the-pod-may-not-use",
        ),
        pytest.param(
            "tfy-secret://acme:payments:DB_PASSWROD",
            "the unknown key 'DB_PASSWROD' in 'tfy-secret://acme:payments:DB_PASSWROD'; allowed: a key that group 'payments' lists.\n"
            "To fix: did you mean DB_PASSWORD? Else add 'DB_PASSWROD' to spec.keys of SecretGroup payments.",
            id="unknown-key-that-is-near",
        ),
        pytest.param(
            "tfy-secret://acme:payments:zzz",
            "the unknown key 'zzz' in 'tfy-secret://acme:payments:zzz'; allowed: a key that group 'payments' lists.\n"
            "To fix: add 'zzz' to spec.keys of SecretGroup payments.",
            id="unknown-key",
        ),
        pytest.param(
            "tfy-secret://globex:payments:DB_PASSWORD",
            "'tfy-secret://globex:payments:DB_PASSWORD'; allowed: the tenant 'acme', which this cluster serves.\n"
            "To fix: write tfy-secret://acme:payments:DB_PASSWORD, if that is meant.",
            id="other-tenant",
        ),
        pytest.param(
            "tfy-secret://acme:orphan:A",
            "'tfy-secret://acme:orphan:A'; allowed: a group with a usable store; SecretStore 'gone' of group 'orphan' does not exist or cannot be "
            "used.\nTo fix: correct spec.store of SecretGroup orphan.",
            id="group-without-its-store",
        ),
        pytest.param(
            "tfy-secret://acme:invalid:A",
            "'tfy-secret://acme:invalid:A'; allowed: a valid SecretGroup; 'invalid' is not.\n"
            "To fix: let its owner mend it: kubectl get secretgroup invalid -o yaml shows why in its status.",
            id="group-that-cannot-be-used",
        ),
        pytest.param(
            "acme/vault/broken::/a",
            "'acme/vault/broken::/a', whose SecretStore cannot be used; allowed: a store that is ready.\n"
            "To fix: let the platform team mend it: kubectl get secretstores shows why.",
            id="store-that-cannot-be-used",
        ),
        pytest.param(
            "acme/aws/ssm-prod::/own/mail/smtp",
            "'acme/aws/ssm-prod::/own/mail/smtp', denied for service account shop/web; allowed: an allow rule of the SecretStore for this path.\n"
            "To fix: ask its admin to allow serviceaccount:shop/web or namespace:shop.",
            id="store-path-without-a-rule",
        ),
        pytest.param(
            "acme/aws/ssm-prod::/tfy-secret/acme/search/INDEX_KEY",
            "'acme/aws/ssm-prod::/tfy-secret/acme/search/INDEX_KEY', denied for service account shop/web; "
            "allowed: an allow rule of the SecretStore for this path.\nTo fix: ask its admin to allow serviceaccount:shop/web or namespace:shop.",
            id="managed-ground-by-a-store-path",
        ),
    ],
)
def test_refused(value: str, message: str) -> None:
    """Each with what is allowed, and a near name where there is one that the pod may use."""
    assert refused(app(A=value)) == [A + message]


@pytest.mark.parametrize("key", ["INDEX_KEY", "INDEX_KE", "NOTHING_LIKE_IT"])
@pytest.mark.parametrize("qualifier", ["", "?optional=true", "?version=3"])
def test_denied_says_nothing_about_existence(key: str, qualifier: str) -> None:
    """The message for a key that exists, one that nearly does and one that does not differs in the name asked for alone."""
    name = f"tfy-secret://acme:search:{key}{qualifier}"
    assert refused(app(A=name)) == [
        (
            f"{A}'{name}', denied for service account shop/web; allowed: a role in group 'search'.\n"
            "To fix: ask its admin to allow serviceaccount:shop/web or namespace:shop."
        )
    ]
    decision = decide(app(A=name))
    assert isinstance(decision, Reject)
    assert [problem.reason.value for problem in decision.problems] == ["denied"]


def test_optional_turns_an_unknown_key_into_a_warning() -> None:
    """The pod starts, its author is told, and the variable is left unset."""
    value = "tfy-secret://acme:payments:NEW_KEY?optional=true"
    assert warned(app(A=value)) == (
        "spec.containers[app].env[A]: group 'payments' lists no key 'NEW_KEY'; the reference is optional, so the variable is left unset",
    )
    assert injected(app(A=value))["spec"]["containers"][0]["env"] == [key_ref("A", optional=True)]


def test_an_unknown_optional_key_inside_text() -> None:
    """The text around it is delivered, so the variable is set."""
    assert warned(app(A="x${tfy-secret://acme:payments:NEW_KEY?optional=true}y")) == (
        "spec.containers[app].env[A]: group 'payments' lists no key 'NEW_KEY'; the reference is optional, so nothing stands in its place",
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("tfy-secret://acme:paymnts:X?optional=true", id="unknown-group"),
        pytest.param("tfy-secret://globex:payments:X?optional=true", id="other-tenant"),
        pytest.param("tfy-secret://acme:search:INDEX_KEY?optional=true", id="denied"),
        pytest.param("tfy-secret://acme:orphan:A?optional=true", id="group-without-its-store"),
    ],
)
def test_optional_forgives_nothing_else(value: str) -> None:
    """A typing error in a group, or a missing role, is no absent secret."""
    assert len(refused(app(A=value))) == 1


@pytest.mark.parametrize(
    ("value", "namespace", "account", "granted"),
    [
        pytest.param(KEY, "shop", "web", True, id="by-namespace"),
        pytest.param(KEY, "jobs", "anyone", True, id="by-another-namespace"),
        pytest.param(KEY, "mail", "web", False, id="no-role"),
        pytest.param(TOKEN, "shop", "web", True, id="by-service-account"),
        pytest.param(TOKEN, "shop", "default", False, id="another-account-of-the-namespace"),
        pytest.param(TOKEN, "other", "web", False, id="the-account-of-another-namespace"),
        pytest.param(OWN, "shop", "default", True, id="store-path-by-namespace"),
        pytest.param(OWN, "mail", "web", False, id="store-path-from-another-namespace"),
    ],
)
def test_who_may(value: str, namespace: str, account: str, granted: bool) -> None:
    """The pod's namespace and service account decide."""
    manifest = app(A=value)
    manifest["spec"]["serviceAccountName"] = account
    assert isinstance(decide(manifest, namespace=namespace), Inject) is granted


@pytest.mark.parametrize(
    ("spec", "account"),
    [
        pytest.param({"serviceAccountName": "web"}, "web", id="by-name"),
        pytest.param({"serviceAccountName": None, "serviceAccount": "web"}, "web", id="by-the-older-field"),
        pytest.param({"serviceAccountName": ""}, "default", id="empty"),
        pytest.param({"serviceAccountName": None}, "default", id="default"),
    ],
)
def test_service_account(spec: Json, account: str) -> None:
    """As the API server fills it in."""
    manifest = pod(container(env=env(A="tfy-secret://acme:search:INDEX_KEY")), **spec)
    assert f"denied for service account shop/{account};" in refused(manifest)[0]


def test_tenant_admins() -> None:
    """A subject that the settings name has every role."""
    where = cluster(admins=frozenset({"namespace:shop"}))
    assert isinstance(decide(app(A="tfy-secret://acme:search:INDEX_KEY"), where), Inject)


def test_every_reference_is_told() -> None:
    """Also the same in several places, since each has to be mended."""
    bad = "tfy-secret://acme:zzz:X"
    manifest = pod(container(env=env(A=bad, B=f"${{{bad}}}${{{bad}}}")), initContainers=[container("one", env=env(C=bad))])
    places = [message.partition(":")[0] for message in refused(manifest)]
    assert places == [
        "spec.initContainers[one].env[C]",
        "spec.containers[app].env[A]",
        "spec.containers[app].env[B]",
        "spec.containers[app].env[B]",
    ]


def test_a_change_of_the_catalog_acts_at_once() -> None:
    """The catalog is looked at for each pod; nothing about it is remembered."""
    catalog = Catalog("acme", MANIFESTS)
    where = cluster(catalog)
    assert isinstance(decide(app(A=KEY), where), Inject)
    catalog.remove("SecretGroup", "payments")
    assert isinstance(decide(app(A=KEY), where), Reject)
