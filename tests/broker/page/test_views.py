"""Each page for each role; values as the answer to a form alone; the steps of saving, deleting and sharing. All of it without a script."""

import base64
import re

import pytest

from broker.errors import Conflict, InvalidRequest, StoreFailed, Throttled, Unavailable
from broker.uses import Used, Workload
from contract.values import SecretValue
from tests.broker.page.conftest import CANARY, payments
from tests.broker.page.memory_groups import Kept, MemoryGroups

GROUP, KEY = "/ui/groups/payments", "/ui/groups/payments/keys/DB_PASSWORD"
ROLES = ("admin", "editor", "viewer", "none", "tenant")
PAGES = {
    # path: who sees it
    "/ui/groups": ROLES,
    "/ui/stores": ROLES,
    "/ui/new-group": ("tenant",),
    GROUP: ("admin", "editor", "viewer", "tenant"),
    f"{GROUP}/use": ("admin", "editor", "viewer", "tenant"),
    f"{GROUP}/collaborators": ("admin", "tenant"),
    f"{GROUP}/activity": ("admin", "tenant"),
    f"{GROUP}/delete": ("admin", "tenant"),
    f"{GROUP}/new-key": ("admin", "tenant"),
    KEY: ("admin", "editor", "viewer", "tenant"),
    f"{KEY}/edit": ("admin", "editor", "tenant"),
    f"{KEY}/delete": ("admin", "editor", "tenant"),
}


def used(*workloads, **named):
    class Uses:
        async def of_group(self, _group, **_fresh):
            return Used({"DB_PASSWORD": workloads} if workloads else {}, **named)

        async def of_key(self, group, _key, **_fresh):
            return await self.of_group(group)

    return Uses()


WEB = Workload("shop", "Deployment", "web")


def hidden(text, name):
    return re.search(rf'name="{name}" value="([^"]*)"', text)[1]


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("path", PAGES)
async def test_who_sees_which_page(site, who, path):
    answer = await (await site.logged_in(who)).get(path)
    assert answer.status_code == (200 if who in PAGES[path] else 403), answer.text
    assert CANARY not in answer.text, "no page holds a value"


@pytest.mark.parametrize("who", ["viewer", "none"])
async def test_what_cannot_be_done_is_not_offered(site, who):
    browser = await site.logged_in(who)
    text = "".join([(await browser.get(path)).text for path in ("/ui/groups", GROUP, KEY)])
    for words in ("Show value", "New value", "Delete", "Collaborators", "Activity", "New group", "Add key", "Download", "Bring back"):
        assert words not in text, words


@pytest.mark.parametrize("who", ["viewer", "none"])
async def test_a_value_is_refused_to_who_may_not_see_it(site, who):
    browser = await site.logged_in(who)
    for fields in ({}, {"version": "1"}, {"as": "file"}):
        answer = await browser.send(f"{KEY}/reveal", fields)
        assert (answer.status_code, CANARY in answer.text) == (403, False)


@pytest.mark.parametrize("who", ["admin", "editor", "tenant"])
async def test_a_value_is_the_answer_to_a_form(site, who):
    browser = await site.logged_in(who)
    answer = await browser.send(f"{KEY}/reveal")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert f"<code>{CANARY}-new</code>" in answer.text
    assert '<noscript><meta http-equiv="refresh" content="30;url=/ui/groups/payments/keys/DB_PASSWORD"></noscript>' in answer.text
    assert site.groups.done == [("reveal", "payments", "DB_PASSWORD", None)]
    older = await browser.send(f"{KEY}/reveal", {"version": "1"})
    assert f"<code>{CANARY}-old</code>" in older.text
    assert CANARY not in str(browser.http.cookies)
    assert CANARY not in (await browser.get(KEY)).text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(b"a\r\nb\rc\n", "<code>a&#13;\nb&#13;c\n</code>", id="line-ends"),
        pytest.param(b"\nfirst", "<code>\nfirst</code>", id="an-empty-first-line"),
        pytest.param(b"<b>&\"'", "<code>&lt;b&gt;&amp;&#34;&#39;</code>", id="html"),
        pytest.param("p\u00e4ss\u2028".encode(), base64.b64encode("p\u00e4ss\u2028".encode()).decode(), id="a-line-separator"),
        pytest.param(b"\0\xff", "2 bytes that are no text, shown as base64:", id="bytes"),
        pytest.param(b"\x1b[31m", base64.b64encode(b"\x1b[31m").decode(), id="an-escape-sequence"),
        pytest.param(b"", "The value is empty.", id="empty"),
        pytest.param(b"it's", "Mode <code>envfile</code> cannot carry it as a variable: the value holds a single quote", id="not-in-every-mode"),
    ],
)  # fmt: skip
async def test_how_a_value_is_shown(open_site, value, shown):
    site = await open_site(MemoryGroups(payments(DB_PASSWORD=[SecretValue(value)])))
    answer = await (await site.logged_in("editor")).send(f"{KEY}/reveal")
    assert shown in answer.text


async def test_the_exact_bytes_as_a_file(open_site):
    site = await open_site(MemoryGroups(payments(DB_PASSWORD=[SecretValue(bytes(range(256)))])))
    answer = await (await site.logged_in("editor")).send(f"{KEY}/reveal", {"as": "file"})
    assert answer.content == bytes(range(256))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="DB_PASSWORD"'
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("application/octet-stream", "no-store")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_too_many_looks(site):
    browser = await site.logged_in("editor")
    site.groups.error = Throttled("too many values were looked at; wait a little and try again", retry_after=12.0)
    answer = await browser.send(f"{KEY}/reveal")
    assert (answer.status_code, answer.headers["Retry-After"], CANARY in answer.text) == (429, "12", False)
    assert "Too many values were looked at" in answer.text


async def test_a_store_that_is_away_leaves_the_rest_of_the_page(site, monkeypatch):
    async def away(*_args):
        raise StoreFailed("the store 'main' does not answer", Unavailable("away"))

    monkeypatch.setattr(site.groups, "versions", away)
    answer = await (await site.logged_in("viewer")).get(KEY)
    assert (answer.status_code, "The store &#39;main&#39; does not answer." in answer.text) == (200, True)
    assert "tfy-secret://acme:payments:DB_PASSWORD" in answer.text


async def test_a_store_without_a_list_of_versions(site):
    """The group's version is sent then, so that the second of two editors is told there too."""
    site.groups.counted = False
    browser = await site.logged_in("editor")
    assert "This store does not list versions." in (await browser.get(KEY)).text
    seen = hidden((await browser.get(f"{KEY}/edit")).text, "expected")
    answer = await browser.send(f"{KEY}/edit", {"value": "new", "expected": seen})
    assert (answer.status_code, site.groups.done) == (303, [("put", "payments", "DB_PASSWORD", b"new")])
    answer = await browser.send(f"{KEY}/edit", {"value": "late", "expected": seen})
    assert (answer.status_code, len(site.groups.done)) == (409, 1)


# --- lists ---


async def test_search_and_pages(open_site):
    groups = MemoryGroups(payments(), *(Kept(f"g{n:03}", {"user:viewer": "secret-group-viewer"}, {"K": []}) for n in range(120)))
    site = await open_site(groups)
    browser = await site.logged_in("viewer")
    first = (await browser.get("/ui/groups")).text
    assert ("121 groups" in first, "Page 1 of 3" in first, "g049" in first, "g050" in first) == (True, True, True, False)
    assert 'rel="next" href="/ui/groups?page=2"' in first
    last = (await browser.get("/ui/groups?page=3")).text
    assert ("payments" in last, 'rel="next"' in last) == (True, False)
    found = (await browser.get("/ui/groups?q=db_pass")).text
    assert ("1 group" in found, "payments" in found, "g000" in found) == (True, True, False)
    assert "Nothing found for “zzz”" in (await browser.get("/ui/groups?q=zzz")).text
    assert "There is no such page" in (await browser.get("/ui/groups?page=99")).text
    for odd in ("0", "-1", "x", "1e9", "9" * 30, "²"):
        assert (await browser.get(f"/ui/groups?page={odd}")).status_code == 200


async def test_keys_are_searched(site):
    browser = await site.logged_in("viewer")
    assert "DB_PASSWORD" in (await browser.get(f"{GROUP}?q=pass+db")).text
    assert "No key for “zzz”" in (await browser.get(f"{GROUP}?q=zzz")).text


async def test_nobody_without_a_group_is_left_without_a_word(open_site):
    site = await open_site(MemoryGroups(admins={"user:tenant"}))
    text = (await (await site.logged_in("none")).get("/ui/groups")).text
    assert "as <code>user:none</code>" in text
    assert "You have no role that shows a group" in text, "a consumer is a collaborator too"
    assert "Make the first group" in (await (await site.logged_in("tenant")).get("/ui/groups")).text


async def test_what_is_said_of_a_store(site):
    text = (await (await site.logged_in("tenant")).get("/ui/stores")).text
    assert ("Answers" in text, "Does not answer" in text, "cannot be reached" in text) == (True, True, True)
    assert "cannot be reached" not in (await (await site.logged_in("viewer")).get("/ui/stores")).text


# --- saving ---


async def test_a_key_is_added(site):
    browser = await site.logged_in("admin")
    answer = await browser.send(f"{GROUP}/new-key", {"key": "STRIPE", "value": "a\r\nb\r\n", "expected": ""})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{GROUP}/keys/STRIPE?note=key-added")
    assert site.groups.done == [("put", "payments", "STRIPE", b"a\nb\n")]
    assert "The key is added." in (await browser.get(answer.headers["Location"])).text


async def test_a_new_value_from_a_file(site):
    browser = await site.logged_in("editor")
    answer = await browser.send(f"{KEY}/edit", {"expected": "2", "value": ""}, {"value_file": ("key.pem", b"\0\r\n")}, page=f"{KEY}/edit")
    assert answer.status_code == 200, "a NUL is noticed first"
    confirm = answer.text
    answer = await browser.send(
        f"{KEY}/edit", {name: hidden(confirm, name) for name in ("expected", "value_base64", "understood", "empty")}, page=f"{KEY}/edit"
    )
    assert (answer.headers["Location"], site.groups.done) == (f"{KEY}?note=saved", [("put", "payments", "DB_PASSWORD", b"\0\r\n")])


@pytest.mark.parametrize(
    ("value", "words"),
    [("it's", "The value holds a single quote"), ("", "The value is empty, which the kubelet reads as not found")],
    ids=["quote", "empty"],
)
async def test_a_value_that_a_mode_cannot_carry_is_saved_after_a_notice(site, value, words):
    """Shown before anything is saved; a second button saves it. Without a script, and the value in the form alone."""
    browser = await site.logged_in("editor")
    answer = await browser.send(f"{KEY}/edit", {"expected": "2", "value": value, "empty": "yes"})
    assert (answer.status_code, words in answer.text, site.groups.done) == (200, True, [])
    assert "Save all the same" in answer.text
    sent = {name: hidden(answer.text, name) for name in ("expected", "value_base64", "understood", "empty")}
    answer = await browser.send(f"{KEY}/edit", sent)
    assert (answer.status_code, site.groups.done) == (303, [("put", "payments", "DB_PASSWORD", value.encode())])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"key": "A"}, "No value was given: type one, choose a file, or say that it is to be empty."),
        ({"key": "A", "value": ""}, "No value was given"),
        ({"value": "x"}, "The key needs a name."),
        ({"key": "not a name", "value": "x"}, "The key&#39;s name is not allowed."),
        ({"key": "A", "value_base64": "!"}, "The value that the form carried is not whole any more"),
    ],
    ids=["no-value", "empty-by-accident", "no-name", "bad-name", "not-whole"],
)
async def test_what_is_wrong_is_said_and_what_was_typed_is_kept(site, fields, words):
    browser = await site.logged_in("admin")
    answer = await browser.send(f"{GROUP}/new-key", {"expected": ""} | fields)
    assert (answer.status_code, words in answer.text, site.groups.done) == (400, True, []), answer.text
    assert f'value="{fields.get("key", "")}"' in answer.text


async def test_a_value_under_a_name_that_is_none_is_kept(site):
    """Thirty lines that were pasted are not lost over a blank in the name: only the name is asked for again."""
    browser = await site.logged_in("admin")
    answer = await browser.send(f"{GROUP}/new-key", {"expected": "", "key": "not a name", "value": "typed"})
    assert (answer.status_code, '<textarea id="value"' in answer.text, 'id="key" name="key" required' in answer.text) == (400, False, True)
    sent = {"key": "A_NAME", "value_base64": hidden(answer.text, "value_base64"), "expected": hidden(answer.text, "expected")}
    assert (await browser.send(f"{GROUP}/new-key", sent)).status_code == 303
    assert site.groups.done == [("put", "payments", "A_NAME", b"typed")]


async def test_a_new_key_that_is_there_already_overwrites_nothing(site):
    browser = await site.logged_in("admin")
    answer = await browser.send(f"{GROUP}/new-key", {"key": "DB_PASSWORD", "value": "x"})
    assert (answer.status_code, site.groups.done) == (409, [])


async def test_two_at_once(site):
    """The second one sees what changed; what they typed is kept and can be saved over it, or not."""
    one, two = await site.logged_in("admin"), await site.logged_in("editor")
    mine, theirs = [hidden((await who.get(f"{KEY}/edit")).text, "expected") for who in (one, two)]
    assert (await one.send(f"{KEY}/edit", {"expected": mine, "value": "first"})).status_code == 303
    answer = await two.send(f"{KEY}/edit", {"expected": theirs, "value": "second"})
    assert (answer.status_code, "bob saved version 3" in answer.text) == (409, True)
    assert ("Save over it" in answer.text, "Keep what is there" in answer.text) == (True, True)
    sent = {name: hidden(answer.text, name) for name in ("expected", "value_base64", "understood")}
    assert (await two.send(f"{KEY}/edit", sent)).status_code == 303
    assert [value for *_, value in site.groups.done] == [b"first", b"second"]


async def test_a_conflict_says_no_word_of_a_notice_that_was_not_shown(site):
    """Saved over, a value that a mode cannot carry gets its notice first."""
    browser = await site.logged_in("editor")
    answer = await browser.send(f"{KEY}/edit", {"expected": "1", "value": "it's"})
    assert answer.status_code == 200
    sent = {name: hidden(answer.text, name) for name in ("expected", "value_base64", "understood")}
    answer = await browser.send(f"{KEY}/edit", sent)
    assert (answer.status_code, hidden(answer.text, "expected")) == (409, "2")


async def test_a_store_that_fails_loses_nothing_that_was_typed(site):
    browser = await site.logged_in("editor")
    site.groups.error = StoreFailed("the store 'main' does not answer", Unavailable("away"))
    answer = await browser.send(f"{KEY}/edit", {"expected": "2", "value": "typed"})
    assert (answer.status_code, "Try again" in answer.text) == (502, True)
    sent = {name: hidden(answer.text, name) for name in ("expected", "value_base64")}
    assert (await browser.send(f"{KEY}/edit", sent)).status_code == 303
    assert site.groups.done == [("put", "payments", "DB_PASSWORD", b"typed")]


async def test_an_older_version_comes_back_unseen(site):
    browser = await site.logged_in("editor")
    answer = await browser.send(f"{KEY}/restore", {"version": "1"})
    assert (answer.headers["Location"], site.groups.done) == (
        f"{KEY}?note=restored",
        [("put", "payments", "DB_PASSWORD", f"{CANARY}-old".encode())],
    )
    assert CANARY not in answer.text
    answer = await browser.send(f"{KEY}/restore", {"version": "99"})
    assert (answer.status_code, "Version &#39;99&#39; is not there." in answer.text) == (400, True)


# --- deleting ---


async def test_a_deletion_can_be_undone(site):
    browser = await site.logged_in("editor")
    page = (await browser.get(f"{KEY}/delete")).text
    answer = await browser.send(f"{KEY}/delete", {"expected": hidden(page, "expected")})
    assert (answer.headers["Location"], site.groups.done) == (
        f"{GROUP}?note=key-deleted",
        [("delete", "payments", "DB_PASSWORD", True, False)],
    )
    assert "Undo the deletion of DB_PASSWORD" in (await browser.get(GROUP)).text
    assert (await browser.get(KEY)).status_code == 404
    answer = await browser.send(f"{KEY}/undo")
    assert (answer.headers["Location"], (await browser.get(KEY)).status_code) == (f"{KEY}?note=undone", 200)
    assert (await browser.send(f"{KEY}/undo")).status_code == 404, "its time is over, or it is back"


async def test_how_to_use_the_longest_key(open_site):
    """What an address asks for is cut, but not a name."""
    longest = "K" * 253
    site = await open_site(MemoryGroups(Kept("payments", {"user:viewer": "secret-group-viewer"}, {"A": [], longest: []})))
    text = (await (await site.logged_in("viewer")).get(f"{GROUP}/use?key={longest}")).text
    assert f"tfy-secret://acme:payments:{longest}" in text


async def test_how_to_use_begins_with_the_namespace(site):
    text = (await (await site.logged_in("viewer")).get(f"{GROUP}/use")).text
    assert ">kubectl label namespace NAMESPACE tfy-secret.dev/inject=enabled</pre>" in text


async def test_a_key_in_use_is_asked_about_twice(open_site):
    """The page names who uses it; without the second yes nothing is deleted."""
    site = await open_site(uses=used(WEB, Workload("shop", "CronJob", "nightly")))
    browser = await site.logged_in("editor")
    page = (await browser.get(f"{KEY}/delete")).text
    assert ("2 workloads use this key now" in page, "<b>web</b>" in page, "<b>nightly</b>" in page) == (True, True, True)
    answer = await browser.send(f"{KEY}/delete", {"expected": hidden(page, "expected")})
    assert (answer.status_code, "The key is in use: say that you know." in answer.text, site.groups.done) == (400, True, [])
    answer = await browser.send(f"{KEY}/delete", {"expected": hidden(page, "expected"), "in_use": "yes"})
    assert (answer.status_code, len(site.groups.done)) == (303, 1)


async def test_what_may_be_in_use_is_asked_about_too(open_site):
    site = await open_site(uses=used(missing="the Kubernetes API did not answer", unsure=True))
    browser = await site.logged_in("editor")
    assert "I know that it may be in use" in (await browser.get(f"{KEY}/delete")).text
    assert (await browser.send(f"{KEY}/delete")).status_code == 400


async def test_who_uses_a_key_is_shown(open_site):
    site = await open_site(uses=used(*(Workload("shop", "Pod", f"p{n:03}") for n in range(60))))
    browser = await site.logged_in("viewer")
    text = (await browser.get(KEY)).text
    assert ("<b>p049</b>" in text, "<b>p050</b>" in text, "and 10 more" in text) == (True, False, True)
    assert "Used by 60 workloads" in (await browser.get(GROUP)).text


async def test_off_a_cluster_it_is_not_known(site):
    text = (await (await site.logged_in("viewer")).get(KEY)).text
    assert "Who uses it is not known here: this broker runs without a cluster." in text


async def test_a_deletion_of_what_changed_meanwhile(site):
    browser = await site.logged_in("editor")
    answer = await browser.send(f"{KEY}/delete", {"expected": "0"})
    assert (answer.status_code, "bob added a key" in answer.text, site.groups.done) == (409, True, [])


async def test_a_store_that_is_away_can_be_passed_by(site):
    browser = await site.logged_in("editor")
    site.groups.error = StoreFailed("the store 'main' does not answer", Unavailable("away"))
    answer = await browser.send(f"{KEY}/delete")
    assert (answer.status_code, "Delete it without an undo" in answer.text) == (502, True)
    assert (await browser.send(f"{KEY}/delete", {"force": "yes"})).status_code == 303
    assert site.groups.done == [("delete", "payments", "DB_PASSWORD", False, True)]


async def test_a_group_is_deleted_by_its_name(open_site):
    site = await open_site(uses=used(WEB))
    browser = await site.logged_in("admin")
    page = (await browser.get(f"{GROUP}/delete")).text
    assert "1 workload uses this group&#39;s keys now" in page or "1 workload uses this group's keys now" in page
    for fields in ({"in_use": "yes"}, {"name": "payment", "in_use": "yes"}, {"name": "payments"}):
        answer = await browser.send(f"{GROUP}/delete", fields)
        assert (answer.status_code, site.groups.done) == (400, []), fields
    sent = {"name": "payments", "in_use": "yes", "expected": hidden(page, "expected")}
    answer = await browser.send(f"{GROUP}/delete", sent)
    assert (answer.headers["Location"], site.groups.done) == ("/ui/groups?note=group-deleted", [("delete-group", "payments")])


# --- groups and who shares them ---


async def test_a_group_is_made(site):
    browser = await site.logged_in("tenant")
    answer = await browser.send("/ui/new-group", {"name": "search", "store": "main"})
    assert answer.headers["Location"] == "/ui/groups/search?note=group-made"
    assert "Add the first key" in (await browser.get("/ui/groups/search")).text


@pytest.mark.parametrize(("name", "status"), [("payments", 409), ("Not A Name", 400)])
async def test_a_group_that_cannot_be_made(site, name, status):
    answer = await (await site.logged_in("tenant")).send("/ui/new-group", {"name": name, "store": "vault"})
    assert (answer.status_code, f'value="{name}"' in answer.text, '<option value="vault" selected>' in answer.text) == (status, True, True)


async def shared(browser, **fields):
    page = (await browser.get(f"{GROUP}/collaborators")).text
    return await browser.send(f"{GROUP}/collaborators", {"expected": hidden(page, "expected")} | fields)


async def test_somebody_is_added_changed_and_removed(site):
    browser, roles = await site.logged_in("admin"), site.groups.kept["payments"]
    answer = await shared(browser, change="add", kind="serviceaccount", name="shop/web", role="secret-group-consumer")
    assert answer.headers["Location"] == f"{GROUP}/collaborators?note=shared"
    assert roles.roles["serviceaccount:shop/web"] == "secret-group-consumer"
    await shared(browser, change="change", subject="serviceaccount:shop/web", old_role="secret-group-consumer", role="secret-group-viewer")
    assert roles.roles["serviceaccount:shop/web"] == "secret-group-viewer"
    await shared(browser, change="remove", subject="serviceaccount:shop/web", old_role="secret-group-viewer")
    assert "serviceaccount:shop/web" not in roles.roles
    assert len(roles.roles) == 3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"change": "add", "kind": "user", "name": "", "role": "secret-group-viewer"}, "A name is needed."),
        (
            {"change": "add", "kind": "robot", "name": "x", "role": "secret-group-viewer"},
            "Kind: allowed: user, team, serviceaccount, namespace.",
        ),
        ({"change": "add", "kind": "user", "name": "x", "role": "owner"}, "Role: allowed: secret-group-admin"),
        ({"change": "add", "kind": "user", "name": "viewer", "role": "secret-group-viewer"}, "User:viewer has that role already."),
        ({"change": "remove", "subject": "user:eve", "old_role": "secret-group-viewer"}, "User:eve has no longer that role"),
        ({"change": "?", "subject": "user:viewer", "old_role": "secret-group-viewer"}, "Role: allowed:"),
    ],
    ids=["no-name", "unknown-kind", "unknown-role", "twice", "gone", "unknown-change"],
)
async def test_a_change_that_cannot_be_made(site, fields, words):
    answer = await shared(await site.logged_in("admin"), **fields)
    assert (answer.status_code, words in answer.text, site.groups.done) == (400, True, []), answer.text


async def test_a_fault_of_a_subject_names_no_place_of_the_resource(site):
    """Whoever looks at a form sees no `collaborators[3]`."""
    site.groups.error = InvalidRequest("collaborators[3].subject: found 'serviceaccount:x'; allowed: user:<name>")
    answer = await shared(await site.logged_in("admin"), change="add", kind="serviceaccount", name="x", role="secret-group-consumer")
    assert (answer.status_code, "<p>Subject: found &#39;serviceaccount:x&#39;; allowed" in answer.text) == (400, True)


async def test_two_who_share_at_once(site):
    browser = await site.logged_in("admin")
    answer = await browser.send(
        f"{GROUP}/collaborators", {"expected": "0", "change": "add", "kind": "user", "name": "zoe", "role": "secret-group-viewer"}
    )
    assert (answer.status_code, "bob added user:eve" in answer.text, 'value="zoe"' in answer.text) == (409, True, True)


async def test_a_conflict_is_told_once_and_says_nothing_that_the_buttons_do_not(site):
    """Its sentence holds its one change already, and "look again" would be a third choice that is not there."""
    browser = await site.logged_in("editor")
    page = (await browser.get(f"{KEY}/edit")).text
    change = "version 3 of 'DB_PASSWORD' was saved by bob"
    site.groups.error = Conflict(f"{change} since you looked. To fix: look again, then change it", (change,), "3")
    answer = await browser.send(f"{KEY}/edit", {"value": "mine", "expected": hidden(page, "expected")})
    assert answer.status_code == 409
    assert (answer.text.count("saved by bob since you looked."), answer.text.count("saved by bob")) == (1, 1)
    assert "look again" not in answer.text


async def test_a_conflict_elsewhere_is_a_page_too(site):
    browser = await site.logged_in("editor")
    site.groups.error = Conflict("someone changed the key")
    answer = await browser.send(f"{KEY}/restore", {"version": "1"})
    assert (answer.status_code, "Someone changed the key." in answer.text) == (409, True)


async def test_every_answer_says_how_long_it_took(site):
    answer = await (await site.logged_in("viewer")).get("/ui/groups")
    assert re.fullmatch(r"page;dur=\d+\.\d", answer.headers["Server-Timing"])
