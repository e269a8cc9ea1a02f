"""Log in with a token, log out; what ends a session; where one goes afterwards. Over TLS, with a browser's cookies."""

import json
import time

import pytest

from broker.errors import Unavailable
from broker.page.places import Places, own
from broker.page.session import NAMES
from tests.broker.page.conftest import TOKENS

COOKIE = NAMES[0]


def lines(site):
    return [json.loads(line) for line in site.audit_path.read_text().splitlines()]


def logins(site):
    return [(line.get("caller"), line["action"], line["decision"], line["code"]) for line in lines(site)]


async def test_the_login_page_needs_no_session(site):
    answer = await site.browser().get("/ui/login")
    assert answer.status_code == 200
    assert 'type="password"' in answer.text and "Log in with" not in answer.text, "without an issuer there is one way in"


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/"])
async def test_the_way_in(site, path):
    answer = await site.browser().get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/groups")


async def test_a_login_and_what_is_written_down(site):
    browser = site.browser()
    answer = await browser.post("/ui/login", {"token": TOKENS["viewer"], "next": "/ui/groups/payments"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/groups/payments")
    assert (await browser.get("/ui/groups/payments")).status_code == 200
    assert logins(site) == [("viewer", "login", "allow", "ok")]
    assert TOKENS["viewer"] not in site.audit_path.read_text()


@pytest.mark.parametrize("pasted", ["  {}\n", "Bearer {}", "\r\n{}\r\n", " Bearer CANARY-token-\r\n  viewer\n"])
async def test_a_pasted_token_may_have_blanks_around(site, pasted):
    assert (await site.browser().post("/ui/login", {"token": pasted.format(TOKENS["viewer"])})).status_code == 303


@pytest.mark.parametrize(
    ("token", "status", "sentence"),
    [
        ("", 400, "No token was given."),
        ("wrong", 401, "The token is not accepted: it is not known, expired, or made for another audience."),
        ("two words", 400, "What was given is not a token: it has other characters than one, or is longer than 16 KiB."),
        ("<script>", 400, "What was given is not a token"),
        ("x" * 16_500, 400, "What was given is not a token"),
    ],
    ids=["none", "unknown", "blank-inside", "other-characters", "too-long"],
)
async def test_a_refused_login_says_why_and_shows_nothing_back(site, token, status, sentence):
    browser = site.browser()
    answer = await browser.post("/ui/login", {"token": token, "next": "/ui/stores"})
    assert (answer.status_code, sentence in answer.text) == (status, True), answer.text
    assert 'name="next" value="/ui/stores"' in answer.text
    assert token not in answer.text or token in ("", "wrong")
    assert COOKIE not in browser.http.cookies


async def test_a_refused_token_is_written_down_without_itself(site):
    await site.browser().post("/ui/login", {"token": "CANARY-wrong"})
    assert logins(site) == [(None, "login", "deny", "unauthenticated")]
    assert "CANARY" not in site.audit_path.read_text()


async def test_a_login_without_an_audit_log_is_none(site, monkeypatch):
    browser = site.browser()

    def broken(_lines):
        raise OSError(28, "full")

    monkeypatch.setattr(site.audit, "_append", broken)
    answer = await browser.post("/ui/login", {"token": TOKENS["viewer"]})
    assert (answer.status_code, COOKIE in browser.http.cookies) == (500, False)
    assert "The audit log cannot be written" in answer.text


async def test_a_login_takes_no_session_that_was_there(site):
    """Session fixation: whatever the browser had before, the id is a new one, and the old one opens nothing more than it did."""
    attacker, victim = await site.logged_in("none"), site.browser()
    planted = attacker.http.cookies[COOKIE]
    victim.http.cookies.set(COOKIE, planted, domain="localhost.local", path="/")
    before = await attacker.form_token()
    await victim.login("admin")
    assert victim.http.cookies[COOKIE] != planted
    assert await victim.form_token() != before
    assert (await attacker.get("/ui/groups/payments")).status_code == 403


async def test_another_replica_takes_the_session(open_site):
    """Both derive the key from the same TLS private key; neither keeps anything."""
    one, two = await open_site(), await open_site()
    browser = await one.logged_in("viewer")
    other = two.browser()
    other.http.cookies.set(COOKIE, browser.http.cookies[COOKIE], domain="localhost.local", path="/")
    assert (await other.get("/ui/groups/payments")).status_code == 200


async def test_two_logins_of_one_person_are_two_sessions(site):
    one, two = await site.logged_in("viewer"), await site.logged_in("viewer")
    assert await one.form_token() != await two.form_token()


async def test_a_logout_ends_it_here_and_for_a_copied_cookie(site):
    browser = await site.logged_in("viewer")
    copied = browser.http.cookies[COOKIE]
    answer = await browser.send("/ui/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/login?note=logged-out")
    assert COOKIE not in browser.http.cookies
    thief = site.browser()
    thief.http.cookies.set(COOKIE, copied, domain="localhost.local", path="/")
    assert (await thief.get("/ui/groups")).headers["Location"].startswith("/ui/login?")
    assert logins(site)[-1] == ("viewer", "logout", "allow", "ok")


async def test_a_revoked_token_ends_the_session_at_once(site):
    browser = await site.logged_in("viewer")
    site.tokens.write_text(f"{TOKENS['admin']},admin,1\n")
    answer = await browser.get("/ui/groups")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/login?next=%2Fui%2Fgroups&note=session-over")
    assert COOKIE not in browser.http.cookies
    assert logins(site)[-1] == (None, "session", "deny", "unauthenticated")
    assert "Your session is over" in (await browser.get(answer.headers["Location"])).text


async def test_a_form_of_a_session_that_is_over_does_nothing_and_says_so(site):
    browser = await site.logged_in("admin")
    token = await browser.form_token()
    site.tokens.write_text(f"{TOKENS['viewer']},viewer,1\n")
    answer = await browser.post("/ui/groups/payments/keys/DB_PASSWORD/delete", {"form_token": token})
    assert (answer.status_code, "Nothing was saved" in answer.text, site.groups.done) == (401, True, [])


async def test_an_api_server_that_is_away_ends_no_session(open_site):
    class Away:
        down = False

        async def person(self, token):
            if self.down:
                raise Unavailable("the Kubernetes API does not review tokens at the moment (Unreachable)", retry_after=1)
            return await StaticTokens(site.tokens).person(token)

    from broker.tokens import StaticTokens

    away = Away()
    site = await open_site(authenticator=away)
    browser = await site.logged_in("viewer")
    away.down = True
    answer = await browser.get("/ui/groups")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    away.down = False
    assert (await browser.get("/ui/groups")).status_code == 200


async def test_logins_are_limited_by_address(site):
    """30 refused ones, and then one in two seconds; those that succeed do not count."""
    browser = site.browser()
    for _ in range(35):
        assert (await browser.post("/ui/login", {"token": TOKENS["viewer"]})).status_code == 303
    begun, refused = time.monotonic(), 0
    while (answer := await browser.post("/ui/login", {"token": "wrong"})).status_code == 401 and refused < 200:
        refused += 1
    assert answer.status_code == 429
    assert 30 <= refused <= 31 + (time.monotonic() - begun) / 2, "a slow machine gives the bucket time"
    answer = await browser.post("/ui/login", {"token": TOKENS["viewer"]})
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert "Too many logins from your address; wait a little and try again." in answer.text


async def test_no_session_is_a_way_to_the_login_and_back(site):
    answer = await site.browser().get("/ui/groups/payments?q=db")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/login?next=%2Fui%2Fgroups%2Fpayments%3Fq%3Ddb")


async def test_a_link_from_another_site_asks_once_more_from_ours(site):
    """A Strict cookie does not come along from elsewhere; the second request is from our own page, and brings it."""
    answer = await site.browser().get("/ui/groups/payments", **{"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, '<meta http-equiv="refresh" content="0;url=/ui/groups/payments">' in answer.text) == (200, True)
    again = await site.browser().get("/ui/groups/payments", **{"Sec-Fetch-Site": "same-origin"})
    assert again.status_code == 303


async def test_who_is_logged_in_needs_no_login_page(site):
    browser = await site.logged_in("viewer")
    assert (await browser.get("/ui/login?next=/ui/stores")).headers["Location"] == "/ui/stores"


HOSTILE = [
    "//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "/ui/\\evil.example", "/ui//evil.example", "/ui/../evil",
    "/ui/%2e%2e/x", "/ui/%5cevil.example", "/ui/%2fevil.example", "javascript:alert(1)", "/ui/groups\r\nX-Injected: 1", "/ui/groups%0d%0aX: 1",
    "/ui/\tgroups", "/ui/ groups", "/other", "/uix", "/ui/login", "/ui/login?next=/ui/login", "/ui/logout/..", "ui/groups", "/ui/gröups", "/ui/" + "x" * 3000, "",
]  # fmt: skip


@pytest.mark.parametrize("target", HOSTILE)
def test_after_a_login_one_goes_to_a_page_of_ours(target):
    assert own(target) == Places.HOME


@pytest.mark.parametrize("target", ["/ui/groups", "/ui/groups?q=a+b&page=2", "/ui/groups/pay-ments.eu/keys/DB_PASSWORD", "/ui/stores"])
def test_and_to_the_one_that_was_asked_for(target):
    assert own(target) == target


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/ui/%0d%0aX-Injected:1"])
async def test_no_redirect_leaves_us(site, target):
    answer = await site.browser().post("/ui/login", {"token": TOKENS["viewer"], "next": target})
    assert (answer.headers["Location"], "X-Injected" in answer.headers) == ("/ui/groups", False)
    page = await site.browser().http.get("/ui/login", params={"next": target})
    assert "evil.example" not in page.text
