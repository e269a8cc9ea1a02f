"""The webhook's settings: defaults, and every fault of the environment in one message."""

from pathlib import Path
from typing import Any

import pytest

from contract.fqn import PART_RULE
from service.settings import Address, SettingsError
from webhook.settings import SETTINGS, InitSettings, Settings

QUANTITY = "allowed: a Kubernetes quantity above zero, e.g. 100m or 64Mi, or nothing to leave the field out"
NEEDED = {
    "TFY_SECRET_TENANT": "acme",
    "TFY_SECRET_BROKER_URL": "https://broker.example:8443/",
    "TFY_SECRET_INIT_IMAGE": "registry.example/init:1",
}


def test_defaults() -> None:
    """Three settings have none; the rest is ready for a cluster."""
    settings = Settings.from_environ(NEEDED)
    assert (settings.tenant, settings.broker_url, settings.mode, settings.kubelet_version) == (
        "acme",
        "https://broker.example:8443",
        "auto",
        "1.36",
    )
    assert (settings.listen, settings.metrics_listen) == (Address("0.0.0.0", 8443), Address("0.0.0.0", 9090))
    assert (settings.tls_dir, settings.manifests, settings.broker_ca_file) == (None, None, None)
    assert settings.tenant_admins == frozenset()
    assert settings.init == InitSettings("registry.example/init:1", "IfNotPresent", "100m", "64Mi", 65532, 65532, "RuntimeDefault", "16Mi")


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        pytest.param("MODE", "exec", lambda s: s.mode == "exec", id="mode"),
        pytest.param("LISTEN", "[::1]:0", lambda s: s.listen == Address("::1", 0), id="ipv6"),
        pytest.param("METRICS_LISTEN", "", lambda s: s.metrics_listen is None, id="no-metrics"),
        pytest.param("TLS_DIR", "/tls", lambda s: s.tls_dir == Path("/tls"), id="tls-dir"),
        pytest.param("TENANT_ADMINS", "team:platform, user:root", lambda s: s.tenant_admins == {"team:platform", "user:root"}, id="admins"),
        pytest.param("INIT_USER", "", lambda s: s.init.user is None, id="no-user"),
        pytest.param("INIT_USER", "1000", lambda s: s.init.user == 1000, id="user"),
        pytest.param("INIT_SECCOMP", "", lambda s: s.init.seccomp == "", id="no-seccomp"),
        pytest.param("INIT_CPU", "", lambda s: s.init.cpu == "", id="no-cpu"),
        pytest.param("KUBELET_VERSION", "v1.35.2", lambda s: s.kubelet_version == "v1.35.2", id="version"),
        pytest.param("INIT_CPU", "0.5", lambda s: s.init.cpu == "0.5", id="part-of-a-cpu"),
        pytest.param("INIT_MEMORY", "1e8", lambda s: s.init.memory == "1e8", id="memory-with-an-exponent"),
        pytest.param("VOLUME_SIZE", "", lambda s: s.init.volume_size == "", id="no-size"),
    ],
)
def test_given(name: str, value: str, read: Any) -> None:
    """What is said is taken; an empty one leaves its field out."""
    assert read(Settings.from_environ(NEEDED | {f"TFY_SECRET_{name}": value}))


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        pytest.param(
            "BROKER_URL", "http://b", "found 'http://b'; allowed: an https URL such as https://broker.example:8443", id="plain-http"
        ),
        pytest.param("TENANT", " ", f"found ' '; allowed: {PART_RULE}", id="empty-tenant"),
        pytest.param("TENANT", "a:b", f"found 'a:b'; allowed: {PART_RULE}", id="tenant-that-no-name-can-have"),
        pytest.param("INIT_CPU", "0", f"found '0'; {QUANTITY}", id="no-cpu"),
        pytest.param("INIT_MEMORY", "64MB", f"found '64MB'; {QUANTITY}", id="memory-in-no-unit"),
        pytest.param("VOLUME_SIZE", "-1Mi", f"found '-1Mi'; {QUANTITY}", id="size-below-zero"),
        pytest.param("MODE", "env", "found 'env'; allowed: auto, envfile, exec", id="mode"),
        pytest.param("LISTEN", "0.0.0.0", "found '0.0.0.0'; allowed: host:port, e.g. 0.0.0.0:8443", id="no-port"),
        pytest.param("INIT_USER", "0", "found '0'; allowed: a number above 0, or nothing to leave the field out", id="root"),
        pytest.param("INIT_GROUP", "x", "found 'x'; allowed: a number above 0, or nothing to leave the field out", id="group"),
        pytest.param("INIT_IMAGE_PULL_POLICY", "never", "found 'never'; allowed: , IfNotPresent, Always, Never", id="pull-policy"),
        pytest.param("KUBELET_VERSION", "latest", "found 'latest'; allowed: a Kubernetes version such as 1.36", id="version"),
        pytest.param("LOG_LEVEL", "trace", "found 'trace'; allowed: debug, info, warning, error", id="log-level"),
    ],
)
def test_fault(name: str, value: str, fault: str) -> None:
    """Each names the variable, what was found and what is allowed."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(NEEDED | {f"TFY_SECRET_{name}": value})
    assert caught.value.faults == [f"TFY_SECRET_{name}: {fault}"]


def test_all_faults_together() -> None:
    """Nobody mends an environment one fault at a time."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"TFY_SECRET_LISTEN": "x"})
    assert sorted(fault.partition(":")[0] for fault in caught.value.faults) == sorted([*NEEDED, "TFY_SECRET_LISTEN"])


def test_each_setting_is_documented() -> None:
    """Names are unique, and each has a sentence for docs/settings.md."""
    names = [setting.name for setting in SETTINGS]
    assert len(set(names)) == len(names)
    assert all(setting.doc.endswith(".") and setting.name.startswith("TFY_SECRET_") for setting in SETTINGS)
