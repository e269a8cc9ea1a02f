"""What stands on disk while the demo runs, and where: settings of the programs, certificates, tokens, the pod's volumes, values.

Values are random, made anew for each run, and kept in memory; what must be a file (tokens, keys, the pod's volumes) is below two
folders of this run alone, one of them in memory, both removed at its end.
"""

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree, rmtree

from contract import keys
from demo.errors import NotHere
from initcontainer.tmpfs import IN_MEMORY, filesystem_of
from webhook.ca import issue, make_authority

HOST = "localhost"
TENANT = "acme"
MANIFESTS = Path(__file__).parent / "manifests"
DEPLOYMENT = Path(__file__).parent / "deployment.yaml"
_LISTEN = {"TFY_SECRET_LISTEN": "127.0.0.1:0", "TFY_SECRET_METRICS_LISTEN": "127.0.0.1:0"}


@dataclass(frozen=True, slots=True)
class Scenery:
    """The run's folders, and who has which token."""

    folder: Path
    memory: Path
    pod_token: str = field(repr=False)
    admin_token: str = field(repr=False)

    @property
    def ca(self) -> Path:
        return self.folder / "tls-broker" / "ca.crt"

    @property
    def manifests(self) -> Path:
        """A copy: the broker keeps what it knows of groups beside their manifests."""
        return self.folder / "manifests"

    @property
    def audit(self) -> Path:
        return self.folder / "audit.jsonl"

    def place(self, pod: str) -> "PodPlace":
        """Where a pod lives on this machine."""
        return PodPlace(self.memory / pod)

    def broker_settings(self) -> dict[str, str]:
        return _LISTEN | {
            "TFY_SECRET_TENANT": TENANT,
            "TFY_SECRET_MANIFESTS": str(self.manifests),
            "TFY_SECRET_TLS_DIR": str(self.folder / "tls-broker"),
            "TFY_SECRET_TOKENS_FILE": str(self.memory / "tokens.csv"),
            "TFY_SECRET_EMBEDDED_DB": str(self.folder / "secrets.db"),
            "TFY_SECRET_EMBEDDED_KEY_FILE": str(self.memory / "embedded.key"),
            "TFY_SECRET_AUDIT_FILE": str(self.audit),
        }

    def webhook_settings(self, broker_url: str) -> dict[str, str]:
        return _LISTEN | {
            "TFY_SECRET_TENANT": TENANT,
            "TFY_SECRET_MANIFESTS": str(self.manifests),
            "TFY_SECRET_TLS_DIR": str(self.folder / "tls-webhook"),
            "TFY_SECRET_BROKER_URL": broker_url,
            "TFY_SECRET_INIT_IMAGE": "registry.example/tfy-secret-init:0.1.0",
        }

    def admin_settings(self, broker_url: str) -> dict[str, str]:
        return {
            "TFY_SECRET_TENANT": TENANT,
            "TFY_SECRET_BROKER_URL": broker_url,
            "TFY_SECRET_BROKER_CA_FILE": str(self.ca),
            "TFY_SECRET_TOKEN": self.admin_token,
        }


@dataclass(frozen=True, slots=True)
class PodPlace:
    """A pod's part of the machine: its volumes, its container's root."""

    folder: Path

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def termination_log(self) -> Path:
        return self.folder / "termination-log"

    def init_settings(self) -> dict[str, str]:
        """In a pod these are the defaults; here the folders are elsewhere."""
        return {
            "TFY_SECRET_TOKEN_FILE": str(self.volumes / keys.TOKEN_VOLUME / "token"),
            "TFY_SECRET_VOLUMES": str(self.volumes),
            "TFY_SECRET_TERMINATION_LOG": str(self.termination_log),
            "TFY_SECRET_DEADLINE": "10",
        }


@contextmanager
def set_up() -> Iterator[Scenery]:
    """Everything that the programs need before they start; all of it is gone afterwards."""
    memory_root = _memory_root()
    with _own_folder(None) as folder, _own_folder(memory_root) as memory:
        scenery = Scenery(folder, memory, secrets.token_hex(16), secrets.token_hex(16))
        copytree(MANIFESTS, scenery.manifests)
        tokens = f"{scenery.pod_token},system:serviceaccount:shop:web,pod-1\n{scenery.admin_token},ann@acme.example,ann\n"
        (memory / "tokens.csv").write_text(tokens)
        _write_certificates(folder)
        yield scenery


def make_values() -> dict[str, bytes]:
    """What the admin stores. SENTRY_DSN is left out: the Deployment can do without it."""
    return {
        "DB_PASSWORD": f"s3{secrets.token_urlsafe(12)}".encode(),
        "STRIPE_KEY": f'sk_{secrets.token_hex(12)} $(DB_USER) "#"'.encode(),  # to see that nothing is expanded or unquoted
        "SMTP": f'{{"user": "shop", "password": "{secrets.token_hex(10)}"}}'.encode(),
        "SIGNING_KEY": secrets.token_bytes(64),
    }


def make_quoted_password() -> bytes:
    """A password that no env file of the kubelet's can carry."""
    return f"s3{secrets.token_urlsafe(9)}'{secrets.token_urlsafe(6)}".encode()


def _memory_root() -> Path:
    """A folder in memory, since the init container writes values to nothing else."""
    if sys.platform != "linux":
        raise NotHere(f"It needs Linux: values are written to tmpfs alone, and this is {sys.platform}. Run it in a Linux container or VM.")
    candidates = [Path(p) for p in (tempfile.gettempdir(), "/dev/shm", f"/run/user/{os.getuid()}")]  # noqa: S108
    for candidate in candidates:
        with suppress(OSError):
            opened = os.open(candidate, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if filesystem_of(opened) in IN_MEMORY and os.access(candidate, os.W_OK):
                    return candidate
            finally:
                os.close(opened)
    tried = ", ".join(map(str, candidates))
    raise NotHere(f"It needs a writable folder in memory (tmpfs); tried: {tried}. To fix: mount -t tmpfs tmpfs /dev/shm")


@contextmanager
def _own_folder(parent: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tfy-secret-demo-", dir=parent))
    try:
        yield folder
    finally:
        rmtree(folder)


def _write_certificates(folder: Path) -> None:
    """One CA, and a pair for each server: they never share a key."""
    now = datetime.now(UTC)
    authority = make_authority(now)
    for program in ("broker", "webhook"):
        pair = issue(authority, (HOST,), now)
        place = folder / f"tls-{program}"
        place.mkdir()
        (place / "tls.crt").write_bytes(pair.certificate)
        (place / "tls.key").write_bytes(pair.key)
        (place / "ca.crt").write_bytes(authority.certificate)
