"""Every folder that can be installed builds, and the API server's own schemas accept each object of it."""

import json
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from contract.catalog import Catalog
from tests.manifests.built import ADDITION, INSTALLABLE, MANIFESTS, NAMESPACE, built, deployments, environment, one

OF_OTHERS = ("tfy-secret.dev/", "cert-manager.io/", "apiextensions.k8s.io/")  # these schemas are not among Kubernetes' own


def test_objects_are_as_kubernetes_wants_them() -> None:
    """No unknown field and no wrong type, by the strict schemas of the oldest and the newest version that envfile needs."""
    documents = {
        json.dumps(o, sort_keys=True): o for folder in (*INSTALLABLE, ADDITION) for o in built(folder)
    }  # most are in several folders
    checked = [o for o in documents.values() if not o["apiVersion"].startswith(OF_OTHERS)]
    assert {"Deployment", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy", "NetworkPolicy"} <= {o["kind"] for o in checked}
    for document in checked:
        for version in ("1.35", "1.37"):
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("folder", INSTALLABLE)
def test_everything_namespaced_is_in_our_namespace(folder: str) -> None:
    """So that deleting the namespace and the cluster-wide objects leaves nothing behind."""
    assert {o["metadata"]["namespace"] for o in built(folder) if "namespace" in o["metadata"]} == {NAMESPACE}
    assert not [o for o in built(folder) if o["metadata"].get("finalizers") or o["metadata"].get("generateName")]


@pytest.mark.parametrize("folder", INSTALLABLE)
def test_nothing_is_left_to_be_set_and_no_value_is_in_a_manifest(folder: str) -> None:
    """installation.yaml reaches every place, is not installed itself, and no Secret is ever in a manifest."""
    assert "set-by-installation" not in yaml.safe_dump_all(built(folder))
    assert not [o for o in built(folder) if o["kind"] in ("Secret", "ConfigMap")]


@pytest.mark.parametrize("folder", INSTALLABLE)
def test_custom_resources_are_not_beside_their_definitions(folder: str) -> None:
    """`kubectl apply` of a definition and its object in one call fails on an empty cluster: no matches for kind."""
    assert not [o for o in built(folder) if o["apiVersion"].startswith("tfy-secret.dev/")]


def test_the_installation_is_changed_in_one_place(tmp_path: Path) -> None:
    """An overlay of a user's own, as manifests/README.md shows it, changes tenant, admins and both images everywhere."""
    overlay = MANIFESTS / "examples/overlay"
    settings = yaml.safe_load((overlay / "installation/installation.yaml").read_text())["data"]
    webhook, broker = one(overlay, "Deployment", "tfy-secret-webhook"), one(overlay, "Deployment", "tfy-secret-broker")
    for deployment in (webhook, broker):
        assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == settings["image"]
        assert environment(deployment)["TFY_SECRET_TENANT"] == settings["tenant"]
        assert environment(deployment)["TFY_SECRET_TENANT_ADMINS"] == settings["tenantAdmins"]
    assert environment(webhook)["TFY_SECRET_INIT_IMAGE"] == settings["initImage"]
    assert "localhost/" not in yaml.safe_dump_all(built(overlay))


@pytest.mark.parametrize("folder", INSTALLABLE)
def test_settings_are_those_that_the_programs_know(folder: str) -> None:
    """A misspelt setting would stop the program at its start: both read their environment here as they would there."""
    from broker.settings import Settings as BrokerSettings
    from webhook.settings import Settings as WebhookSettings

    for deployment in deployments(folder):
        settings = WebhookSettings if deployment["metadata"]["name"] == "tfy-secret-webhook" else BrokerSettings
        assert settings.from_environ(environment(deployment)).tenant == "acme"


@pytest.mark.parametrize("folder", INSTALLABLE)
def test_service_links_are_off(folder: str) -> None:
    """The Service tfy-secret-broker would give every pod of the namespace TFY_SECRET_BROKER_PORT and such, which are no settings."""
    assert [d["spec"]["template"]["spec"]["enableServiceLinks"] for d in deployments(folder)] == [False, False]


@pytest.mark.parametrize(("folder", "replicas", "store"), [
    ("base", 2, None),
    ("overlays/dev", 1, "emptyDir"),
    ("overlays/embedded", 1, "persistentVolumeClaim"),
    ("overlays/cert-manager", 2, None),
])  # fmt: skip
def test_the_broker_has_one_writer_of_the_embedded_store_or_two_replicas(folder: str, replicas: int, store: str | None) -> None:
    broker = one(folder, "Deployment", "tfy-secret-broker")["spec"]
    volumes = {v["name"]: next(key for key in v if key != "name") for v in broker["template"]["spec"]["volumes"]}
    assert broker["replicas"] == replicas
    assert volumes.get("store") == store
    assert broker["strategy"] == (
        {"type": "Recreate"} if store else {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    )


def test_the_programs_never_share_a_key() -> None:
    """With cert-manager the webhook is given its own pair, and of the broker's the CA alone."""
    volumes = {
        v["name"]: v["secret"]
        for v in one("overlays/cert-manager", "Deployment", "tfy-secret-webhook")["spec"]["template"]["spec"]["volumes"]
    }
    assert volumes["tls"]["secretName"] == "tfy-secret-webhook-tls"
    assert volumes["broker-ca"]["secretName"] == "tfy-secret-broker-tls"
    assert volumes["broker-ca"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    names = {c["metadata"]["name"]: c["spec"]["secretName"] for c in built("overlays/cert-manager") if c["kind"] == "Certificate"}
    assert len(set(names.values())) == len(names) == 3


def test_the_examples_can_be_used() -> None:
    """The store and the group that manifests/README.md applies parse, and belong together."""
    documents = [d for path in sorted((MANIFESTS / "examples").glob("*.yaml")) for d in yaml.safe_load_all(path.read_text())]
    catalog = Catalog("acme", documents)
    assert not catalog.problems
    assert catalog.groups["payments"].store in catalog.stores
