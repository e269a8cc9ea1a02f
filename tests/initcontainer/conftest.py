import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from contract.keys import SOURCE_FILE
from contract.plan import ContainerPlan, encode_plan
from contract.values import SecretValue
from tests.initcontainer.broker import BrokerStandIn
from tests.initcontainer.plans import plan

ROOT = Path(__file__).parents[2]
TOKEN = "eyJhbGciOiJSUzI1NiJ9.canary-token-5f1c9.sig"


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def other_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    return server_context(authority, "localhost", "127.0.0.1")


@pytest.fixture
def broker(tls: ssl.SSLContext) -> Iterator[BrokerStandIn]:
    started = BrokerStandIn(tls)
    yield started
    started.close()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, as an emptyDir with medium Memory is one."""
    if not os.path.isdir("/dev/shm"):
        pytest.skip("no /dev/shm on this machine: nowhere to write")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="tfy-secret-test-") as folder:
        yield Path(folder)


@dataclass
class Ended:
    """How a run of the program ended. What it printed is kept out of a failing test's output."""

    code: int
    output: SecretValue
    message: str

    def shows(self, text: str | bytes) -> bool:
        sought = text.encode() if isinstance(text, str) else text
        return sought in self.output.reveal() or sought in self.message.encode()


class Pod:
    """What the kubelet prepares: volumes in memory, the token's file, the termination log, the environment."""

    def __init__(self, folder: Path, memory: Path, broker: BrokerStandIn, ca: str) -> None:
        self.memory, self.broker, self.ca = memory, broker, ca
        self.token, self.log = folder / "token", folder / "termination-log"
        self.sources = folder / "sources"
        self.token.write_text(TOKEN + "\n")
        self.log.touch()
        self.url = broker.url

    def environ(self, *containers: ContainerPlan, **settings: str) -> dict[str, str]:
        for container in containers:
            (self.memory / container.volume).mkdir(exist_ok=True)
        return {
            "TFY_SECRET_PLAN": encode_plan(plan(*containers, broker=self.url, ca=self.ca)),
            "TFY_SECRET_TOKEN_FILE": str(self.token),
            "TFY_SECRET_VOLUMES": str(self.memory),
            "TFY_SECRET_TERMINATION_LOG": str(self.log),
            "TFY_SECRET_TEMPLATES": str(self.sources),
            "PATH": "/nowhere",
        } | settings

    def config_map(self, **keys: str | bytes) -> None:
        """As the kubelet mounts it: links to a folder that it exchanges as a whole. `a__b` is the key `a.b`."""
        for name, content in keys.items():
            folder = self.sources / name.replace("__", ".")
            (folder / "..data").mkdir(parents=True)
            (folder / "..data" / SOURCE_FILE).write_bytes(content.encode() if isinstance(content, str) else content)
            (folder / SOURCE_FILE).symlink_to(f"..data/{SOURCE_FILE}")

    def start(self, environ: dict[str, str], **options: object) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "initcontainer"]
        return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]

    def ended(self, process: "subprocess.Popen[bytes]") -> Ended:
        output, _ = process.communicate(timeout=30)
        return Ended(process.returncode, SecretValue(output), self.log.read_text())

    def run(self, *containers: ContainerPlan, **settings: str) -> Ended:
        return self.ended(self.start(self.environ(*containers, **settings)))

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.memory)) for path in self.memory.rglob("*") if not path.is_dir())

    def content(self, path: str) -> bytes:
        return (self.memory / path).read_bytes()


@pytest.fixture
def pod(tmp_path: Path, memory: Path, broker: BrokerStandIn, ca: str) -> Pod:
    return Pod(tmp_path, memory, broker, ca)
