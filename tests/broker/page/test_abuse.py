"""What somebody with bad intentions tries: forms from elsewhere, frames, scripts in names, odd paths and headers, others' groups."""

import re

import httpx
import pytest

from broker.errors import Conflict, InvalidRequest, StoreFailed, Unavailable
from broker.groups.model import StoreView
from broker.page import routes
from broker.page.session import NAMES
from contract.values import SecretValue
from tests.broker.page.conftest import CANARY, payments
from tests.broker.page.memory_groups import Kept, MemoryGroups, happening

OURS = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
SCRIPT = "<script>alert(1)</script>"
NAME = "'\"><img src=x onerror=alert(1)>"
HARMFUL = NAME + "{{7*7}}"
KEY = "/ui/groups/payments/keys/DB_PASSWORD"
CHANGES = [path for path, _ in routes.CHANGES + routes.WITH_VALUE]


def filled(path):
    return path.replace("{group}", "payments").replace("{key}", "DB_PASSWORD")


# --- forms from elsewhere ---


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, id="another-site"),
        pytest.param({"Sec-Fetch-Site": "same-site", "Origin": "https://other.localhost"}, id="a-sister-site"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="from-nowhere"),
        pytest.param({"Origin": "https://evil.example"}, id="an-old-browser-elsewhere"),
        pytest.param({"Origin": "null"}, id="an-old-browser-that-hides-it"),
        pytest.param({}, id="not-said"),
    ],
)
async def test_no_change_comes_from_another_site(site, path, headers):
    """Even with the right token in it."""
    browser = await site.logged_in("admin")
    answer = await browser.post(filled(path), {"form_token": await browser.form_token(), "name": "x"}, headers=headers)
    assert (answer.status_code, site.groups.done) == (403, [])
    assert "This form was not sent from this page" in answer.text
    assert NAMES[0] in browser.http.cookies, "nor is anyone logged out by it"


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("fields", [{"x": "y"}, {"form_token": ""}, {"form_token": "x" * 43}], ids=["none", "empty", "made-up"])
async def test_no_change_without_the_sessions_own_token(site, path, fields):
    browser = await site.logged_in("admin")
    answer = await browser.post(filled(path), fields, headers=OURS)
    assert (answer.status_code, site.groups.done) == (403, [])


@pytest.mark.parametrize("path", CHANGES)
async def test_another_sessions_token_is_none(site, path):
    mine, theirs = await site.logged_in("admin"), await site.logged_in("admin")
    answer = await mine.post(filled(path), {"form_token": await theirs.form_token()}, headers=OURS)
    assert (answer.status_code, site.groups.done) == (403, [])


@pytest.mark.parametrize("path", CHANGES)
async def test_no_change_without_a_session(site, path):
    answer = await site.browser().post(filled(path), {"form_token": "x"}, headers=OURS)
    assert (answer.status_code, site.groups.done) == (401, [])


async def test_a_login_comes_from_our_page_too(site):
    """Or somebody could be logged in as another without noticing, and save secrets where that one reads them."""
    browser = site.browser()
    answer = await browser.post("/ui/login", {"token": "CANARY-token-none"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, NAMES[0] in browser.http.cookies) == (403, False)


async def test_an_old_browser_of_our_own_origin_may(site):
    browser = await site.logged_in("admin")
    answer = await browser.post("/ui/logout", {"form_token": await browser.form_token()}, headers={"Origin": site.url})
    assert answer.status_code == 303


@pytest.mark.parametrize("header", ["Sec-Fetch-Site", "Origin"])
async def test_headers_that_are_sent_twice_say_nothing(site, header):
    browser = await site.logged_in("admin")
    twice = httpx.Headers([(header, "same-origin" if header != "Origin" else site.url)] * 2)
    assert (await browser.post("/ui/logout", {"form_token": await browser.form_token()}, headers=twice)).status_code == 403


@pytest.mark.parametrize("path", CHANGES)
async def test_nothing_changes_by_looking(site, path):
    """No GET does anything: a link, an image or a preload cannot."""
    browser = await site.logged_in("admin")
    await browser.get(filled(path))
    assert site.groups.done == []


# --- frames, scripts, other origins ---


@pytest.mark.parametrize("path", ["/ui/login", "/ui/groups", "/ui/groups/payments", KEY, "/ui/nowhere", "/ui/groups/none", "/"])
async def test_every_page_has_every_header(site, path):
    answer = await (await site.logged_in("admin")).get(path)
    said = answer.headers
    assert said["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert (said["X-Frame-Options"], said["X-Content-Type-Options"], said["Cache-Control"]) == ("DENY", "nosniff", "no-store")
    assert (said["Cross-Origin-Opener-Policy"], said["Cross-Origin-Resource-Policy"]) == ("same-origin", "same-origin")
    assert (said["Referrer-Policy"], said["Server"]) == ("no-referrer", "tfy-secret-broker")
    assert "camera=()" in said["Permissions-Policy"]
    assert "Access-Control-Allow-Origin" not in said
    assert "Strict-Transport-Security" not in said, "behind a port-forward it would hold for every port of localhost"


async def test_the_api_keeps_its_own(site):
    answer = await site.browser().get("/v1/secrets")
    assert (answer.status_code, answer.headers["Content-Security-Policy"]) == (401, "default-src 'none'; frame-ancestors 'none'")


async def test_nothing_is_inline_and_nothing_from_elsewhere(site):
    site.groups.kept["payments"].managed_by = "Helm"
    browser = await site.logged_in("admin")
    for path in [
        "/ui/login?note=x",
        "/ui/groups",
        "/ui/groups/payments",
        KEY,
        f"{KEY}/edit",
        f"{KEY}/delete",
        "/ui/stores",
        "/ui/groups/payments/collaborators",
    ]:
        text = (await browser.get(path)).text
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=|javascript:|\"data:", text), path
        assert not re.search(r"(?:src|href|action)=\"(?!/ui/|#)", text), path


async def test_static_files_are_named_by_their_content(site):
    text = (await site.browser().get("/ui/login")).text
    places = re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', text)
    assert {place.rpartition("/")[2] for place in places} == {"style.css", "page.js", "icon.svg"}
    for place in places:
        answer = await site.browser().get(place)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await site.browser().get(place.replace("/static/", "/static/0"))).status_code == 404


@pytest.mark.parametrize(
    "path", ["/ui/static/x/..%2f..%2frender.py", "/ui/static/../render.py", "/ui/static/x/%2e%2e/__init__.py", "/ui/static/a/tls.key"]
)
async def test_no_other_file_is_served(site, path):
    answer = await site.browser().http.get(httpx.URL(site.url).copy_with(raw_path=path.encode()))
    assert answer.status_code == 404


async def test_scripts_in_names_and_messages_are_text(open_site):
    """Whatever others write where a page shows it: group and key names, collaborators, activity, stores and their errors, one's own name."""
    group = Kept(
        f"g{NAME}", {"user:admin": "secret-group-admin", f"user:{SCRIPT}": "secret-group-viewer"}, {f"K{NAME}": []}, store=f"s{SCRIPT}"
    )
    group.managed_by, group.gone = SCRIPT, {f"gone{SCRIPT}": []}
    store = StoreView(f"s{HARMFUL}", f"acme/x/{SCRIPT}", SCRIPT, False, f"refused: {HARMFUL}", may_create=True)
    groups = MemoryGroups(group, admins={"user:tenant"}, stores=(store,))
    groups.happened = [happening(SCRIPT, key=SCRIPT, version=SCRIPT, source=SCRIPT, detail=HARMFUL)]
    site = await open_site(groups)
    browser = await site.logged_in("tenant")
    from broker.page.places import Places

    shown = 0
    for path in [
        "/ui/groups", f"/ui/groups?q={SCRIPT}", "/ui/stores", "/ui/new-group", Places.group(group.name), Places.key(group.name, f"K{NAME}"),
        Places.key(group.name, f"K{NAME}", "delete"), Places.key(group.name, f"K{NAME}", "edit"),
        *(Places.group(group.name, what) for what in ("use", "collaborators", "activity", "delete", "new-key")),
    ]:  # fmt: skip
        answer = await browser.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert SCRIPT not in answer.text and "<img" not in answer.text
        shown += "&lt;script&gt;" in answer.text
    assert shown >= 5, "they are there, as text"


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest(HARMFUL),
        Conflict(HARMFUL, (SCRIPT,), SCRIPT),
        StoreFailed(HARMFUL, Unavailable(SCRIPT)),
        Unavailable(HARMFUL),
    ],
    ids=["invalid", "conflict", "store", "unavailable"],
)
async def test_scripts_in_errors_are_text(site, error):
    browser = await site.logged_in("admin")
    site.groups.error = error
    answer = await browser.send(f"{KEY}/edit", {"value": "x", "expected": "2"})
    assert answer.status_code >= 400
    assert SCRIPT not in answer.text and "<img" not in answer.text and "&lt;img" in answer.text


@pytest.mark.parametrize("note", [SCRIPT, HARMFUL, "saved%0aX", "__class__", "NOTES"])
async def test_an_address_puts_no_words_onto_a_page(site, note):
    """`?note=` names a sentence of ours; anything else shows nothing."""
    answer = await (await site.logged_in("viewer")).http.get("/ui/groups", params={"note": note})
    assert 'class="banner' not in answer.text and note not in answer.text


# --- odd paths, methods, headers, bodies ---


@pytest.mark.parametrize(
    "path",
    [
        "/ui/groups/pay%2fments", "/ui/groups/..%2f..%2fetc", "/ui/groups/%00", "/ui/groups/payments%00", "/ui/groups/%F0%9F%94%91", "/ui/groups/payments/keys/..%2fOTHER",
        "/ui/groups/payments/keys/DB_PASSWORD%3fversion=1", "/ui/groups/PAYMENTS", "/ui/groups/payments%20", "/ui/groups/" + "x" * 4000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("who", ["tenant", "none"])
async def test_odd_names_are_not_found(site, path, who):
    answer = await (await site.logged_in(who)).http.get(httpx.URL(site.url).copy_with(raw_path=path.encode()))
    assert answer.status_code in (403, 404)
    assert CANARY not in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO"])
async def test_other_methods_do_nothing(site, method):
    browser = await site.logged_in("admin")
    answer = await browser.http.request(method, KEY)
    assert (answer.status_code in (400, 404, 405), site.groups.done) == (True, [])


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Original-URL": "/ui/groups"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-For": "10.9.9.9"},
        {"Forwarded": "for=10.9.9.9;host=evil.example"},
        {"Authorization": "Bearer CANARY-token-admin"},
        {"Host": "evil.example"},
    ],
    ids=lambda h: next(iter(h)),
)
async def test_headers_change_nothing(site, headers):
    """Nor does a token in a header stand for a session: another site could not send it, but then a page would have two ways in."""
    answer = await site.browser().get("/ui/groups/payments", **headers)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/login?next=%2Fui%2Fgroups%2Fpayments")
    assert "evil.example" not in str(answer.headers)


async def test_an_oversized_form_is_refused_before_it_is_read(site):
    browser = await site.logged_in("admin")
    token = await browser.form_token()
    answer = await browser.post("/ui/logout", {"form_token": token, "x": "y" * 70_000}, headers=OURS)
    assert (answer.status_code, "The form is larger than 65536 bytes." in answer.text) == (413, True)
    answer = await browser.post(f"{KEY}/edit", {"form_token": token, "value": "y" * 3_000_000}, headers=OURS)
    assert (answer.status_code, site.groups.done) == (413, [])


async def test_ids_of_other_groups_open_nothing(open_site):
    """A group or key of another, in the path or in a form's fields: the same denial as for one that is not there."""
    other = Kept("search", {"user:none": "secret-group-admin"}, {"INDEX": [SecretValue(b"CANARY-other")]})
    site = await open_site(MemoryGroups(payments(), other))
    browser = await site.logged_in("admin")
    for path in [
        "/ui/groups/search",
        "/ui/groups/search/keys/INDEX",
        "/ui/groups/search/keys/INDEX/edit",
        "/ui/groups/search/collaborators",
        "/ui/groups/search/activity",
        "/ui/groups/search/delete",
    ]:
        theirs, nowhere = await browser.get(path), await browser.get(path.replace("search", "nowhere"))
        assert (theirs.status_code, theirs.text.replace("search", "nowhere")) == (403, nowhere.text), path
    for path in CHANGES[3:]:
        answer = await browser.send(
            path.replace("{group}", "search").replace("{key}", "INDEX"),
            {"group": "payments", "value": "x", "name": "search", "key": "INDEX"},
        )
        assert answer.status_code == 403, path
    assert site.groups.done == []


async def test_a_crash_shows_nothing_of_what_it_held(site, logs, monkeypatch):
    async def broken(*_args, **_named):
        raise RuntimeError("CANARY-crash")

    browser = await site.logged_in("admin")
    monkeypatch.setattr(site.groups, "versions", broken)
    answer = await browser.get(KEY)
    assert (answer.status_code, "CANARY-crash" in answer.text, "Something broke" in answer.text) == (500, False, True)
    assert "CANARY" not in str(logs)
    assert [event["error"] for event in logs if event["event"] == "request_crashed"] == ["RuntimeError"]


async def test_neither_tokens_nor_values_are_logged(site, logs):
    browser = await site.logged_in("admin")
    await browser.post("/ui/login", {"token": "CANARY-wrong"})
    await browser.send(f"{KEY}/reveal")
    await browser.send(f"{KEY}/edit", {"value": "CANARY-typed", "expected": "2"})
    await browser.get("/ui/groups?q=CANARY-search")
    assert len(logs) >= 8
    assert "CANARY" not in str(logs)
    assert "CANARY" not in site.audit_path.read_text()
