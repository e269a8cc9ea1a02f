"""All faults of the environment together; combinations that make no sense are refused with what to do."""

from pathlib import Path

import pytest

from broker.settings import SETTINGS, Settings
from service.settings import SettingsError

CLUSTER = {"TFY_SECRET_TENANT": "acme", "TFY_SECRET_TLS_DIR": "/tls"}
LOCAL = CLUSTER | {"TFY_SECRET_MANIFESTS": "/m", "TFY_SECRET_TOKENS_FILE": "/t"}


def faults(environ):
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(environ)
    return caught.value.faults


def test_defaults():
    settings = Settings.from_environ(CLUSTER)
    assert (settings.cache_seconds, settings.cache_bytes, settings.store_concurrency, settings.max_requests) == (5.0, 32 << 20, 32, 2000)
    assert (settings.audit_file, settings.manifests, settings.tls_dir) == (None, None, Path("/tls"))


def test_every_fault_at_once():
    found = faults({"TFY_SECRET_CACHE_SECONDS": "soon", "TFY_SECRET_STORE_CONCURRENCY": "0", "TFY_SECRET_EMBEDDED_DB": "/db"})
    assert [fault.partition(":")[0] for fault in found] == [
        "TFY_SECRET_TENANT",
        "TFY_SECRET_CACHE_SECONDS",
        "TFY_SECRET_STORE_CONCURRENCY",
        "TFY_SECRET_TLS_DIR",
        "TFY_SECRET_EMBEDDED_DB and TFY_SECRET_EMBEDDED_KEY_FILE",
    ]
    assert "tfy-secret-broker-tls" in found[3]


def test_a_tokens_file_is_refused_in_a_cluster():
    assert "is for development" in faults(CLUSTER | {"TFY_SECRET_TOKENS_FILE": "/t"})[0]


def test_manifests_need_a_tokens_file():
    assert "must be given with TFY_SECRET_MANIFESTS" in faults(CLUSTER | {"TFY_SECRET_MANIFESTS": "/m"})[0]
    assert Settings.from_environ(LOCAL).tokens_file == Path("/t")


def test_variables_that_the_kubelet_sets_for_our_services_are_no_faults(capsys):
    links = {
        "TFY_SECRET_BROKER_SERVICE_HOST": "10.0.0.1",
        "TFY_SECRET_BROKER_SERVICE_PORT": "443",
        "TFY_SECRET_BROKER_SERVICE_PORT_HTTPS": "443",
        "TFY_SECRET_BROKER_PORT": "tcp://10.0.0.1:443",
        "TFY_SECRET_BROKER_PORT_443_TCP": "tcp://10.0.0.1:443",
        "TFY_SECRET_BROKER_PORT_443_TCP_PROTO": "tcp",
        "TFY_SECRET_BROKER_PORT_443_TCP_ADDR": "10.0.0.1",
    }
    Settings.from_environ(CLUSTER | links)
    assert capsys.readouterr().err == ""


def test_a_persons_settings_are_no_faults():
    Settings.from_environ(CLUSTER | {"TFY_SECRET_BROKER_URL": "https://x", "TFY_SECRET_BROKER_CA_FILE": "/ca", "TFY_SECRET_TOKEN": "t"})


@pytest.mark.parametrize("name", ["TFY_SECRET_TENANT_ADMINS", "TFY_SECRET_GROUP_CREATORS"])
def test_a_teams_name_with_blanks_is_one_subject(name):
    """Taken apart at the blank it would be another team's name, and that team would get the rights."""
    settings = Settings.from_environ(
        CLUSTER | {name: "team:Platform Team, user:ann@acme.example,\n namespace:ops, team:a  team:b c\tuser:d"}
    )
    expected = {"team:Platform Team", "user:ann@acme.example", "namespace:ops", "team:a", "team:b c", "user:d"}
    assert expected == (settings.tenant_admins if name == "TFY_SECRET_TENANT_ADMINS" else settings.group_creators)


@pytest.mark.parametrize(
    "found", ["platform", "team:a,platform", "group:x", "team:", "*", "team:a, b", "serviceaccount:shop", "user:a team:"]
)
def test_what_is_no_list_of_subjects(found):
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(CLUSTER | {"TFY_SECRET_TENANT_ADMINS": found})
    allowed = "user:<name>, team:<name>, serviceaccount:<namespace>/<name> or namespace:<name>; several with commas between them"
    assert caught.value.faults == [f"TFY_SECRET_TENANT_ADMINS: found '{found}'; allowed: {allowed}"]


def test_each_setting_is_documented():
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    assert all(setting.doc.endswith(".") for setting in SETTINGS)
