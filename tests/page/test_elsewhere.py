"""What begins on another site, in a real browser: the way back from an issuer, a link in a chat, a form that should not work, a frame."""

import ssl

import pytest
import pytest_asyncio
from playwright.async_api import expect

from broker.page.settings import OidcSettings, PageSettings
from tests.broker.page.conftest import Site
from tests.broker.page.issuer import CLIENT, Issuer, TrustingCluster
from tests.broker.page.memory_groups import Kept, MemoryGroups


@pytest_asyncio.fixture(loop_scope="module")
async def issuer(browser_authority):
    """At 127.0.0.1, which is another site than localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    browser_authority.issue_cert("127.0.0.1").configure_cert(context)
    async with Issuer(context, "127.0.0.1") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def site(browser_authority, issuer, tmp_path, unused_tcp_port):
    leaf = browser_authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    (tmp_path / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    browser_authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    public = f"https://localhost:{unused_tcp_port}"
    settings = PageSettings(public_url=public, oidc=OidcSettings(issuer.url, CLIENT, "openid", public, ca_file=tmp_path / "ca.crt"))
    groups = MemoryGroups(Kept("payments", {"team:platform": "secret-group-admin", "user:admin": "secret-group-admin"}))
    async with Site(tmp_path, None, groups, settings=settings, authenticator=TrustingCluster([issuer.url]), port=unused_tcp_port) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def page(chromium, site):
    context = await chromium.new_context(ignore_https_errors=True, base_url=site.url)
    made = await context.new_page()
    made.set_default_timeout(5000)
    yield made
    await context.close()


async def logged_in(page):
    await page.goto("/ui/groups/payments")
    await page.get_by_role("link", name="Log in with 127.0.0.1").click()
    await expect(page.get_by_role("heading", name="payments")).to_be_visible()


async def test_an_issuer_leads_back_to_where_one_wanted_to_go(page, site):
    """There, back, and on with a cookie that is Strict."""
    await logged_in(page)
    assert page.url == f"{site.url}/ui/groups/payments"
    await expect(page.get_by_text("ann@acme.example").first).to_be_visible()
    assert {c["name"]: c["sameSite"] for c in await page.context.cookies(site.url)} == {"__Host-tfy-session": "Strict"}


async def test_a_link_from_another_site_finds_one_logged_in(page, site, issuer):
    await logged_in(page)
    await page.goto(f"{issuer.url}/link?to={site.url}/ui/groups/payments")
    await page.get_by_role("link", name="go").click()
    await expect(page.get_by_role("heading", name="payments")).to_be_visible()


async def test_a_form_on_another_site_does_nothing(page, site, issuer):
    await logged_in(page)
    await page.goto(f"{issuer.url}/link?to=x")
    await page.evaluate(
        "(to) => { document.body.innerHTML = `<form method=post action='${to}/ui/groups/payments/delete'><input name=name value=payments><button>go</button></form>`; document.querySelector('button').click() }",
        site.url,
    )
    await page.wait_for_url(f"{site.url}/**")
    assert site.groups.done == []
    await expect(page.get_by_role("heading", name="payments")).to_have_count(0)


@pytest.mark.parametrize("path", ["/ui/login", "/ui/groups"])
async def test_no_site_shows_us_in_a_frame(page, site, issuer, path):
    await page.goto(f"{issuer.url}/link?to=x")
    await page.evaluate("(src) => { const f = document.createElement('iframe'); f.src = src; document.body.append(f) }", site.url + path)
    await page.wait_for_timeout(500)
    (frame,) = page.main_frame.child_frames
    assert "Log in" not in await frame.content() and "Secrets" not in await frame.content()


async def test_no_site_reads_us(page, site, issuer):
    await logged_in(page)
    await page.goto(f"{issuer.url}/link?to=x")
    read = "(url) => fetch(url, {credentials: 'include'}).then(() => 'read', () => 'refused')"
    assert await page.evaluate(read, f"{site.url}/ui/groups") == "refused"


async def test_a_login_by_token_beside_an_issuer(page, site, issuer):
    await page.goto("/ui/login")
    await page.get_by_label("Kubernetes token").fill(issuer.token("none"))
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Groups")).to_be_visible()
