"""The webhook's configuration and the backstop, as the design has them. What their CEL does, tests/e2e asks a real API server."""

from contract import keys
from contract.fqn import SCHEME
from tests.manifests.built import NAMESPACE, one


def test_the_webhook_fails_closed_and_only_for_pods_of_labelled_namespaces() -> None:
    configuration = one("base", "MutatingWebhookConfiguration", "tfy-secret-webhook")
    (webhook,) = configuration["webhooks"]
    assert webhook["name"] == "pods.tfy-secret.dev"
    assert webhook["failurePolicy"] == "Fail"
    assert webhook["reinvocationPolicy"] == "IfNeeded"
    assert webhook["sideEffects"] == "None"
    assert webhook["matchPolicy"] == "Equivalent"
    assert webhook["timeoutSeconds"] == 5
    assert webhook["admissionReviewVersions"] == ["v1"]
    assert webhook["rules"] == [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}
    ]
    assert webhook["namespaceSelector"]["matchExpressions"] == [
        {"key": keys.INJECT_LABEL, "operator": "In", "values": [keys.INJECT_ENABLED]},
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", NAMESPACE]},
    ]
    assert webhook["objectSelector"]["matchExpressions"] == [
        {"key": keys.INJECT_LABEL, "operator": "NotIn", "values": [keys.INJECT_DISABLED]}
    ]
    assert webhook["clientConfig"] == {"service": {"name": "tfy-secret-webhook", "namespace": NAMESPACE, "path": "/mutate", "port": 443}}


def test_what_the_condition_seeks_is_part_of_every_reference() -> None:
    """Its ten characters cost half of the scheme's thirteen, so they must stand in the scheme."""
    (condition,) = one("base", "MutatingWebhookConfiguration", "tfy-secret-webhook")["webhooks"][0]["matchConditions"]
    assert "'-secret://'" in condition["expression"]
    assert "-secret://" in SCHEME
    assert f"'{keys.PREFIX}'" in condition["expression"]


def test_a_pod_that_has_our_init_container_is_seen_again() -> None:
    """After our own patch no env value holds a reference; without this a reinvocation would pass the webhook by."""
    (condition,) = one("base", "MutatingWebhookConfiguration", "tfy-secret-webhook")["webhooks"][0]["matchConditions"]
    assert f"container.name == '{keys.INIT_CONTAINER}'" in condition["expression"]


def test_the_backstop_denies_in_every_labelled_namespace() -> None:
    policy = one("base", "ValidatingAdmissionPolicy", "tfy-secret-backstop")["spec"]
    binding = one("base", "ValidatingAdmissionPolicyBinding", "tfy-secret-backstop")["spec"]
    assert policy["failurePolicy"] == "Fail"
    assert policy["matchConstraints"]["namespaceSelector"] == {"matchLabels": {keys.INJECT_LABEL: keys.INJECT_ENABLED}}
    assert [(r["operations"], r["resources"]) for r in policy["matchConstraints"]["resourceRules"]] == [
        (["CREATE"], ["pods"]),
        (["UPDATE"], ["pods/ephemeralcontainers"]),
    ]
    assert binding == {"policyName": "tfy-secret-backstop", "validationActions": ["Deny"]}
    assert f"'{SCHEME}'" in policy["variables"][1]["expression"]
