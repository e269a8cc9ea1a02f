"""Overlay cert-manager, with a real cert-manager: it makes the certificates and sets caBundle; a pod gets its value; a renewal is no outage.

Comes last and installs anew: the other tests' installation makes its own certificates. The embedded store is added, for something to read.
"""

import base64
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e import cert_manager, people, pods
from tests.e2e.conftest import group, namespaces, remove_world, store
from tests.e2e.installation import BROKER, ROOT, SYSTEM, WEBHOOK, is_ready, when_it_stands
from tests.e2e.kubectl import apply, dry_run, find, get, kubectl, until
from tests.e2e.pods import APPS, container, pod
from tests.e2e.shared import only_here
from tests.e2e.values import digest, fqn, marker

pytestmark = [only_here, pytest.mark.skipif(not cert_manager.FOLDER, reason="needs cert-manager: TFY_E2E_CERT_MANAGER is not set")]
VALUE = marker()
CERTIFICATES = ("tfy-secret-ca", "tfy-secret-webhook-tls", "tfy-secret-broker-tls")
POD = pod("certified", container(env={"A": fqn("KEY", "certified")}, report=["env:A"]))


def _kustomized(verb: str, *words: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder).resolve()
        manifests = {
            name: os.path.relpath(ROOT / "manifests" / name, here) for name in ("overlays/cert-manager", "components/embedded-store")
        }
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [manifests["overlays/cert-manager"]],
            "components": [manifests["components/embedded-store"]],
        }
        (here / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        kubectl(verb, "-k", folder, *words, timeout=180.0)


@pytest.fixture(scope="module", autouse=True)
def installed_anew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    remove_world()
    with cert_manager.running(tmp_path_factory.mktemp("cert-manager")):
        try:
            _kustomized("apply")
            cert_manager.when_ready(SYSTEM, *CERTIFICATES)
            when_it_stands()
            apply(*namespaces())
            until("the service account", lambda: find("serviceaccount", "default", APPS))
            apply(store("certified"), group("certified", keys=("KEY",), consumers=(f"namespace:{APPS}",), store_name="certified"))
            people.hire()
            until("the group is known to the broker", lambda: is_ready("secretgroup", "certified"))
            people.put("KEY", VALUE.encode(), "certified")
            yield
        finally:
            kubectl("delete", "namespace", *(thing["metadata"]["name"] for thing in namespaces()), "--ignore-not-found", timeout=180.0)
            _kustomized("delete", "--ignore-not-found")


def _bundle() -> bytes:
    (webhook,) = get("mutatingwebhookconfigurations", WEBHOOK)["webhooks"]
    return base64.b64decode(webhook["clientConfig"].get("caBundle", ""))


def _secret(name: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in get("secret", name, SYSTEM)["data"].items()}


def test_a_pod_gets_its_value() -> None:
    apply(POD)
    assert pods.report_of(POD)["env:A"] == digest(VALUE.encode())


def test_cert_manager_has_set_the_bundle_and_no_private_key_is_shared() -> None:
    assert _bundle() == _secret("tfy-secret-webhook-tls")["ca.crt"] == _secret("tfy-secret-broker-tls")["ca.crt"]
    assert len({_secret(name)["tls.key"] for name in CERTIFICATES}) == 3


def test_the_webhook_may_read_no_secret_and_change_no_configuration() -> None:
    who = f"--as=system:serviceaccount:{SYSTEM}:{WEBHOOK}"
    for words in (("get", "secrets", "-n", SYSTEM), ("create", "secrets", "-n", SYSTEM), ("patch", "mutatingwebhookconfigurations")):
        assert kubectl("auth", "can-i", *words, who, check=False).text.strip() == "no", words


@pytest.mark.parametrize("name", ["tfy-secret-webhook-tls", "tfy-secret-broker-tls"])
def test_a_renewed_certificate_goes_live_without_a_restart(name: str) -> None:
    """The Secret is removed, so that cert-manager issues anew at once; the kubelet brings the files within a minute or two."""
    deployment = name.removesuffix("-tls")
    before, restarts = _secret(name)["tls.crt"], _pods(deployment)
    kubectl("-n", SYSTEM, "delete", "secret", name)
    until("cert-manager has issued anew", lambda: _issued(name, before), 60.0)
    loaded = until("the new one is live", lambda: True if _loads(deployment) else None, 180.0)
    assert loaded and _pods(deployment) == restarts
    again = pod(f"after-{deployment}", container(env={"A": fqn("KEY", "certified")}, report=["env:A"]))
    assert dry_run(again, namespace=APPS).code == 0
    apply(again)
    assert pods.report_of(again)["env:A"] == digest(VALUE.encode())


def _issued(name: str, before: bytes) -> bool | None:
    found = find("secret", name, SYSTEM)
    held = base64.b64decode(((found or {}).get("data") or {}).get("tls.crt", ""))
    return True if held and held != before else None


def _loads(deployment: str) -> bool:
    """Each replica has said twice that it took a pair in: at its start, and now."""
    logs = [kubectl("-n", SYSTEM, "logs", name).text for name in _pods(deployment)]
    return all(log.count('"certificate_loaded"') >= 2 for log in logs)


def _pods(deployment: str) -> list[str]:
    words = ["-n", SYSTEM, "get", "pods", "-l", f"app.kubernetes.io/name={deployment}", "-o", "name"]
    return sorted(kubectl(*words).text.split())


def test_webhook_and_broker_stand() -> None:
    for name in (WEBHOOK, BROKER):
        when_it_stands(name)
