"""A team's own secret manager behind the Generic Secret Store contract, over TLS with a private CA and a header from a mounted file.

The server is the one that the unit tests use, as a pod. The broker is given the CA and the header's file by a patch of its
Deployment, as an operator would; its embedded store starts anew with that, so this comes after everything that needs it.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator

import pytest
import trustme

from tests.e2e import people, pods
from tests.e2e.conftest import STRICT, group, store
from tests.e2e.installation import BROKER, ROOT, SYSTEM, keep_logs, when_it_stands
from tests.e2e.installation import is_ready
from tests.e2e.kubectl import Object, apply, dry_run, kubectl, until
from tests.e2e.people import ADMIN, python_pod
from tests.e2e.pods import APPS, container, pod
from tests.e2e.values import TENANT, digest, fqn, marker

NAME = "e2e-generic"
HOST = f"{NAME}.{ADMIN}.svc"
STORE_FQN = f"{TENANT}/generic/{NAME}"
OWN_PATH = "/e2e/mail/smtp-key"
MANAGED, OWN = (f"{marker()}\u00e9\n".encode() for _ in range(2))
EXPECTED = {"MANAGED": digest(MANAGED), "OWN": digest(OWN), "URL": digest(b"x:" + OWN + b"@y")}
OWN_SHA256 = hashlib.sha256(OWN).hexdigest()
HEADER = f"Bearer {secrets.token_hex(16)}"

_SERVE = """
import asyncio, pathlib, ssl, sys
sys.path.insert(0, "/program")
from generic_server import GenericServer
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain("/store/tls.pem")
headers = {"Authorization": pathlib.Path("/store/authorization").read_text()}
async def main():
    async with GenericServer(headers, tls=tls, host="0.0.0.0", port=8443):
        await asyncio.Event().wait()
asyncio.run(main())
"""
# The owner of the store puts a value of their own there, with their own tool; the value comes by standard input.
_PUT = """
import pathlib, sys, httpx
headers = {"Authorization": pathlib.Path("/store/authorization").read_text()}
body = {"path": sys.argv[2], "value": sys.stdin.buffer.read().decode()}
httpx.put(sys.argv[1] + "/secrets", json=body, headers=headers, verify="/store/ca.pem").raise_for_status()
"""


def server() -> list[Object]:
    program = {"generic_server.py": (ROOT / "tests/generic_server.py").read_text()}
    ca = trustme.CA()
    material = {
        "ca.pem": ca.cert_pem.bytes(),
        "tls.pem": ca.issue_cert(HOST).private_key_and_cert_chain_pem.bytes(),
        "authorization": HEADER.encode(),
    }
    trust = {name: material[name] for name in ("ca.pem", "authorization")}
    thing = python_pod(NAME, ADMIN)
    thing["metadata"]["labels"] = {"app": NAME}
    spec, app = thing["spec"], thing["spec"]["containers"][0]
    spec["volumes"] += [{"name": "program", "configMap": {"name": NAME}}, {"name": "store", "secret": {"secretName": NAME}}]
    app["volumeMounts"] += [{"name": "program", "mountPath": "/program"}, {"name": "store", "mountPath": "/store"}]
    app["command"] = ["python", "-c", _SERVE]
    app["readinessProbe"] = {"tcpSocket": {"port": 8443}, "periodSeconds": 1}
    ports = [{"port": 443, "targetPort": 8443}]
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": ADMIN}, "data": program},
        _secret(ADMIN, material),
        _secret(SYSTEM, trust),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": ADMIN},
            "spec": {"selector": {"app": NAME}, "ports": ports},
        },
        thing,
    ]


def _secret(namespace: str, content: dict[str, bytes]) -> Object:
    data = {name: base64.b64encode(value).decode() for name, value in content.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": namespace}, "data": data}


PATCH = {
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "broker",
                        "env": [{"name": "SSL_CERT_FILE", "value": "/etc/e2e/ca.pem"}],
                        "volumeMounts": [{"name": "e2e", "mountPath": "/etc/e2e", "readOnly": True}],
                    }
                ],
                "volumes": [{"name": "e2e", "secret": {"secretName": NAME, "defaultMode": 0o440}}],
            }
        }
    }
}
POD = pod(
    "generic",
    container(
        env={"MANAGED": fqn("KEY", NAME), "OWN": f"{STORE_FQN}::{OWN_PATH}", "URL": f"x:${{{STORE_FQN}::{OWN_PATH}?version=1}}@y"},
        report=["env:MANAGED", "env:OWN", "env:URL", "file:/key"],
    ),
    files=[{"mount_path": "/key", "secret_fqn": f"{STORE_FQN}::{OWN_PATH}"}],
)


@pytest.fixture(scope="module", autouse=True)
def connected() -> Iterator[None]:
    things = server()
    apply(*things)
    keep_logs(BROKER)
    kubectl("-n", SYSTEM, "patch", "deployment", BROKER, "--type=strategic", "-p", json.dumps(PATCH))
    pods.when_ready(things[-1])
    when_it_stands(BROKER)
    provider = {"generic": {"baseUrl": f"https://{HOST}", "headerFiles": {"Authorization": "/etc/e2e/authorization"}}}
    allow = [{"subjects": [f"namespace:{APPS}"], "paths": ["/e2e/"]}]
    apply(
        store(NAME, fqn=STORE_FQN, provider=provider, allow=allow),
        group(NAME, keys=("KEY",), consumers=(f"namespace:{APPS}",), store_name=NAME),
    )
    until("the group is known to the broker", lambda: is_ready("secretgroup", NAME))
    kubectl("-n", ADMIN, "exec", "-i", NAME, "--", "python", "-c", _PUT, f"https://{HOST}", OWN_PATH, stdin=OWN)
    people.put("KEY", MANAGED, NAME)
    yield
    pods.remove(POD)
    kubectl("delete", f"secretstore/{NAME}", f"secretgroup/{NAME}")


def test_the_store_says_in_its_status_that_it_answers() -> None:
    ready = until("the store has a condition", lambda: is_ready("secretstore", NAME))
    assert (ready["status"], ready["reason"]) == ("True", "Available"), ready


def test_check_store_finds_that_the_server_keeps_the_contract() -> None:
    """From the broker's own pod, with its trust and its header."""
    done = kubectl("-n", SYSTEM, "exec", f"deployment/{BROKER}", "--", "python", "-m", "broker", "check-store", NAME, check=False)
    assert done.code == 0, done.text
    assert "FAIL" not in done.text.upper().split()


def test_a_pod_has_managed_values_and_the_stores_own() -> None:
    apply(POD)
    report = pods.report_of(POD)
    assert {name: report[f"env:{name}"] for name in EXPECTED} == EXPECTED
    assert report["file:/key"] == EXPECTED["OWN"]


@pytest.mark.parametrize(
    ("namespace", "path"),
    [pytest.param(STRICT, OWN_PATH, id="another-namespace"), pytest.param(APPS, "/e2e-other/key", id="another-path")],
)
def test_a_path_of_the_store_is_open_only_to_whom_it_allows(namespace: str, path: str) -> None:
    refused = dry_run(pod("own", container(env={"OWN": f"{STORE_FQN}::{path}"}), namespace=namespace), namespace=namespace)
    assert refused.code != 0
    assert f"denied for service account {namespace}/default" in refused.err


def test_the_broker_decides_for_itself_about_paths() -> None:
    """Behind the webhook's early word."""
    answers = people.ask(f"{STORE_FQN}::{OWN_PATH}", f"{STORE_FQN}::/e2e-other/key", f"{STORE_FQN}::/tfy-secret/{TENANT}/e2e/PLAIN")[
        "answers"
    ]
    assert answers == [OWN_SHA256, "denied", "denied"]
