"""A page over TLS with groups in memory, and browsers as far as HTTP goes: cookies, and what a browser says of where a form is from."""

import re
import ssl

import httpx
import pytest
import trustme
from aiohttp import web

from broker.app import build_app
from broker.audit import Audit
from broker.metrics import Metrics
from broker.page.opening import open_page
from broker.page.settings import PageSettings
from broker.routes import Routes
from broker.tokens import StaticTokens
from broker.uses import NotKnown
from contract.values import SecretValue
from tests.broker.page.memory_groups import Kept, MemoryGroups

CANARY = "CANARY-5e1f"
TOKENS = {name: f"CANARY-token-{name}" for name in ("admin", "editor", "viewer", "none", "tenant")}


def payments(**keys):
    kept = Kept("payments", {f"user:{role}": f"secret-group-{role}" for role in ("admin", "editor", "viewer")})
    kept.keys = {"DB_PASSWORD": [SecretValue(f"{CANARY}-old".encode()), SecretValue(f"{CANARY}-new".encode())], **keys}
    return kept


class Browser:
    """Keeps cookies, does not follow redirects, and sends what a browser sends with a form of the same page."""

    def __init__(self, url, trust):
        self.http = httpx.AsyncClient(base_url=url, verify=trust, headers={"Accept": "text/html"})

    async def get(self, path, **headers):
        return await self.http.get(path, headers={"Sec-Fetch-Site": "none"} | headers)

    async def post(self, path, fields=None, files=None, headers=None, **named):
        sent = {"Sec-Fetch-Site": "same-origin", "Origin": "null"} if headers is None else headers
        return await self.http.post(path, data=fields, files=files, headers=sent, **named)

    async def form_token(self, path="/ui/groups"):
        return re.search(r'name="form_token" value="([^"]+)"', (await self.get(path)).text)[1]

    async def send(self, path, fields=None, files=None, page="/ui/groups"):
        """A form of ours, with its token."""
        return await self.post(path, {"form_token": await self.form_token(page)} | (fields or {}), files)

    async def login(self, who):
        answer = await self.post("/ui/login", {"token": TOKENS[who], "next": "/ui/groups"})
        assert answer.status_code == 303, answer.text
        return self


class Site:
    """A page that serves, and what it is made of."""

    def __init__(self, folder, trust, groups, settings=None, uses=None, authenticator=None, port=0):
        self.port = port
        self.folder, self.trust, self.groups = folder, trust, groups
        self.metrics = Metrics()
        self.audit_path = folder / "audit.log"
        self.audit = Audit(self.audit_path, self.metrics)
        tokens = folder / "tokens.csv"
        tokens.write_text("".join(f"{token},{who},{who}\n" for who, token in TOKENS.items()))
        self.tokens = tokens
        self.authenticator = authenticator or StaticTokens(tokens)
        self.page = open_page(settings or PageSettings(), folder, self.authenticator, self.audit, groups, uses or NotKnown())
        self.browsers = []

    async def __aenter__(self):
        routes = Routes(self.authenticator, None, None, self.audit, self.metrics)
        self.runner = web.AppRunner(build_app(routes, 100, self.page.table()), access_log=None)
        await self.runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        await web.TCPSite(self.runner, "127.0.0.1", self.port, ssl_context=context).start()
        self.url = f"https://localhost:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        for browser in self.browsers:
            await browser.http.aclose()
        await self.runner.cleanup()
        self.audit.close()

    def browser(self):
        self.browsers.append(Browser(self.url, self.trust))
        return self.browsers[-1]

    async def logged_in(self, who):
        return await self.browser().login(who)


@pytest.fixture(scope="session")
def page_authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def page_leaf(page_authority):
    return page_authority.issue_cert("localhost", "127.0.0.1")


@pytest.fixture
def tls_folder(tmp_path, page_leaf):
    page_leaf.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    (tmp_path / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in page_leaf.cert_chain_pems))
    return tmp_path


@pytest.fixture(scope="session")
def page_trust(page_authority):
    context = ssl.create_default_context()
    page_authority.configure_trust(context)
    return context


@pytest.fixture
async def open_site(tls_folder, page_trust):
    """Make a site with parts of its own; it is closed at the end."""
    sites = []

    async def one(groups=None, **named):
        site = Site(tls_folder, page_trust, groups or MemoryGroups(payments(), admins={"user:tenant"}), **named)
        sites.append(await site.__aenter__())
        return site

    yield one
    for site in sites:
        await site.__aexit__()


@pytest.fixture
async def site(open_site):
    return await open_site()
