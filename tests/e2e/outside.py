"""Secret managers outside of the cluster's pods, in its network, over TLS: a real OpenBao, AWS's services as moto serves them, and a
team's own server of the Generic contract.

    python -m tests.e2e.outside ADDRESS FOLDER      FOLDER: tls.pem (key and chain for ADDRESS), ca.pem

Reads one line of JSON from standard input (what OpenBao needs to review the cluster's tokens, and what to put where), puts it there,
prints one line with the addresses, and stays until standard input ends. All of them keep everything in memory.
"""

import asyncio
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.generic_server import GenericServer

BAO_PORT, AWS_PORT, GENERIC_PORT = 8200, 5443, 8444
ROLE, POLICY, AUDIENCE = "tfy-secret-broker", "tfy-secret", "vault"
REGION = "eu-west-1"
# As docs/stores/vault.md has it, with one folder of own paths.
POLICY_TEXT = """
path "secret/data/tfy-secret/*"     { capabilities = ["create", "update", "read"] }
path "secret/metadata/tfy-secret/*" { capabilities = ["read", "delete"] }
path "secret/destroy/tfy-secret/*"  { capabilities = ["update"] }
path "secret/data/mail/*"           { capabilities = ["read"] }
"""


class Bao:
    """The API of one OpenBao, as its operator uses it."""

    def __init__(self, url: str, trust: ssl.SSLContext) -> None:
        self._url, self._trust, self.token = url, trust, ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"X-Vault-Token": self.token, "Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self._url}/v1/{path}", None if body is None else json.dumps(body).encode(), headers, method=method
        )
        with urllib.request.urlopen(request, context=self._trust, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def set_up(self, kubernetes: dict[str, str], values: dict[str, Any]) -> None:
        started = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self.call("PUT", "sys/unseal", {"key": started["keys"][0]})
        self.token = started["root_token"]
        self.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        self.call("PUT", f"sys/policies/acl/{POLICY}", {"policy": POLICY_TEXT})
        self.call("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        self.call("POST", "auth/kubernetes/config", {"disable_local_ca_jwt": True, **kubernetes})
        role = {
            "bound_service_account_names": ["tfy-secret-broker"],
            "bound_service_account_namespaces": ["tfy-secret-system"],
            "audience": AUDIENCE,
            "token_policies": [POLICY],
            "token_ttl": "60s",
        }
        self.call("POST", f"auth/kubernetes/role/{ROLE}", role)
        for path, fields in values.items():
            self.call("POST", f"secret/data/{path}", {"data": fields})


def _until(what: str, look: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            look()
        except (OSError, urllib.error.URLError) as error:
            if time.monotonic() > end:
                raise SystemExit(f"{what}: {type(error).__name__}") from None
            time.sleep(0.1)
        else:
            return


def put_aws(url: str, ca: Path, parameters: dict[str, str], secrets: dict[str, str]) -> None:
    import botocore.session

    made = botocore.session.get_session()
    common: dict[str, Any] = {"region_name": REGION, "endpoint_url": url, "verify": str(ca)}
    common |= {"aws_access_key_id": "owner", "aws_secret_access_key": "of-the-account"}
    ssm, manager = made.create_client("ssm", **common), made.create_client("secretsmanager", **common)
    for name, value in parameters.items():
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    for name, value in secrets.items():
        manager.create_secret(Name=name, SecretString=value)


def serve_generic(address: str, pem: Path, header: str, values: dict[str, str]) -> None:
    """In a thread of its own, for as long as this process lives."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    ready = threading.Event()

    async def run() -> None:
        async with GenericServer({"Authorization": header}, tls=tls, host=address, port=GENERIC_PORT) as server:
            for path, value in values.items():
                server.put({"path": path, "value": value})
            ready.set()
            await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    if not ready.wait(20):
        raise SystemExit("the generic server does not start")


def main(address: str, folder: Path) -> None:
    wanted = json.loads(sys.stdin.readline())
    trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    bao_url, aws_url = f"https://{address}:{BAO_PORT}", f"https://{address}:{AWS_PORT}"
    pem = folder / "tls.pem"
    listener = f'listener "tcp" {{ address = "{address}:{BAO_PORT}"\n tls_cert_file = "{pem}"\n tls_key_file = "{pem}" }}'
    (folder / "bao.hcl").write_text(f'storage "inmem" {{}}\n{listener}\ndisable_mlock = true\n')
    binaries = Path(sys.executable).parent
    commands = [
        [binaries / "bao", "server", f"-config={folder / 'bao.hcl'}"],
        [binaries / "moto_server", "-H", address, "-p", str(AWS_PORT), "-s", "-c", pem, "-k", pem],
    ]
    with ExitStack() as stack:
        log = stack.enter_context((folder / "servers.log").open("wb"))
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            stack.callback(process.terminate)
        bao = Bao(bao_url, trust)
        _until("OpenBao answers", lambda: bao.call("GET", "sys/init"))
        bao.set_up(wanted["kubernetes"], wanted["vault"])
        _until("moto answers", lambda: urllib.request.urlopen(f"{aws_url}/moto-api/", context=trust, timeout=10).close())
        put_aws(aws_url, folder / "ca.pem", wanted["parameters"], wanted["secrets"])
        serve_generic(address, pem, wanted["header"], wanted["generic"])
        print(json.dumps({"vault": bao_url, "aws": aws_url, "generic": f"https://{address}:{GENERIC_PORT}"}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
