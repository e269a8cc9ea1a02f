"""What `inject` knows without a cluster: the folder's stores and groups, the settings, and the broker's CA from a file."""

import json
from pathlib import Path

import pytest
import trustme

from service.settings import SettingsError
from tests.webhook.pods import KEY, app, injected, plan_of
from tests.webhook.programs import environment, write_manifests
from webhook.errors import NotAManifest
from webhook.offline import offline_cluster
from webhook.settings import Settings


@pytest.fixture(autouse=True)
def _logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's own logging is not for this process."""
    monkeypatch.setattr("webhook.offline.configure_logs", lambda _level: None)


def _settings(manifests: Path, **settings: str) -> Settings:
    return Settings.from_environ(environment(manifests, **settings))


def test_the_folder_is_the_catalog(tmp_path: Path) -> None:
    """Read once; the same object serves every document."""
    cluster = offline_cluster(_settings(write_manifests(tmp_path), KUBELET_VERSION="1.35", MODE="envfile", TENANT_ADMINS="user:root"))
    assert cluster() is cluster()
    found = cluster()
    assert {"payments", "mcp", "search", "orphan"} <= set(found.catalog.groups)
    assert (found.versions.server, found.mode, found.admins) == ((1, 35), "envfile", frozenset({"user:root"}))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"TLS_DIR": "{0}"}, "of the folder", id="of-the-tls-folder"),
        pytest.param({"TLS_DIR": "{0}", "BROKER_CA_FILE": "{0}/other"}, "of the file", id="of-the-file-that-is-named"),
    ],
)
def test_ca(settings: dict[str, str], expected: str, tmp_path: Path) -> None:
    """As in a cluster; without one the plan's field is empty, which no init container accepts."""
    (tmp_path / "ca.crt").write_text("of the folder")
    (tmp_path / "other").write_text("of the file")
    manifests = write_manifests(tmp_path / "manifests")
    cluster = offline_cluster(_settings(manifests, **{name: value.format(tmp_path) for name, value in settings.items()}))
    assert plan_of(injected(app(A=KEY), cluster())).ca == expected


def test_a_private_key_beside_the_ca_is_not_printed(tmp_path: Path) -> None:
    """The plan stands in the pod, for everyone to read."""
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
    cluster = offline_cluster(_settings(write_manifests(tmp_path / "manifests"), BROKER_CA_FILE=str(tmp_path / "ca.pem")))
    shown = json.dumps(injected(app(A=KEY), cluster()))
    assert ("PRIVATE KEY" in shown, plan_of(injected(app(A=KEY), cluster())).ca) == (False, authority.cert_pem.bytes().decode())


def test_no_such_folder(tmp_path: Path) -> None:
    """The setting and the folder are named."""
    with pytest.raises(NotAManifest) as caught:
        offline_cluster(_settings(tmp_path / "nowhere"))
    assert str(caught.value) == f"TFY_SECRET_MANIFESTS: {tmp_path}/nowhere cannot be read"


def test_no_folder() -> None:
    """Without a cluster there is nothing else to know the groups from."""
    with pytest.raises(SettingsError) as caught:
        offline_cluster(Settings.from_environ(environment()))
    assert caught.value.faults == ["TFY_SECRET_MANIFESTS: found nothing; inject needs the folder with the SecretStores and SecretGroups"]


def test_no_such_ca(tmp_path: Path) -> None:
    """A CA that is named must be there."""
    with pytest.raises(NotAManifest) as caught:
        offline_cluster(_settings(write_manifests(tmp_path), BROKER_CA_FILE="/nowhere/ca.crt"))
    assert str(caught.value) == "/nowhere/ca.crt: the broker's CA cannot be read"
