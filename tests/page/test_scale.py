"""5,000 groups, and 200 keys in one: no first screen of more than 500 KB, and no page whose cost gets out of hand.

The target, 100 ms of the server for each page, is held by the bench (`make bench`), on a machine that does nothing else.
"""

import re

import pytest
from playwright.async_api import expect

from tests.page.conftest import login
from tests.page.many import COLLABORATORS, KEYS, PLACES, SCREEN_BYTES, WIDE, manifests
from tests.page.running import Broker, token_of

OUT_OF_HAND_MS = 1000  # far over a busy machine's, far under what looks at all groups for each of them


@pytest.fixture(scope="module")
def large(tmp_path_factory, browser_authority):
    with Broker(tmp_path_factory.mktemp("large"), browser_authority, manifests()) as running:
        yield running


@pytest.mark.parametrize("who", ["tenant", "viewer"])
async def test_no_page_gets_out_of_hand(large, who):
    """The best of five, so that a busy machine does not decide; as the page itself says, and as it is felt."""
    import httpx

    async with httpx.AsyncClient(base_url=large.url, verify=large.trust) as http:
        answer = await http.post("/ui/login", data={"token": token_of(who)}, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303
        slow = {}
        for place in PLACES:
            said = []
            for _ in range(5):
                answer = await http.get(place)
                said.append(float(re.search(r"dur=([\d.]+)", answer.headers["Server-Timing"])[1]))
            assert answer.status_code == (403 if (place, who) in (("/ui/new-group", "viewer"), (COLLABORATORS, "viewer")) else 200), place
            if min(said) > OUT_OF_HAND_MS or len(answer.content) > SCREEN_BYTES:
                slow[place] = (min(said), len(answer.content))
        assert slow == {}


async def test_the_first_screen_is_small(large, chromium):
    """Everything that crosses the wire until a person sees the groups: page, style sheet, script, icon; and the widest page."""
    context = await chromium.new_context(ignore_https_errors=True, base_url=large.url)
    page = await context.new_page()
    await login(page, "tenant")
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    received = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    for place in ("/ui/groups", WIDE):
        received.clear()
        await page.goto(place, wait_until="networkidle")
        assert 3 <= len(received) and 10_000 < sum(received) < SCREEN_BYTES, (place, received)
    await expect(page.get_by_role("button", name=re.compile("Copy the name of"))).to_have_count(KEYS)
    await context.close()


async def test_search_among_all_of_them(large, chromium):
    context = await chromium.new_context(ignore_https_errors=True, base_url=large.url)
    page = await context.new_page()
    await login(page, "viewer")
    await expect(page.get_by_text("5,000 groups")).to_be_visible()
    await page.get_by_role("searchbox").fill("key_4321")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_role("link", name="team-4321")).to_be_visible()
    await context.close()
