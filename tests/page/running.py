"""A broker as a real process off a cluster, for browsers: embedded store, folder of manifests, people of every role."""

import itertools
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import yaml

ROLES = ("admin", "editor", "viewer")
PEOPLE = (*ROLES, "none", "tenant")
STORE = {
    "apiVersion": "tfy-secret.dev/v1alpha1",
    "kind": "SecretStore",
    "metadata": {"name": "main"},
    "spec": {"fqn": "acme/embedded/main", "provider": {"embedded": {}}},
}


def token_of(who):
    return f"CANARY-token-{who}"


def group(name, keys, collaborators):
    return {
        "apiVersion": "tfy-secret.dev/v1alpha1",
        "kind": "SecretGroup",
        "metadata": {"name": name},
        "spec": {
            "store": "main",
            "keys": list(keys),
            "collaborators": [{"role": f"secret-group-{role}", "subject": s} for role, s in collaborators],
        },
    }


class Broker:
    """Started on `with`, ended at its end; `url` is where its page is."""

    def __init__(self, folder: Path, authority, manifests=(), people=PEOPLE, **settings):
        self.folder, self._names = folder, itertools.count(1)
        for name in ("tls", "manifests"):
            (folder / name).mkdir()
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        leaf.private_key_pem.write_to_path(str(folder / "tls/tls.key"))
        (folder / "tls/tls.crt").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        (folder / "manifests/all.yaml").write_text(yaml.dump_all([STORE, *manifests], Dumper=yaml.CSafeDumper))
        (folder / "tokens.csv").write_text("".join(f"{token_of(who)},{who},{who}\n" for who in people))
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        self._environ = {
            "PATH": os.environ["PATH"],
            "TFY_SECRET_TENANT": "acme",
            "TFY_SECRET_TENANT_ADMINS": "user:tenant",
            "TFY_SECRET_LISTEN": "127.0.0.1:0",
            "TFY_SECRET_TLS_DIR": str(folder / "tls"),
            "TFY_SECRET_MANIFESTS": str(folder / "manifests"),
            "TFY_SECRET_TOKENS_FILE": str(folder / "tokens.csv"),
            "TFY_SECRET_AUDIT_FILE": str(folder / "audit.log"),
            "TFY_SECRET_EMBEDDED_DB": str(folder / "secrets.db"),
            "TFY_SECRET_EMBEDDED_KEY_FILE": str(folder / "key"),
            "TFY_SECRET_LOG_LEVEL": "info",
        } | settings

    def __enter__(self):
        self.log = (self.folder / "log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "broker", "serve"], env=self._environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        for line in self.process.stderr:
            event = json.loads(line)
            if event.get("event") == "listening":
                self.url = f"https://localhost:{event['port']}"
                break
        else:
            raise AssertionError(f"the broker ended with {self.process.wait()}")
        self._drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=self.log)
        self.process.stderr.close()
        self.http = httpx.Client(base_url=self.url, verify=self.trust, headers={"Authorization": f"Bearer {token_of('tenant')}"})
        return self

    def __exit__(self, *_):
        self.http.close()
        self.process.terminate()
        assert self.process.wait(15) == 0
        self._drain.wait(5)
        self.log.close()

    def make(self, keys=None, name=None, collaborators=None):
        """A group of its own for a test, with values; the admin, editor and viewer are in it."""
        name = name or f"group-{next(self._names)}"
        shared = collaborators if collaborators is not None else [(role, f"user:{role}") for role in ROLES]
        answer = self.http.put(
            "/api/svc/v1/secret-groups",
            json={
                "manifest": {
                    "type": "secret-group",
                    "name": name,
                    "integration_fqn": "acme/embedded/main",
                    "collaborators": [{"subject": subject, "role_id": f"secret-group-{role}"} for role, subject in shared],
                }
            },
        )
        assert answer.status_code == 200, answer.text
        self.put(name, **(keys or {}))
        return SimpleNamespace(name=name, path=f"/ui/groups/{name}", id=answer.json()["data"]["id"])

    def put(self, name, **keys):
        from base64 import b64encode

        for key, value in keys.items():
            body = {
                "fqn": f"tfy-secret://acme:{name}:{key}",
                "value": b64encode(value if isinstance(value, bytes) else value.encode()).decode(),
            }
            answer = self.http.put("/v1/secrets", json=body)
            assert answer.status_code == 200, answer.text

    def value(self, name, key):
        from base64 import b64decode

        answer = self.http.get("/v1/secrets/value", params={"fqn": f"tfy-secret://acme:{name}:{key}"})
        assert answer.status_code == 200, answer.text
        return b64decode(answer.json()["value"])
