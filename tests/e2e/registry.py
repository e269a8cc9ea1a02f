"""A real registry in the cluster's network, over TLS and behind a log-in, and a webhook that trusts it.

Debian's docker-registry; images are pushed by skopeo. A port that the webhook's NetworkPolicy lets it reach.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.e2e.installation import SYSTEM, WEBHOOK, when_it_stands
from tests.e2e.kubectl import Object, apply, kubectl, until
from tests.e2e.pods import APPS
from tests.e2e.shared import NODE_ADDRESS, inside
from tests.webhook.registry.servers import htpasswd

HOST = f"{NODE_ADDRESS}:8443"
USER, PASSWORD = "puller", "not-a-secret-of-anyone"  # they go through the API server, as every pull secret does
TRUST = "tfy-e2e-registry-ca"


@contextmanager
def running(folder: Path, authority: trustme.CA) -> Iterator[subprocess.Popen[bytes]]:
    """It answers when this is entered; skips where the programs are not installed."""
    for program in ("docker-registry", "skopeo", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    config = _configuration(folder, authority)
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(inside("docker-registry", "serve", config), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            until("the registry answers", lambda: _answers(folder), 20.0)
            yield process
        finally:
            process.terminate()
            process.wait(10)


def _configuration(folder: Path, authority: trustme.CA) -> Path:
    leaf = authority.issue_cert(NODE_ADDRESS)
    leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "tls.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    tls = {"certificate": str(folder / "tls.pem"), "key": str(folder / "tls.pem")}
    config = {"version": 0.1, "http": {"addr": HOST, "secret": "upload-state", "tls": tls}, "auth": htpasswd(folder, USER, PASSWORD)}
    config["storage"] = {"filesystem": {"rootdirectory": str(folder / "storage")}}
    file = folder / "config.yml"
    file.write_text(json.dumps(config))
    return file


def _answers(folder: Path) -> bool | None:
    words = inside("curl", "-s", "-o", "/dev/null", "--cacert", folder / "ca.crt", f"https://{HOST}/v2/")
    return True if subprocess.run(words, check=False, stdin=subprocess.DEVNULL, timeout=10).returncode == 0 else None


def push(folder: Path, archive: Path, name: str) -> None:
    words = ["copy", "--quiet", "--dest-creds", f"{USER}:{PASSWORD}", "--dest-cert-dir", str(folder)]
    subprocess.run(
        inside("skopeo", *words, f"docker-archive:{archive}", f"docker://{name}"),
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@contextmanager
def trusted(authority: trustme.CA) -> Iterator[None]:
    """The webhook's TFY_SECRET_REGISTRY_CA_FILE, from a ConfigMap, as an operator would set it."""
    data = {"ca.crt": authority.cert_pem.bytes().decode()}
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": TRUST, "namespace": SYSTEM}, "data": data})
    container = {
        "name": "webhook",
        "env": [{"name": "TFY_SECRET_REGISTRY_CA_FILE", "value": "/registry-ca/ca.crt"}],
        "volumeMounts": [{"name": "registry-ca", "mountPath": "/registry-ca", "readOnly": True}],
    }
    volumes = [{"name": "registry-ca", "configMap": {"name": TRUST}}]
    patch = {"spec": {"template": {"spec": {"containers": [container], "volumes": volumes}}}}
    kubectl("-n", SYSTEM, "patch", "deployment", WEBHOOK, "-p", json.dumps(patch))
    when_it_stands(WEBHOOK)
    try:
        yield
    finally:
        kubectl("-n", SYSTEM, "rollout", "undo", f"deployment/{WEBHOOK}")
        when_it_stands(WEBHOOK)
        kubectl("-n", SYSTEM, "delete", "configmap", TRUST)


def pull_secret(name: str, password: str = PASSWORD) -> Object:
    login = {"auths": {HOST: {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}}}
    data = {".dockerconfigjson": json.dumps(login)}
    metadata = {"name": name, "namespace": APPS}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/dockerconfigjson", "stringData": data}
