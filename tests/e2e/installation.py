"""The system under test: what is applied, when it stands, and what would be left of it.

    TFY_E2E_IMAGE, TFY_E2E_INIT_IMAGE    images to use instead of those that overlay dev names
    TFY_E2E_TAKE_OVER=1                  go on although the namespace is there: everything in it is deleted at the end

Overlay dev is applied as it is; with other images, through an overlay of its own that is written to a temporary folder.
"""

import os
import tempfile
from pathlib import Path

import yaml

from tests.e2e.kubectl import Done, Object, condition, every, find, get, kubectl, until
from tests.e2e.pods import LOGS, picture

ROOT = Path(__file__).resolve().parents[2]
OVERLAY = ROOT / "manifests/overlays/dev"
SYSTEM = "tfy-secret-system"
WEBHOOK, BROKER = "tfy-secret-webhook", "tfy-secret-broker"
DEFAULT_IMAGE, DEFAULT_INIT_IMAGE = "localhost/tfy-secret-webhook:dev", "localhost/tfy-secret-init:dev"
IMAGE = os.environ.get("TFY_E2E_IMAGE", DEFAULT_IMAGE)
INIT_IMAGE = os.environ.get("TFY_E2E_INIT_IMAGE", DEFAULT_INIT_IMAGE)
# Kinds of which an installation has objects outside of its namespace, the namespace included.
CLUSTER_KINDS = (
    "namespaces,customresourcedefinitions,mutatingwebhookconfigurations,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings,clusterroles,clusterrolebindings"
)
STANDS_SECONDS = 120.0


def apply_system() -> Done:
    return _kustomized("apply")


def difference() -> str:
    """Between what is installed and what applying again would make of it."""
    return _kustomized("diff").text


def _kustomized(verb: str) -> Done:
    if (IMAGE, INIT_IMAGE) == (DEFAULT_IMAGE, DEFAULT_INIT_IMAGE):
        return kubectl(verb, "-k", str(OVERLAY))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(_with_images(Path(folder))))
        return kubectl(verb, "-k", folder)


def delete_system() -> Done:
    return kubectl("delete", "-k", str(OVERLAY), "--ignore-not-found", timeout=180.0)


def _with_images(folder: Path) -> Object:
    init = {"env": [{"name": "TFY_SECRET_INIT_IMAGE", "value": INIT_IMAGE}]}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(OVERLAY, folder.resolve())],
        "patches": [
            {"patch": _container_patch(WEBHOOK, {"name": "webhook", "image": IMAGE} | init)},
            {"patch": _container_patch(BROKER, {"name": "broker", "image": IMAGE})},
        ],
    }


def _container_patch(deployment: str, container: Object) -> str:
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": deployment, "namespace": SYSTEM}}
    return yaml.safe_dump(head | {"spec": {"template": {"spec": {"containers": [container]}}}})


def when_it_stands(*deployments: str) -> None:
    for name in deployments or (WEBHOOK, BROKER):
        until(f"deployment {name} is complete", lambda name=name: _complete(name), STANDS_SECONDS, lambda: picture(SYSTEM))


def _complete(name: str) -> Object | None:
    """The Deployment, when every replica is new and available and no old one is left."""
    found = get("deployment", name, SYSTEM)
    wanted, status = found["spec"]["replicas"], found.get("status", {})
    counts = [status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")]
    seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return found if seen and counts == [wanted] * 3 else None


def scale(name: str, replicas: int) -> None:
    """Returns when it is so; with none, when no pod is left."""
    keep_logs(name)
    kubectl("-n", SYSTEM, "scale", "deployment", name, f"--replicas={replicas}")
    when_it_stands(name)
    if replicas == 0:
        until(f"no pod of {name}", lambda: None if pods_of(name) else True, STANDS_SECONDS, lambda: picture(SYSTEM))


def pods_of(name: str) -> list[Object]:
    return every("pods", SYSTEM, "-l", f"app.kubernetes.io/name={name}")


def keep_logs(name: str) -> None:
    for pod in pods_of(name):
        LOGS.append(kubectl("-n", SYSTEM, "logs", pod["metadata"]["name"], check=False).out)


def left_over() -> list[str]:
    """The names of all cluster-wide objects that could be ours."""
    found = every(CLUSTER_KINDS)
    return sorted(f"{thing['kind']}/{thing['metadata']['name']}" for thing in found if "tfy-secret" in thing["metadata"]["name"])


def is_installed() -> bool:
    return find("namespace", SYSTEM) is not None


def is_ready(kind: str, name: str) -> Object | None:
    """The Ready condition of a SecretStore or SecretGroup, once the broker has written it for the present manifest."""
    found = get(kind, name)
    ready = condition(found, "Ready")
    return ready if ready.get("observedGeneration") == found["metadata"]["generation"] else None


def diagnosis() -> str:
    """For a person: how the system stands, what happened, and the ends of its logs."""
    parts = [kubectl("get", "pods", "-A", "-o", "wide", check=False).text, picture(SYSTEM)]
    for thing in (*pods_of(WEBHOOK), *pods_of(BROKER)):
        name = thing["metadata"]["name"]
        log = kubectl("-n", SYSTEM, "logs", name, "--tail=20", check=False).out.decode(errors="replace")
        parts.append(f"--- the last lines of {name}\n{log}")
    return "\n".join(parts)
