"""Put the page together from what the broker has and from its settings."""

from pathlib import Path

from broker.audit import Audit
from broker.groups.service import Groups
from broker.identity import Authenticator
from broker.page.oidc import Oidc
from broker.page.routes import Page
from broker.page.sealing import SessionKeys
from broker.page.session import Sessions
from broker.page.settings import PageSettings
from broker.page.visit import Parts
from broker.rates import Rates
from broker.uses import Uses

# A person logs in a few times a day; behind one address may be an office, or everyone who comes through an ingress.
LOGIN_BURST, LOGIN_SECONDS = 30, 2.0


def open_page(settings: PageSettings, tls_dir: Path, authenticator: Authenticator, audit: Audit, groups: Groups, uses: Uses) -> Page:
    keys = SessionKeys(tls_dir)
    parts = Parts(
        authenticator=authenticator,
        audit=audit,
        groups=groups,
        uses=uses,
        keys=keys,
        sessions=Sessions(keys, settings.session_minutes),
        logins=Rates(LOGIN_BURST, LOGIN_SECONDS),
        public_url=settings.public_url,
        oidc=Oidc(settings.oidc) if settings.oidc is not None else None,
    )
    return Page(parts)
