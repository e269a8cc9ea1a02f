"""A real OpenBao for the tests: one process for all of them, a mount each. Started when first asked for, ended with Python.

bao = shared()
mount = bao.mount(2)
bao.call("POST", f"{mount}/data/x", {"data": {"a": "b"}})
bao.url, bao.tls_url, bao.authority, bao.token(POLICY[2].format(mount=mount))
"""

import atexit
import functools
import itertools
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import trustme

# The smallest policies, as docs/stores/vault.md gives them; a test compares.
POLICY = {
    2: """
path "{mount}/data/tfy-secret/*"     {{ capabilities = ["create", "update", "read"] }}
path "{mount}/metadata/tfy-secret/*" {{ capabilities = ["read", "delete"] }}
path "{mount}/destroy/tfy-secret/*"  {{ capabilities = ["update"] }}
path "{mount}/data/*"                {{ capabilities = ["read"] }}
""",
    1: """
path "{mount}/tfy-secret/*" {{ capabilities = ["create", "update", "read", "delete"] }}
path "{mount}/*"            {{ capabilities = ["read"] }}
""",
}
_CONFIG = """
storage "inmem" {{}}
listener "tcp" {{ address = "127.0.0.1:{plain}"  tls_disable = true }}
listener "tcp" {{ address = "127.0.0.1:{tls}"  tls_cert_file = "{folder}/tls.crt"  tls_key_file = "{folder}/tls.key" }}
"""


class Bao:
    """Unsealed, with a root token. `call` raises httpx.HTTPStatusError for anything but 2xx."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bao-")
        folder = Path(self._folder.name)
        self.authority = trustme.CA()
        leaf = self.authority.issue_cert("localhost", "127.0.0.1")
        leaf.private_key_pem.write_to_path(folder / "tls.key")
        leaf.cert_chain_pems[0].write_to_path(folder / "tls.crt")
        plain, tls = _free_port(), _free_port()
        (folder / "bao.hcl").write_text(_CONFIG.format(plain=plain, tls=tls, folder=folder))
        self.url, self.tls_url = f"http://127.0.0.1:{plain}", f"https://localhost:{tls}"
        command = [str(Path(sys.executable).with_name("bao")), "server", f"-config={folder / 'bao.hcl'}"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._http = httpx.Client(base_url=f"{self.url}/v1", trust_env=False, timeout=10)
        self._numbers = itertools.count(1)
        self._wait()
        made = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._key, self.root = made["keys"][0], made["root_token"]
        self.unseal()

    def stop(self) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, namespace: str | None = None) -> Any:
        headers = {"X-Vault-Token": token or getattr(self, "root", "")} | ({"X-Vault-Namespace": namespace} if namespace else {})
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        answer = self._http.request(method, f"/{path}", content=content, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def name(self, kind: str) -> str:
        return f"{kind}{next(self._numbers)}"

    def mount(self, version: int, *, namespace: str | None = None, name: str | None = None) -> str:
        mount = name or self.name(f"kv{version}-")
        self.call("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": str(version)}}, namespace=namespace)
        while version == 2 and not self._ready(mount, namespace):
            time.sleep(0.01)
        return mount

    def _ready(self, mount: str, namespace: str | None) -> bool:
        """A new mount of version 2 upgrades itself for a moment, and answers 400 meanwhile."""
        try:
            return bool(self.call("GET", f"{mount}/config", namespace=namespace))
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 400
            return False

    def policy(self, text: str, *, namespace: str | None = None) -> str:
        name = self.name("policy")
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": text}, namespace=namespace)
        return name

    def token(self, policy: str, *, namespace: str | None = None, **more: Any) -> str:
        """A token that may do what the policy's text says. `more`: ttl, renewable, no_default_policy ..."""
        policies = [self.policy(policy, namespace=namespace)]
        return self.call("POST", "auth/token/create", {"policies": policies} | more, namespace=namespace)["auth"]["client_token"]

    def auth(self, kind: str) -> str:
        """Enable an auth method; returns where."""
        path = self.name(kind)
        self.call("POST", f"sys/auth/{path}", {"type": kind})
        return path

    def seal(self) -> None:
        self.call("PUT", "sys/seal")

    def unseal(self) -> None:
        self.call("PUT", "sys/unseal", {"key": self._key})

    def _wait(self) -> None:
        for _ in range(200):
            try:
                self._http.get("/sys/seal-status")
            except httpx.ConnectError:
                assert self._process.poll() is None, "bao ended"
                time.sleep(0.05)
            else:
                return
        raise AssertionError("bao does not answer")


@functools.cache
def shared() -> Bao:
    bao = Bao()
    atexit.register(bao.stop)
    return bao


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
