from pathlib import Path

import pytest

from service.settings import Reader, SettingsError
from webhook.registry.settings import REGISTRY_SETTINGS, RegistrySettings


def read(**environ):
    reader = Reader({f"TFY_SECRET_REGISTRY_{name}": value for name, value in environ.items()}, REGISTRY_SETTINGS)
    found = RegistrySettings.read(reader)
    reader.finish()
    return found


def test_defaults():
    assert read() == RegistrySettings(None, {}, 3.0, 10.0)


def test_given():
    found = read(
        CA_FILE="/etc/ca.crt",
        MIRRORS="docker.io=https://a.example/hub/, r.example:5000=https://b.example:444,index.docker.io=https://c.example",
        TIMEOUT="2.5",
        CACHE_SECONDS="0",
    )
    mirrors = {"docker.io": ("https://a.example/hub", "https://c.example"), "r.example:5000": ("https://b.example:444",)}
    assert found == RegistrySettings(Path("/etc/ca.crt"), mirrors, 2.5, 0.0)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"MIRRORS": "https://a.example"}, "registry=https://"),
        ({"MIRRORS": "docker.io=http://a.example"}, "an https URL"),
        ({"MIRRORS": "docker.io=https://u:p@a.example"}, "an https URL"),
        ({"TIMEOUT": "5"}, "at most 4.5"),
        ({"TIMEOUT": "0"}, "above 0"),
        ({"CACHE_SECONDS": "long"}, "allowed: seconds"),
    ],
)
def test_faults(environ, says):
    with pytest.raises(SettingsError) as error:
        read(**environ)
    assert says in str(error.value)


def test_names_are_ours():
    assert all(setting.name.startswith("TFY_SECRET_REGISTRY_") and setting.doc.endswith(".") for setting in REGISTRY_SETTINGS)
