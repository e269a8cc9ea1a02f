"""A real cert-manager beside the cluster: its controller and its CA injector, as `.ci/cert-manager` compiles them.

    TFY_E2E_CERT_MANAGER    the folder with controller, cainjector and crds; not set: the tests that need it are skipped

They run as processes in the cluster's network; for the API server that makes no difference. Its own webhook, which only checks
what people write, is not needed.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from tests.e2e.kubectl import Object, kubectl
from tests.e2e.shared import inside

FOLDER = os.environ.get("TFY_E2E_CERT_MANAGER")
CONTROLLERS = (
    "issuers certificates-issuing certificates-key-manager certificates-readiness certificates-request-manager"
    " certificates-revision-manager certificates-trigger certificaterequests-approver certificaterequests-issuer-ca"
    " certificaterequests-issuer-selfsigned"
)
OPTIONS = {"controller": [f"--controllers={CONTROLLERS.replace(' ', ',')}"], "cainjector": []}


def crds() -> list[Object]:
    """As its chart has them, without the labels that the chart fills in."""
    found = [yaml.safe_load(file.read_text()) for file in sorted(Path(FOLDER or ".").glob("crds/crd-*.yaml"))]
    for crd in found:
        del crd["metadata"]["labels"]
    return found


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Its CRDs are there and both programs run. Everything of it is gone afterwards."""
    kubectl("create", "namespace", "cert-manager")
    made = crds()
    kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(made).encode())
    names = [crd["metadata"]["name"] for crd in made]
    kubectl("wait", "--for=condition=Established", "--timeout=30s", *(f"crd/{name}" for name in names))
    with ExitStack() as stack:
        stack.callback(lambda: kubectl("delete", "crd", *names, "--ignore-not-found", timeout=120.0))
        stack.callback(lambda: kubectl("delete", "namespace", "cert-manager", "--ignore-not-found", timeout=120.0))
        for program, options in OPTIONS.items():
            log = stack.enter_context((folder / f"{program}.log").open("wb"))
            start = 'exec "$0" --kubeconfig "$KUBECONFIG" "$@"'
            words = inside("sh", "-c", start, Path(FOLDER or ".") / program, "--leader-elect=false", *options)
            process = stack.enter_context(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            stack.callback(process.terminate)
        yield


def when_ready(namespace: str, *certificates: str) -> None:
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "--timeout=60s", *(f"certificate/{name}" for name in certificates))
