"""The web page's settings: whether it is served, how long a session lasts, and the issuer that people log in with.

Decides which of them belong together; `broker.settings` reads them with the broker's others.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service.settings import Reader, Setting, count, flag, optional_path, text, url

MAX_MINUTES = 12 * 60  # a working day; every request reviews the token again all the same


def minutes(value: str) -> int:
    number = count(value)
    if not 1 <= number <= MAX_MINUTES:
        raise ValueError(f"allowed: minutes, from 1 to {MAX_MINUTES}")
    return number


def issuer_url(value: str) -> str | None:
    """As it is written: an issuer's name is compared character by character, a last slash too."""
    if value:
        url(value)
    return value or None


def origin(value: str) -> str | None:
    """The page's own address has no path: it is served at /ui/ wherever it is."""
    if not value:
        return None
    found = url(value)
    if urlsplit(found).path:
        raise ValueError("allowed: an https URL without a path, such as https://secrets.acme.example")
    return found.lower()


PAGE = Setting("TFY_SECRET_PAGE", flag, "true", "Whether the web page is served, under `/ui/`.")
SESSION_MINUTES = Setting(
    "TFY_SECRET_SESSION_MINUTES",
    minutes,
    "30",
    f"How long a login at the web page lasts at most, in minutes, from 1 to {MAX_MINUTES}. It ends before if its token does.",
)
PUBLIC_URL = Setting(
    "TFY_SECRET_PUBLIC_URL",
    origin,
    "",
    "Where people reach the web page, e.g. `https://secrets.acme.example`, without a path. Needed for a login with an issuer.",
)
OIDC_ISSUER = Setting(
    "TFY_SECRET_OIDC_ISSUER",
    issuer_url,
    "",
    "An OpenID Connect issuer that people log in with at the web page; the Kubernetes API server must trust it for the same client.",
)
OIDC_CLIENT_ID = Setting("TFY_SECRET_OIDC_CLIENT_ID", text, "", "The client id of the web page at the issuer.")
OIDC_CLIENT_SECRET_FILE = Setting(
    "TFY_SECRET_OIDC_CLIENT_SECRET_FILE", optional_path, "", "File with the client's secret, if it has one; PKCE is used with and without."
)
OIDC_SCOPES = Setting(
    "TFY_SECRET_OIDC_SCOPES", text, "openid email profile", "Scopes that are asked for at login, with blanks between; `openid` among them."
)
OIDC_CA_FILE = Setting(
    "TFY_SECRET_OIDC_CA_FILE", optional_path, "", "PEM bundle that the issuer's certificate is checked with; empty: the system's."
)
SETTINGS: tuple[Setting[Any], ...] = (
    PAGE,
    SESSION_MINUTES,
    PUBLIC_URL,
    OIDC_ISSUER,
    OIDC_CLIENT_ID,
    OIDC_CLIENT_SECRET_FILE,
    OIDC_SCOPES,
    OIDC_CA_FILE,
)


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """An issuer, and who we are there. `secret_file` is read at each login, so a new secret needs no restart."""

    issuer: str
    client_id: str
    scopes: str
    public_url: str
    secret_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class PageSettings:
    """`served` False: there is no page. `oidc` None: a token is the only way in."""

    served: bool = True
    session_minutes: int = 30
    public_url: str | None = None
    oidc: OidcSettings | None = None

    @classmethod
    def read(cls, reader: Reader) -> "PageSettings":
        """Faults are added to the reader's."""
        served, session_minutes, public_url = reader.read(PAGE), reader.read(SESSION_MINUTES), reader.read(PUBLIC_URL)
        issuer, client_id, scopes = reader.read(OIDC_ISSUER), reader.read(OIDC_CLIENT_ID), reader.read(OIDC_SCOPES)
        secret_file, ca_file = reader.read(OIDC_CLIENT_SECRET_FILE), reader.read(OIDC_CA_FILE)
        if not issuer:
            reader.faults += [
                f"{setting.name}: is given without {OIDC_ISSUER.name}; give both, or remove it"
                for setting, value in ((OIDC_CLIENT_ID, client_id), (OIDC_CLIENT_SECRET_FILE, secret_file))
                if value and not reader.given(OIDC_ISSUER)
            ]
            return cls(served, session_minutes, public_url)
        reader.faults += [
            f"{setting.name}: found nothing; it must be given with {OIDC_ISSUER.name}"
            for setting, value in ((OIDC_CLIENT_ID, client_id), (PUBLIC_URL, public_url))
            if not value
        ]
        if "openid" not in (scopes or "").split():
            reader.faults.append(f"{OIDC_SCOPES.name}: found '{scopes}'; allowed: scopes with 'openid' among them")
        oidc = OidcSettings(issuer, client_id, scopes, public_url or "", secret_file, ca_file)
        return cls(served, session_minutes, public_url, oidc)
