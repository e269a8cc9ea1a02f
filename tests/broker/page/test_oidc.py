"""Log in with an issuer: over TLS, with PKCE, and each way of doing it wrong. The cluster judges the token; the page, whose login it is."""

import json
import ssl
import time
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest

from broker.page.oidc_login import COOKIE
from broker.page.session import NAMES
from broker.page.settings import OidcSettings, PageSettings
from tests.broker.page.issuer import CLIENT, SECRET, Issuer, TrustingCluster
from tests.broker.page.memory_groups import Kept, MemoryGroups

PUBLIC = "https://secrets.acme.example"
CALLBACK = "/ui/login/oidc/callback"


@pytest.fixture
async def issuer(page_authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    page_authority.issue_cert("localhost").configure_cert(context)
    async with Issuer(context) as made:
        yield made


@pytest.fixture
def ca_file(page_authority, tmp_path):
    page_authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    return tmp_path / "ca.crt"


@pytest.fixture
async def oidc_site(open_site, issuer, ca_file):
    async def one(url=None, **named):
        settings = PageSettings(
            public_url=PUBLIC, oidc=OidcSettings(url or issuer.url, CLIENT, "openid groups", PUBLIC, **{"ca_file": ca_file} | named)
        )
        groups = MemoryGroups(Kept("payments", {"team:platform": "secret-group-viewer"}))
        return await open_site(groups, settings=settings, authenticator=TrustingCluster([issuer.url]))

    return one


async def there(browser, target="/ui/groups/payments"):
    """The page's answer that sends one to the issuer."""
    return await browser.http.get("/ui/login/oidc", params={"next": target})


async def at_issuer(answer, trust):
    """What the issuer's answer has in its query, for the way back."""
    async with httpx.AsyncClient(verify=trust) as http:
        back = await http.get(answer.headers["Location"])
    assert back.headers["Location"].startswith(PUBLIC + CALLBACK)
    return dict(parse_qsl(urlsplit(back.headers["Location"]).query))


async def back(browser, query):
    return await browser.http.get(CALLBACK, params=query, headers={"Sec-Fetch-Site": "cross-site"})


def told(logs):
    """The sentences that the log has for an operator."""
    return "\n".join(event["problem"] for event in logs if event["event"] == "login_misconfigured")


def logged_in(browser):
    return NAMES[0] in browser.http.cookies


async def test_there_and_back(oidc_site, page_trust, issuer):
    site = await oidc_site()
    browser = site.browser()
    assert "Log in with localhost" in (await browser.get("/ui/login")).text
    answer = await there(browser)
    asked = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert {name: value[0] for name, value in asked.items() if name not in ("state", "nonce", "code_challenge")} == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": PUBLIC + CALLBACK,
        "scope": "openid groups",
        "code_challenge_method": "S256",
    }
    done = await back(browser, await at_issuer(answer, page_trust))
    assert (done.status_code, '<meta http-equiv="refresh" content="0;url=/ui/groups/payments">' in done.text) == (200, True)
    page = await browser.get("/ui/groups/payments")
    assert (page.status_code, "ann@acme.example" in page.text) == (200, True)
    assert COOKIE not in browser.http.cookies
    assert [json.loads(line)["action"] for line in site.audit_path.read_text().splitlines()] == ["login"]
    await there(site.browser())
    assert issuer.asked == ["discovery", "token"], "what the issuer says of itself is kept for a while"


async def test_every_login_has_secrets_of_its_own(oidc_site):
    browser = (await oidc_site()).browser()
    seen = [parse_qs(urlsplit((await there(browser)).headers["Location"]).query) for _ in range(3)]
    for name in ("state", "nonce", "code_challenge"):
        assert len({asked[name][0] for asked in seen}) == 3
        assert all(len(asked[name][0]) >= 43 for asked in seen)


async def test_the_login_cookie(oidc_site):
    """Lax, since the way back begins elsewhere; sealed, so that nobody reads state, nonce or verifier from it."""
    answer = await there((await oidc_site()).browser())
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0] not in cookie


@pytest.mark.parametrize(
    "methods", [None, ["client_secret_post"], ["client_secret_post", "client_secret_basic"]], ids=["not-said", "post", "both"]
)
async def test_a_client_with_a_secret(oidc_site, page_trust, issuer, tmp_path, methods):
    issuer.secret, issuer.discovery["token_endpoint_auth_methods_supported"] = SECRET, methods
    (tmp_path / "client").write_text(SECRET + "\n")
    browser = (await oidc_site(secret_file=tmp_path / "client")).browser()
    await back(browser, await at_issuer(await there(browser), page_trust))
    assert logged_in(browser)


async def test_the_session_ends_with_the_token(oidc_site, page_trust, issuer):
    issuer.claims["exp"] = int(time.time()) + 61
    browser = (await oidc_site()).browser()
    await back(browser, await at_issuer(await there(browser), page_trust))
    ends = int((await browser.get("/ui/groups")).text.split('data-session-ends="')[1].split('"')[0])
    assert 0 < ends - time.time() <= 61


# --- what must not work ---

NOT_SET_UP = "Logging in with the issuer is not set up right; the broker&#39;s log says what is wrong."
NOT_YOURS = "The answer does not belong to a login that began in this browser."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"state": "x"}, NOT_YOURS, id="another-state"),
        pytest.param({"state": None}, NOT_YOURS, id="no-state"),
        pytest.param({"iss": "https://evil.example"}, "The answer does not come from the issuer that was asked.", id="mix-up"),
        pytest.param({"iss": None}, "The answer does not come from the issuer that was asked.", id="issuer-not-said"),
        pytest.param({"code": "made-up"}, "The issuer did not take the login&#39;s code", id="another-code"),
        pytest.param({"code": None}, "The issuer did not log you in", id="no-code"),
        pytest.param({"code": None, "error": "access_denied<script>"}, "The issuer did not log you in", id="refused-there"),
    ],
)
async def test_a_wrong_answer(oidc_site, page_trust, issuer, change, words):
    browser = (await oidc_site()).browser()
    query = await at_issuer(await there(browser), page_trust) | change
    answer = await back(browser, {name: value for name, value in query.items() if value is not None})
    assert (answer.status_code, words in answer.text, logged_in(browser)) == (401, True, False), answer.text
    assert "<script>" not in answer.text and "evil" not in answer.text
    if "code" not in change:
        assert issuer.asked == ["discovery"], "no code goes anywhere before the answer is checked"


async def test_an_answer_that_says_it_twice(oidc_site, page_trust):
    browser = (await oidc_site()).browser()
    query = await at_issuer(await there(browser), page_trust)
    answer = await back(browser, [*query.items(), ("state", query["state"])])
    assert (answer.status_code, logged_in(browser)) == (401, False)


async def test_an_answer_in_another_browser(oidc_site, page_trust):
    """Login CSRF: somebody's own good answer, given to another, logs them in as nobody."""
    site = await oidc_site()
    attacker, victim = site.browser(), site.browser()
    query = await at_issuer(await there(attacker), page_trust)
    answer = await back(victim, query)
    assert (answer.status_code, NOT_YOURS in answer.text, logged_in(victim)) == (401, True, False)
    await there(victim)
    assert (await back(victim, query)).status_code == 401, "nor with a login of their own under way"


async def test_a_replayed_answer(oidc_site, page_trust):
    """The login's cookie is gone; brought back, the issuer's code is used up."""
    site = await oidc_site()
    browser = site.browser()
    start = await there(browser)
    query = await at_issuer(start, page_trust)
    await back(browser, query)
    assert (await back(browser, query)).status_code == 401
    thief = site.browser()
    thief.http.cookies.set(COOKIE, start.headers["Set-Cookie"].split(";")[0].partition("=")[2], domain="localhost.local", path="/")
    answer = await back(thief, query)
    assert (answer.status_code, "it was used before" in answer.text, logged_in(thief)) == (401, True, False)


async def test_a_login_that_took_too_long(oidc_site, page_trust, monkeypatch):
    site = await oidc_site()
    browser = site.browser()
    query = await at_issuer(await there(browser), page_trust)
    monkeypatch.setattr(site.page._parts.oidc, "_now", lambda: time.time() + 601)
    answer = await back(browser, query)
    assert (answer.status_code, "The login took too long." in answer.text) == (401, True)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        pytest.param({"nonce": "another"}, "The issuer&#39;s token was not made for this login.", id="another-nonce"),
        pytest.param({"nonce": None}, "The issuer&#39;s token was not made for this login.", id="no-nonce"),
        pytest.param({"exp": int(time.time()) - 10}, "The token is not accepted", id="expired"),
        pytest.param({"aud": "another"}, "The token is not accepted", id="for-another-client"),
        pytest.param({"iss": "https://other.example"}, "The token is not accepted", id="of-another-issuer"),
    ],
)
async def test_a_token_that_is_not_good_here(oidc_site, page_trust, issuer, claims, words):
    issuer.claims = claims
    browser = (await oidc_site()).browser()
    answer = await back(browser, await at_issuer(await there(browser), page_trust))
    assert (answer.status_code, words in answer.text, logged_in(browser)) == (401, True, False), answer.text


async def test_a_token_of_another_issuer_that_the_cluster_trusts_too(oidc_site, page_trust, issuer):
    site = await oidc_site()
    site.page._parts.authenticator.issuers.append("https://other.example")
    issuer.claims["iss"] = "https://other.example"
    browser = site.browser()
    answer = await back(browser, await at_issuer(await there(browser), page_trust))
    assert (answer.status_code, "was not made for this login" in answer.text) == (401, True)


async def test_a_token_that_is_no_jwt(oidc_site, page_trust, issuer):
    issuer.token_answer["id_token"] = "CANARY"
    browser = (await oidc_site()).browser()
    answer = await back(browser, await at_issuer(await there(browser), page_trust))
    assert (answer.status_code, logged_in(browser), "CANARY" in answer.text) == (401, False, False)


@pytest.mark.parametrize(
    ("discovery", "words"),
    [
        pytest.param({"issuer": "https://evil.example"}, "the issuer calls itself 'https://evil.example'", id="another-issuer"),
        pytest.param({"token_endpoint": None}, "has no token_endpoint with https", id="no-token-endpoint"),
        pytest.param({"token_endpoint": "http://localhost/token"}, "has no token_endpoint with https", id="not-https"),
        pytest.param({"authorization_endpoint": 7}, "has no authorization_endpoint with https", id="not-text"),
        pytest.param({"code_challenge_methods_supported": ["plain"]}, "it does not support PKCE with S256", id="no-pkce"),
    ],
)
async def test_an_issuer_that_cannot_be_used(oidc_site, issuer, discovery, words, logs):
    """The operator reads why in the log; strangers do not."""
    issuer.discovery = discovery
    answer = await there((await oidc_site()).browser())
    assert (answer.status_code, NOT_SET_UP in answer.text, words in told(logs)) == (502, True, True), told(logs)
    assert words not in answer.text


async def test_an_issuer_that_is_away_or_elsewhere(oidc_site, issuer, unused_tcp_port):
    answer = await there((await oidc_site(f"https://localhost:{unused_tcp_port}")).browser())
    assert (answer.status_code, "The issuer localhost does not answer; try again." in answer.text) == (503, True)
    site = await oidc_site()
    issuer.status = 500
    assert "The issuer localhost answers 500" in (await there(site.browser())).text
    issuer.redirect = "https://evil.example/"
    answer = await there(site.browser())
    assert (answer.status_code, "answers 302" in answer.text) == (503, True), "no redirect is followed"


async def test_an_issuer_whose_certificate_is_not_trusted(oidc_site):
    answer = await there((await oidc_site(ca_file=None)).browser())
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)


async def test_files_that_cannot_be_read(oidc_site, page_trust, tmp_path, logs):
    answer = await there((await oidc_site(ca_file=tmp_path / "none")).browser())
    assert (answer.status_code, "TFY_SECRET_OIDC_CA_FILE" in told(logs), str(tmp_path) in answer.text) == (502, True, False)
    browser = (await oidc_site(secret_file=tmp_path / "none")).browser()
    answer = await back(browser, await at_issuer(await there(browser), page_trust))
    assert (answer.status_code, "TFY_SECRET_OIDC_CLIENT_SECRET_FILE" in told(logs), str(tmp_path) in answer.text) == (502, True, False)


@pytest.mark.parametrize(
    ("token_answer", "status", "words"),
    [
        pytest.param({"id_token": None}, 502, "its token endpoint gave no id_token", id="no-token"),
        pytest.param({"status": 500}, 503, "answers 500", id="broken"),
        pytest.param({"status": 302}, 503, "answers 302", id="elsewhere"),
        pytest.param({"status": 200, "text": "CANARY"}, 502, "its answer is not a JSON object", id="no-json"),
        pytest.param({"status": 200, "text": "[1]"}, 502, "its answer is not a JSON object", id="no-object"),
        pytest.param({"status": 200, "text": " " * 300_000}, 503, "does not answer", id="too-large"),
    ],
)
async def test_an_answer_of_the_token_endpoint_that_is_none(oidc_site, page_trust, issuer, token_answer, status, words, logs):
    issuer.token_answer = token_answer
    browser = (await oidc_site()).browser()
    answer = await back(browser, await at_issuer(await there(browser), page_trust))
    assert (answer.status_code, words in (told(logs) if status == 502 else answer.text), "CANARY" in answer.text + told(logs)) == (
        status,
        True,
        False,
    )


async def test_nothing_of_a_login_is_logged(oidc_site, page_trust, issuer, logs):
    site = await oidc_site()
    browser = site.browser()
    query = await at_issuer(await there(browser), page_trust)
    await back(browser, query | {"code": "CANARY-code"})
    query = await at_issuer(await there(browser), page_trust)
    await back(browser, query)
    told = str(logs) + site.audit_path.read_text()
    assert "CANARY" not in told and query["code"] not in told and query["state"] not in told
    assert {"event": "oidc_code_refused", "status": 400, "log_level": "warning"}.items() <= next(
        e for e in logs if e["event"] == "oidc_code_refused"
    ).items()


async def test_without_an_issuer_there_is_no_such_way(site):
    for path in ("/ui/login/oidc", CALLBACK):
        answer = await site.browser().get(path)
        assert (answer.status_code, "There is no such page." in answer.text) == (404, True)


async def test_logins_at_the_issuer_are_limited_too(oidc_site):
    browser = (await oidc_site()).browser()
    assert [(await there(browser)).status_code for _ in range(31)] == [303] * 30 + [429]
