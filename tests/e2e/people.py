"""Who puts secrets, who asks for them, and what they say: through the project's own programs, inside the cluster.

`keeper` is a service account that is admin of the suite's groups; its pod runs `python -m broker secret ...` against the broker's
API, over TLS verified with the installation's CA, with its own token. `asker` is a pod that asks the broker as an init
container would, with a pod token of our audience, and tells codes and digests.
"""

import base64
import json

from tests.e2e.installation import IMAGE, SYSTEM
from tests.e2e.kubectl import Done, Object, apply, get, kubectl
from tests.e2e.pods import APPS, when_ready
from tests.e2e.values import fqn

ADMIN = "tfy-e2e-admin"
BROKER_URL = f"https://tfy-secret-broker.{SYSTEM}.svc"
CA_FILE = "/ca/ca.crt"
OWN_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_STAY = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"
_SECURITY = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}

_ASK = """
import base64, hashlib, json, sys, httpx
url, token_file, *names = sys.argv[1:]
token = open(token_file).read().strip()
body = {"version": 1, "modes": ["envfile"], "secrets": names}
answer = httpx.post(url + "/v1/resolve", json=body, headers={"Authorization": "Bearer " + token}, verify="/ca/ca.crt")
document = answer.json()
told = [a.get("code") or hashlib.sha256(base64.b64decode(a["value"])).hexdigest() for a in document.get("answers", [])]
print(json.dumps({"status": answer.status_code, "code": document.get("code"), "answers": told}))
"""

_PUT_ALL = f"""
import asyncio, base64, json, pathlib, sys
from broker.client import ApiSecrets
from contract.fqn import parse_fqn
from contract.values import SecretValue
async def main(values):
    async with ApiSecrets(sys.argv[1], pathlib.Path("{CA_FILE}"), open("{OWN_TOKEN}").read()) as secrets:
        for name, value in values.items():
            await secrets.put(parse_fqn(name), SecretValue(base64.b64decode(value)))
asyncio.run(main(json.load(sys.stdin)))
"""


def python_pod(name: str, namespace: str, **spec: object) -> Object:
    """A pod of the webhook's image that stays, with the CA in /ca."""
    program = {
        "name": "app",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", _STAY],
        "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    }
    whole: Object = {"terminationGracePeriodSeconds": 1, "securityContext": _SECURITY, "containers": [program]}
    whole["volumes"] = [{"name": "ca", "configMap": {"name": "tfy-e2e-ca"}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": whole | spec}


def asker_pod() -> Object:
    pod = python_pod("asker", APPS)
    tokens = {"ours": "tfy-secret.dev", "foreign": "someone-else.example"}
    sources = [{"serviceAccountToken": {"audience": audience, "path": path, "expirationSeconds": 600}} for path, audience in tokens.items()]
    pod["spec"]["volumes"].append({"name": "tokens", "projected": {"sources": sources}})
    pod["spec"]["containers"][0]["volumeMounts"].append({"name": "tokens", "mountPath": "/tokens"})
    return pod


def hire() -> None:
    """Start keeper and asker, and wait until they stand."""
    certificate = base64.b64decode(get("secret", "tfy-secret-ca", SYSTEM)["data"]["ca.crt"]).decode()
    trust = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tfy-e2e-ca", "namespace": ns}, "data": {"ca.crt": certificate}}
        for ns in (ADMIN, APPS)
    ]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "keeper", "namespace": ADMIN}}
    pods = [python_pod("keeper", ADMIN, serviceAccountName="keeper"), asker_pod()]
    apply(*trust, account, *pods)
    for pod in pods:
        when_ready(pod)


def secret(action: str, *words: str, stdin: bytes | None = None, token_file: str = OWN_TOKEN, check: bool = True) -> Done:
    """`python -m broker secret ...` as keeper, or as whoever's token comes on standard input (`token_file="/dev/stdin"`)."""
    program = ["python", "-m", "broker", "secret", action, *words, "--broker", BROKER_URL, "--ca-file", CA_FILE, "--token-file", token_file]
    return kubectl("-n", ADMIN, "exec", "-i", "keeper", "--", *program, stdin=stdin or b"", check=check)


def put(key: str, value: bytes, group: str = "e2e") -> Done:
    return secret("put", fqn(key, group), stdin=value)


def put_all(values: dict[str, bytes]) -> None:
    """In one process, which the command line's client is part of: thirty programs one after the other would take their time."""
    content = {fqn(key): base64.b64encode(value).decode() for key, value in values.items()}
    words = ["exec", "-i", "keeper", "--", "python", "-c", _PUT_ALL, BROKER_URL]
    kubectl("-n", ADMIN, *words, stdin=json.dumps(content).encode())


def ask(*names: str, token: str | None = None) -> Object:
    """What the broker answers to the asker's own pod token, or to another: `{"status", "code", "answers": [code or sha256]}`.

    A path names a token in the pod. A token itself goes by standard input: what stands in a command is in the API server's audit log.
    """
    file = token if token and token.startswith("/") else "/tokens/ours" if token is None else "/dev/stdin"
    words = ["exec", "-i", "asker", "--", "python", "-c", _ASK, BROKER_URL, file, *names]
    answered: Object = json.loads(kubectl("-n", APPS, *words, stdin=(token or "").encode()).out)
    return answered
