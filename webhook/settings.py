"""The webhook's settings: from the environment, once, all faults together. docs/settings.md is made from `SETTINGS`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.settings import (
    COMMON,
    LISTEN,
    LOG_LEVEL,
    MANIFESTS,
    TENANT,
    TENANT_ADMINS,
    TLS_DIR,
    Address,
    Reader,
    Setting,
    choice,
    filled,
    metrics_listen,
    optional_path,
    url,
)
from webhook.modes import MODES
from webhook.registry.settings import REGISTRY_SETTINGS, RegistrySettings


def version(value: str) -> str:
    if not re.fullmatch(r"v?\d{1,3}\.\d{1,3}(?:\.[\w.+-]*)?", value):
        raise ValueError("allowed: a Kubernetes version such as 1.36")
    return value


def user(value: str) -> int | None:
    if value and not re.fullmatch(r"[1-9][0-9]{0,9}", value):
        raise ValueError("allowed: a number above 0, or nothing to leave the field out")
    return int(value) if value else None


def quantity(value: str) -> str:
    """A Kubernetes quantity above zero, or nothing: the API server would refuse every pod with another."""
    form = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
    if value and (not re.fullmatch(form, value, re.ASCII) or not re.search("[1-9]", re.split("[eE]", value)[0])):
        raise ValueError("allowed: a Kubernetes quantity above zero, e.g. 100m or 64Mi, or nothing to leave the field out")
    return value


BROKER_URL = Setting("TFY_SECRET_BROKER_URL", url, None, "Where init containers reach the broker (https).")
BROKER_CA_FILE = Setting(
    "TFY_SECRET_BROKER_CA_FILE",
    optional_path,
    "",
    "PEM bundle that the broker's certificate is verified with; empty: the self-managed CA, or `ca.crt` of TFY_SECRET_TLS_DIR.",
)
INIT_IMAGE = Setting("TFY_SECRET_INIT_IMAGE", filled, None, "Image of the injected init container.")
INIT_PULL_POLICY = Setting(
    "TFY_SECRET_INIT_IMAGE_PULL_POLICY",
    choice("", "IfNotPresent", "Always", "Never"),
    "IfNotPresent",
    "Its `imagePullPolicy`; empty leaves the field out.",
)
INIT_CPU = Setting(
    "TFY_SECRET_INIT_CPU",
    quantity,
    "100m",
    "Its CPU request and limit; empty leaves both out (a Guaranteed pod is then Burstable), as does a pod whose `spec.resources` says cpu.",
)
INIT_MEMORY = Setting(
    "TFY_SECRET_INIT_MEMORY",
    quantity,
    "64Mi",
    "Its memory request and limit; empty leaves both out, as does a pod whose `spec.resources` says memory.",
)
INIT_USER = Setting("TFY_SECRET_INIT_USER", user, "65532", "Its `runAsUser`; empty leaves the field out, where the platform assigns users.")
INIT_GROUP = Setting("TFY_SECRET_INIT_GROUP", user, "65532", "Its `runAsGroup`; empty leaves the field out.")
INIT_SECCOMP = Setting(
    "TFY_SECRET_INIT_SECCOMP", choice("", "RuntimeDefault"), "RuntimeDefault", "Its seccomp profile; empty leaves the field out."
)
VOLUME_SIZE = Setting(
    "TFY_SECRET_VOLUME_SIZE", quantity, "16Mi", "`sizeLimit` of each container's tmpfs volume; empty leaves the field out."
)
MODE = Setting("TFY_SECRET_MODE", choice(*MODES), "auto", "Delivery mode of pods whose annotation does not say.")
KUBELET_VERSION = Setting("TFY_SECRET_KUBELET_VERSION", version, "1.36", "What `auto` assumes of API server and kubelets off-cluster.")

SETTINGS: tuple[Setting[Any], ...] = (
    *COMMON,
    BROKER_URL,
    BROKER_CA_FILE,
    INIT_IMAGE,
    INIT_PULL_POLICY,
    INIT_CPU,
    INIT_MEMORY,
    INIT_USER,
    INIT_GROUP,
    INIT_SECCOMP,
    VOLUME_SIZE,
    MODE,
    KUBELET_VERSION,
    *REGISTRY_SETTINGS,
)


@dataclass(frozen=True, slots=True)
class InitSettings:
    """The injected init container; None or "" leaves a field out."""

    image: str
    pull_policy: str
    cpu: str
    memory: str
    user: int | None
    group: int | None
    seccomp: str
    volume_size: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the webhook is told."""

    tenant: str
    tenant_admins: frozenset[str]
    listen: Address
    metrics_listen: Address | None
    tls_dir: Path | None
    manifests: Path | None
    log_level: str
    broker_url: str
    broker_ca_file: Path | None
    mode: str
    kubelet_version: str
    init: InitSettings
    registry: RegistrySettings

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises SettingsError with every fault."""
        reader = Reader(environ, SETTINGS)
        init = InitSettings(
            image=reader.read(INIT_IMAGE),
            pull_policy=reader.read(INIT_PULL_POLICY),
            cpu=reader.read(INIT_CPU),
            memory=reader.read(INIT_MEMORY),
            user=reader.read(INIT_USER),
            group=reader.read(INIT_GROUP),
            seccomp=reader.read(INIT_SECCOMP),
            volume_size=reader.read(VOLUME_SIZE),
        )
        settings = cls(
            tenant=reader.read(TENANT),
            tenant_admins=reader.read(TENANT_ADMINS),
            listen=reader.read(LISTEN),
            metrics_listen=metrics_listen(reader),
            tls_dir=reader.read(TLS_DIR),
            manifests=reader.read(MANIFESTS),
            log_level=reader.read(LOG_LEVEL),
            broker_url=reader.read(BROKER_URL),
            broker_ca_file=reader.read(BROKER_CA_FILE),
            mode=reader.read(MODE),
            kubelet_version=reader.read(KUBELET_VERSION),
            init=init,
            registry=RegistrySettings.read(reader),
        )
        reader.finish()
        return settings
