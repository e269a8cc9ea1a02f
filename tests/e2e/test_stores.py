"""One pod, five secret managers: OpenBao (kubernetes auth), Parameter Store and Secrets Manager (IRSA), a team's server, the embedded store.

No static token is mounted for OpenBao or AWS: the broker's pod has projected tokens, one audience each. The managers run outside of the
pods, as they do in life; the broker's Deployment gets what an operator would give it. Its embedded store starts anew with that, so
this comes after everything that needs it.
"""

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.e2e import people, pods
from tests.e2e.conftest import group, store
from tests.e2e.installation import BROKER, ROOT, SYSTEM, is_ready, keep_logs, when_it_stands
from tests.e2e.kubectl import Object, apply, kubectl, until
from tests.e2e.outside import AUDIENCE, REGION, ROLE
from tests.e2e.people import ADMIN
from tests.e2e.pods import APPS, container, pod
from tests.e2e.shared import NODE_ADDRESS, inside, only_here
from tests.e2e.values import TENANT, digest, fqn, marker

pytestmark = only_here

NAME = "e2e-stores"
BAO, SSM, MANAGER, TEAM, OWN = "e2e-bao", "e2e-ssm", "e2e-manager", "e2e-team", "e2e-own"
VALUES = {name: f"{marker()} = \u00e9" for name in (BAO, SSM, MANAGER, TEAM, OWN, "managed-bao", "managed-ssm")}
HEADER = f"Bearer {secrets.token_hex(16)}"
MOUNT = "/etc/e2e-stores"
ROLE_ARN = "arn:aws:iam::123456789012:role/tfy-secret-broker"


def fqn_of(name: str, path: str) -> str:
    return f"{TENANT}/outside/{name}::{path}"


ENV = {
    "FROM_BAO": (fqn_of(BAO, "/mail/smtp#key"), BAO),
    "FROM_SSM": (fqn_of(SSM, "/mail/ssm-key"), SSM),
    "FROM_SSM_VERSION": (fqn_of(SSM, "/mail/ssm-key?version=1"), SSM),
    "FROM_MANAGER": (fqn_of(MANAGER, "mail/manager-key"), MANAGER),
    "FROM_TEAM": (fqn_of(TEAM, "/mail/team-key"), TEAM),
    "FROM_EMBEDDED": (fqn("KEY", OWN), OWN),
    "MANAGED_IN_BAO": (fqn("KEY", BAO), "managed-bao"),
    "MANAGED_IN_SSM": (fqn("KEY", SSM), "managed-ssm"),
}
POD = pod("stores", container(env={name: found for name, (found, _) in ENV.items()}, report=[f"env:{name}" for name in ENV]))


def _reviewer() -> dict[str, str]:
    """What an operator of OpenBao gives it: where the cluster's API is, and a service account that may ask it about tokens."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "openbao", "namespace": ADMIN}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "tfy-e2e-openbao"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "openbao", "namespace": ADMIN}],
    }
    apply(account, binding)
    cluster = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json").out)["clusters"][0]["cluster"]
    ca = cluster.get("certificate-authority-data")
    return {
        "kubernetes_host": cluster["server"],
        "kubernetes_ca_cert": base64.b64decode(ca).decode() if ca else Path(cluster["certificate-authority"]).read_text(),
        "token_reviewer_jwt": kubectl("-n", ADMIN, "create", "token", "openbao").text.strip(),
    }


def _projected(name: str, audience: str) -> Object:
    return {"name": name, "projected": {"sources": [{"serviceAccountToken": {"audience": audience, "path": "token"}}]}}


def _patch(aws: str) -> Object:
    env = {
        "SSL_CERT_FILE": f"{MOUNT}/trust/ca.pem",
        "AWS_ROLE_ARN": ROLE_ARN,
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{MOUNT}/aws/token",
        "AWS_ENDPOINT_URL_STS": aws,
    }
    mounts = {"e2e-trust": "trust", "e2e-aws": "aws", "e2e-vault": "vault"}
    container = {
        "name": "broker",
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumeMounts": [{"name": name, "mountPath": f"{MOUNT}/{folder}", "readOnly": True} for name, folder in mounts.items()],
    }
    volumes = [
        {"name": "e2e-trust", "secret": {"secretName": NAME, "defaultMode": 0o440}},
        _projected("e2e-aws", "sts.amazonaws.com"),
        _projected("e2e-vault", AUDIENCE),
    ]
    return {"spec": {"template": {"spec": {"containers": [container], "volumes": volumes}}}}


def _stores(at: dict[str, str]) -> list[Object]:
    allow = [{"subjects": [f"namespace:{APPS}"], "paths": ["/mail/", "mail/"]}]
    aws = {"region": REGION, "endpoint": at["aws"]}
    login = {"kubernetes": {"role": ROLE, "tokenFile": f"{MOUNT}/vault/token"}}
    providers = {
        BAO: {"vault": {"address": at["vault"], "mount": "secret", "caFile": f"{MOUNT}/trust/ca.pem", "auth": login}},
        SSM: {"awsParameterStore": aws},
        MANAGER: {"awsSecretsManager": aws},
        TEAM: {"generic": {"baseUrl": at["generic"], "headerFiles": {"Authorization": f"{MOUNT}/trust/authorization"}}},
    }
    made = [store(name, fqn=f"{TENANT}/outside/{name}", provider=provider, allow=allow) for name, provider in providers.items()]
    groups = [group(name, keys=("KEY",), consumers=(f"namespace:{APPS}",), store_name=name) for name in (BAO, SSM)]
    return [*made, *groups, store(OWN), group(OWN, keys=("KEY",), consumers=(f"namespace:{APPS}",), store_name=OWN)]


@pytest.fixture(scope="module", autouse=True)
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("outside")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.issue_cert(NODE_ADDRESS).private_key_and_cert_chain_pem.write_to_path(str(folder / "tls.pem"))
    wanted = {
        "kubernetes": _reviewer(),
        "vault": {"mail/smtp": {"key": VALUES[BAO], "other": "1"}},
        "parameters": {"/mail/ssm-key": VALUES[SSM]},
        "secrets": {"mail/manager-key": VALUES[MANAGER]},
        "generic": {"/mail/team-key": VALUES[TEAM]},
        "header": HEADER,
    }
    words = inside(sys.executable, "-m", "tests.e2e.outside", NODE_ADDRESS, folder)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as servers:
        assert servers.stdin is not None and servers.stdout is not None
        try:
            servers.stdin.write(json.dumps(wanted) + "\n")
            servers.stdin.flush()
            at = json.loads(servers.stdout.readline())
            _connect(folder, at)
            yield
        finally:
            servers.stdin.close()
            servers.wait(20)
            pods.remove(POD)
            kubectl("delete", "clusterrolebinding", "tfy-e2e-openbao", "--ignore-not-found")
            names = [f"secretstore/{name}" for name in (BAO, SSM, MANAGER, TEAM, OWN)] + [f"secretgroup/{name}" for name in (BAO, SSM, OWN)]
            kubectl("delete", *names, "--ignore-not-found")


def _connect(folder: Path, at: dict[str, str]) -> None:
    trust = {"ca.pem": (folder / "ca.pem").read_bytes(), "authorization": HEADER.encode()}
    data = {name: base64.b64encode(value).decode() for name, value in trust.items()}
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": SYSTEM}, "data": data})
    keep_logs(BROKER)
    kubectl("-n", SYSTEM, "patch", "deployment", BROKER, "--type=strategic", "-p", json.dumps(_patch(at["aws"])))
    when_it_stands(BROKER)
    apply(*_stores(at))
    for name in (BAO, SSM, OWN):
        until(f"the group {name} is known to the broker", lambda name=name: is_ready("secretgroup", name))
    people.put("KEY", VALUES[OWN].encode(), OWN)
    people.put("KEY", VALUES["managed-bao"].encode(), BAO)
    people.put("KEY", VALUES["managed-ssm"].encode(), SSM)


def test_one_pod_has_a_value_of_each() -> None:
    apply(POD)
    report = pods.report_of(POD)
    assert {name: report[f"env:{name}"] for name in ENV} == {name: digest(VALUES[which].encode()) for name, (_, which) in ENV.items()}


@pytest.mark.parametrize("name", [BAO, SSM, MANAGER, TEAM, OWN])
def test_each_store_says_that_it_answers(name: str) -> None:
    ready = until("the store has a condition", lambda: is_ready("secretstore", name))
    assert (ready["status"], ready["reason"]) == ("True", "Available"), ready


@pytest.mark.parametrize("name", [BAO, SSM, MANAGER, TEAM])
def test_check_store_finds_that_each_keeps_the_contract(name: str) -> None:
    """From the broker's own pod, with its identities."""
    done = kubectl("-n", SYSTEM, "exec", f"deployment/{BROKER}", "--", "python", "-m", "broker", "check-store", name, check=False)
    assert done.code == 0, done.text


def test_no_static_token_is_in_the_brokers_pod() -> None:
    """Only the header of the team's own server, which the Generic contract has."""
    found = kubectl("-n", SYSTEM, "get", "deployment", BROKER, "-o", "json").text
    assert "AWS_ACCESS_KEY" not in found and "AWS_SHARED_CREDENTIALS_FILE" not in found and "VAULT_TOKEN" not in found
