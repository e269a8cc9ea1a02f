"""What our own pods may do: Pod Security "restricted", a read-only root, and exactly the rights that are written here."""

from typing import Any

import pytest

from webhook.registry.pull_secrets import OVERLAY
from tests.manifests.built import ADDITION, INSTALLABLE, NAMESPACE, built, deployments, one

READ = ["get", "list", "watch"]
OURS = {"apiGroups": ["tfy-secret.dev"], "resources": ["secretstores", "secretgroups"], "verbs": READ}
CERTIFICATES = [
    ("ClusterRole", "tfy-secret-webhook-certificates", [
        {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["mutatingwebhookconfigurations"],
         "resourceNames": ["tfy-secret-webhook"], "verbs": ["get", "patch"]},
    ]),
    ("Role", "tfy-secret-webhook-certificates", [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "update", "patch"],
         "resourceNames": ["tfy-secret-ca", "tfy-secret-webhook-tls", "tfy-secret-broker-tls"]},
    ]),
]  # fmt: skip
ALWAYS = [
    ("ClusterRole", "tfy-secret-broker", [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": READ},
        OURS,
        {"apiGroups": ["tfy-secret.dev"], "resources": ["secretstores/status", "secretgroups/status"], "verbs": ["patch"]},
        {"apiGroups": ["tfy-secret.dev"], "resources": ["secretgroups"], "verbs": ["create", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"], "verbs": ["list"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    ]),
    ("ClusterRole", "tfy-secret-webhook", [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": READ},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
        OURS,
    ]),
]  # fmt: skip


@pytest.mark.parametrize("folder", INSTALLABLE)
def test_rights_are_exactly_these(folder: str) -> None:
    """A change of a right is a decision, and is made here too. Nobody may read a Secret but the webhook its own three."""
    expected = ALWAYS + ([] if folder == "overlays/cert-manager" else CERTIFICATES)
    found = [(o["kind"], o["metadata"]["name"], o["rules"]) for o in built(folder) if o["kind"] in ("Role", "ClusterRole")]
    assert sorted(found, key=lambda r: r[:2]) == sorted(expected, key=lambda r: r[:2])


@pytest.mark.parametrize("folder", INSTALLABLE)
def test_each_role_is_bound_to_its_own_account_alone(folder: str) -> None:
    for binding in (o for o in built(folder) if o["kind"] in ("RoleBinding", "ClusterRoleBinding")):
        account = "tfy-secret-broker" if "broker" in binding["metadata"]["name"] else "tfy-secret-webhook"
        assert binding["roleRef"]["name"] == binding["metadata"]["name"]
        assert binding["roleRef"]["kind"] == binding["kind"].removesuffix("Binding")
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]


def test_pull_secrets_are_an_addition() -> None:
    """overlays/registry-secrets gives the webhook `get` of Secrets and ServiceAccounts, and does nothing else; no installation has it."""
    role, binding = sorted(built(ADDITION), key=lambda o: o["kind"])
    assert (role["kind"], role["rules"]) == ("ClusterRole", [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]},
    ])  # fmt: skip
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "tfy-secret-webhook", "namespace": NAMESPACE}]
    assert all(role["metadata"]["name"] != o["metadata"]["name"] for folder in INSTALLABLE for o in built(folder))
    assert OVERLAY == f"manifests/{ADDITION}", "the webhook's message names this folder"


@pytest.mark.parametrize("folder", INSTALLABLE)
def test_every_container_is_restricted(folder: str) -> None:
    """Pod Security "restricted" and more: a read-only root, a user by number, a memory limit, a token only where it is asked for."""
    for deployment in deployments(folder):
        pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is True
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for container in pod["containers"] + pod.get("initContainers", []):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert "privileged" not in security
            assert container["resources"]["limits"].keys() == {"memory"}
            assert {"cpu", "memory"} == container["resources"]["requests"].keys()
            assert all(container[probe]["httpGet"]["port"] == "metrics" for probe in ("startupProbe", "readinessProbe", "livenessProbe"))
        assert not [v for v in pod.get("volumes", []) if "hostPath" in v]
    for account in (o for o in built(folder) if o["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_the_namespace_enforces_restricted() -> None:
    labels = one("base", "Namespace", NAMESPACE)["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{how}"] for how in ("enforce", "audit", "warn")} == {"restricted"}
    assert "tfy-secret.dev/inject" not in labels


@pytest.mark.parametrize("program", ["tfy-secret-webhook", "tfy-secret-broker"])
def test_selectors_meet(program: str) -> None:
    """Service, budget and network policy choose the pods that the Deployment makes."""
    labels = one("base", "Deployment", program)["spec"]["template"]["metadata"]["labels"]
    chosen = [
        one("base", "Service", program)["spec"]["selector"],
        one("base", "PodDisruptionBudget", program)["spec"]["selector"]["matchLabels"],
        one("base", "NetworkPolicy", program)["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in chosen)
    assert one("base", "Service", program)["spec"]["ports"] == [{"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}]
