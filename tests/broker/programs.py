"""`python -m broker` as a process, with everything that it needs in one folder."""

import asyncio
import json
import os
import ssl
import sys

import yaml

from tests.broker.world import manifests

TOKENS = """CANARY-token-web,system:serviceaccount:shop:web,1
CANARY-token-eve,system:serviceaccount:evil:eve,2
CANARY-token-admin,admin,3
"""


def environ_of(folder, authority):
    """Settings for a broker on a free port, with certificates, manifests, tokens and an embedded store in `folder`."""
    for name in ("tls", "manifests"):
        (folder / name).mkdir()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    leaf.private_key_pem.write_to_path(str(folder / "tls" / "tls.key"))
    (folder / "tls" / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    authority.cert_pem.write_to_path(str(folder / "tls" / "ca.crt"))
    (folder / "manifests" / "all.yaml").write_text(yaml.safe_dump_all(manifests()))
    (folder / "tokens.csv").write_text(TOKENS)
    return {
        "PATH": os.environ["PATH"],
        "TFY_SECRET_TENANT": "acme",
        "TFY_SECRET_LISTEN": "127.0.0.1:0",
        "TFY_SECRET_METRICS_LISTEN": "127.0.0.1:0",
        "TFY_SECRET_TLS_DIR": str(folder / "tls"),
        "TFY_SECRET_MANIFESTS": str(folder / "manifests"),
        "TFY_SECRET_TOKENS_FILE": str(folder / "tokens.csv"),
        "TFY_SECRET_AUDIT_FILE": str(folder / "audit.log"),
        "TFY_SECRET_EMBEDDED_DB": str(folder / "secrets.db"),
        "TFY_SECRET_EMBEDDED_KEY_FILE": str(folder / "key"),
        "TFY_SECRET_LOG_LEVEL": "debug",
    }


class Program:
    """A running `serve`; everything it writes is collected."""

    def __init__(self, environ):
        self.environ = environ
        self.stderr = b""
        self.ports = {}

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "broker", "serve", env=self.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            while "listening" not in self.ports:
                line = await self.process.stderr.readline()
                assert line, self.stderr.decode()
                self.stderr += line
                event = json.loads(line)
                if "port" in event:
                    self.ports[event["event"]] = event["port"]
        return self

    @property
    def url(self):
        return f"https://127.0.0.1:{self.ports['listening']}"

    async def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
        out, err = await asyncio.wait_for(self.process.communicate(), 15)
        self.stderr += err
        self.stdout = out
        return self.process.returncode

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            await self.stop()


async def command(environ, *arguments, stdin=b""):
    """Run `python -m broker ...` to its end: exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "broker",
        *arguments,
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), 20)
    return process.returncode, out, err.decode()


def trust(folder):
    return ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
