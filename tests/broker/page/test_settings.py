"""The page's settings: what belongs together, all faults at once."""

import pytest

from broker.page.settings import SETTINGS, OidcSettings, PageSettings
from service.settings import Reader, SettingsError

OIDC = {
    "TFY_SECRET_OIDC_ISSUER": "https://id.acme.example/realms/acme/",
    "TFY_SECRET_OIDC_CLIENT_ID": "page",
    "TFY_SECRET_PUBLIC_URL": "https://Secrets.acme.example/",
}


def read(environ):
    reader = Reader(environ, SETTINGS)
    settings = PageSettings.read(reader)
    reader.finish()
    return settings


def faults(environ):
    with pytest.raises(SettingsError) as caught:
        read(environ)
    return caught.value.faults


def test_defaults():
    assert read({}) == PageSettings(served=True, session_minutes=30, public_url=None, oidc=None)


def test_an_issuer():
    """Its name stays as it is written, to the last slash; the public URL is an origin."""
    assert read(OIDC).oidc == OidcSettings(
        "https://id.acme.example/realms/acme/", "page", "openid email profile", "https://secrets.acme.example"
    )


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"TFY_SECRET_SESSION_MINUTES": "0"}, "TFY_SECRET_SESSION_MINUTES: found '0'; allowed: minutes, from 1 to 720"),
        ({"TFY_SECRET_SESSION_MINUTES": "721"}, "TFY_SECRET_SESSION_MINUTES: found '721'; allowed: minutes, from 1 to 720"),
        ({"TFY_SECRET_PAGE": "maybe"}, "TFY_SECRET_PAGE: found 'maybe'; allowed: true or false"),
        (
            {"TFY_SECRET_PUBLIC_URL": "https://acme.example/secrets"},
            "TFY_SECRET_PUBLIC_URL: found 'https://acme.example/secrets'; allowed: an https URL without a path, such as https://secrets.acme.example",
        ),
        (
            {"TFY_SECRET_PUBLIC_URL": "http://acme.example"},
            "TFY_SECRET_PUBLIC_URL: found 'http://acme.example'; allowed: an https URL such as https://broker.example:8443",
        ),
        ({"TFY_SECRET_OIDC_CLIENT_ID": "page"}, "TFY_SECRET_OIDC_CLIENT_ID: is given without TFY_SECRET_OIDC_ISSUER; give both, or remove it"),
        (OIDC | {"TFY_SECRET_OIDC_SCOPES": "email"}, "TFY_SECRET_OIDC_SCOPES: found 'email'; allowed: scopes with 'openid' among them"),
        (
            OIDC | {"TFY_SECRET_OIDC_ISSUER": "http://id.acme.example"},
            "TFY_SECRET_OIDC_ISSUER: found 'http://id.acme.example'; allowed: an https URL such as https://broker.example:8443",
        ),
    ],
)  # fmt: skip
def test_a_fault(environ, fault):
    assert fault in faults(environ)


@pytest.mark.parametrize("password", ["CANARY", "CAN/CANARY", "CAN@CANARY", "?CANARY#"])
def test_a_fault_repeats_no_password_of_a_url(password):
    (found,) = faults({"TFY_SECRET_PUBLIC_URL": f"https://me:{password}@acme.example"})
    assert found.startswith("TFY_SECRET_PUBLIC_URL: found 'https://...@acme.example'; allowed: an https URL")
    assert "CANARY" not in found


def test_every_fault_at_once():
    found = faults({"TFY_SECRET_OIDC_ISSUER": "https://id.acme.example", "TFY_SECRET_OIDC_SCOPES": "", "TFY_SECRET_SESSION_MINUTES": "x"})
    assert [fault.partition(":")[0] for fault in found] == [
        "TFY_SECRET_SESSION_MINUTES", "TFY_SECRET_OIDC_CLIENT_ID", "TFY_SECRET_PUBLIC_URL", "TFY_SECRET_OIDC_SCOPES",
    ]  # fmt: skip
