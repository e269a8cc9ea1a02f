"""A browser for a module, a broker for all of them. Every page that is opened is watched: no third party, no error, no inline script."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from tests.page.running import Broker, token_of

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run"]


def pytest_collection_modifyitems(items):
    """Every test here shares its module's loop with the browser, and is skipped where there is none."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            if not CHROMIUM.exists():
                item.add_marker(pytest.mark.skip(reason=f"no browser at {CHROMIUM}: apt-get install chromium, or name one in CHROMIUM"))
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest.fixture(scope="session")
def browser_authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def broker(tmp_path_factory, browser_authority):
    with Broker(tmp_path_factory.mktemp("broker"), browser_authority) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium():
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield browser
        await browser.close()


class Watched:
    """What pages did that no page of ours may do."""

    def __init__(self, url):
        self.url, self.faults, self.html = url, [], []

    def follow(self, page):
        page.on("request", lambda request: self._asked(request.url))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._said)

    def _asked(self, url):
        if not url.startswith(self.url + "/"):
            self.faults.append(f"asked {url}")

    def _said(self, message):
        if message.type in ("error", "warning") and "the server responded with a status of" not in message.text:
            self.faults.append(f"console: {message.text}")


@pytest_asyncio.fixture(loop_scope="module")
async def visit(chromium, broker):
    """Open a browser context for somebody: `async with`-less; all are closed, and looked at, at the end."""
    contexts, watched = [], Watched(broker.url)

    async def one(who=None, *, keyboard=False, url=None, **options):
        context = await chromium.new_context(ignore_https_errors=True, base_url=url or broker.url, **options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(5000)
        watched.follow(page)
        if who is not None:
            await login(page, who)
        return page

    yield one
    for context in contexts:
        await context.close()
    assert watched.faults == []


async def login(page, who):
    await page.goto("/ui/login")
    await page.get_by_label("Kubernetes token").fill(token_of(who))
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/ui/groups")


@asynccontextmanager
async def going(page):
    """A form post: the next page is there at the end."""
    async with page.expect_navigation():
        yield
