"""The management API over real HTTPS: a broker put together in this process, people of every role, and TrueFoundry's SDK as the client."""

import json

import httpx
import pytest
from truefoundry_sdk import AsyncTrueFoundry, TrueFoundry

from broker.tokens import StaticTokens
from service.server import listening
from service.settings import Address
from tests.broker.world import ROLES

CANARY = "CANARY-7d3a"
PEOPLE = (*ROLES, "none", "root", "maker")
TOKENS = "".join(f"{CANARY}-{name},{name},{n}{',platform' if name == 'root' else ''}\n" for n, name in enumerate(PEOPLE)) + (
    f"{CANARY}-web,system:serviceaccount:shop:web,90\n"
)
API = "/api/svc/v1"


class FixedTls:
    """A TlsSource that does not change."""

    def __init__(self, context):
        self.current = context


class Site:
    """A running broker, and what its clients need."""

    def __init__(self, world, url, trust):
        self.world, self.url, self.trust = world, url, trust
        self._clients = []

    def sdk(self, who):
        """The SDK's async client, unchanged: it takes an httpx client that trusts our CA."""
        made = httpx.AsyncClient(verify=self.trust, timeout=10)
        self._clients.append(made)
        return AsyncTrueFoundry(base_url=self.url, api_key=f"{CANARY}-{who}", httpx_client=made)

    def sync_sdk(self, who, client):
        return TrueFoundry(base_url=self.url, api_key=f"{CANARY}-{who}", httpx_client=client)

    async def call(self, who, method, path, body=None, **options):
        """Status and document of one plain request."""
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {CANARY}-{who}"} if who else {})
        if body is not None:
            options["content"] = json.dumps(body)
            headers = {"Content-Type": "application/json"} | headers
        made = self._clients[0] if self._clients else httpx.AsyncClient(verify=self.trust, timeout=10)
        if not self._clients:
            self._clients.append(made)
        answer = await made.request(method, self.url + (path if path.startswith("/v1") else API + path), headers=headers, **options)
        return answer.status_code, answer.json() if answer.content else None

    async def close(self):
        for client in self._clients:
            await client.aclose()


@pytest.fixture
async def open_site(make, tmp_path, server_tls, client_tls):
    """Sites with settings of their own."""
    import contextlib

    async with contextlib.AsyncExitStack() as stack:

        async def one(**settings):
            settings = {"admins": frozenset({"team:platform"}), "creators": frozenset({"user:maker"})} | settings
            world = make(**settings)
            (tmp_path / "tokens.csv").write_text(TOKENS)
            app = world.app(StaticTokens(tmp_path / "tokens.csv"))
            port = await stack.enter_async_context(listening(app, Address("127.0.0.1", 0), FixedTls(server_tls), grace=1.0))
            site = Site(world, f"https://localhost:{port}", client_tls)
            stack.push_async_callback(site.close)
            return site

        yield one


@pytest.fixture
async def site(open_site):
    return await open_site()
