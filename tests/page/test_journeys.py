"""What people of each role do, in a browser, from the login to the logout."""

import asyncio
import re
from contextlib import suppress

import pytest
from playwright.async_api import Error, expect

from tests.page.conftest import going, login
from tests.page.running import token_of

CANARY = "CANARY-91d2"


async def press(page, name, role="button", exact=False):
    async with going(page):
        await page.get_by_role(role, name=name, exact=exact).first.click()


async def test_an_admin_adds_a_key_and_uses_it(visit, broker):
    """Saved in the page, found in the store to the byte; its name is copied; what happened is told."""
    group = broker.make()
    page = await visit("admin", permissions=["clipboard-read", "clipboard-write"])
    await page.get_by_role("searchbox").fill(group.name)
    await press(page, "Search")
    await press(page, group.name, "link", exact=True)
    await press(page, "Add the first key", "link")
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.get_by_label("Name").fill("TLS_KEY")
    await page.get_by_label("Value", exact=True).fill("-----BEGIN-----\nAAAA\n-----END-----\n")
    await press(page, "Add key")
    await expect(page.get_by_role("status").first).to_contain_text("The key is added")
    assert broker.value(group.name, "TLS_KEY") == b"-----BEGIN-----\nAAAA\n-----END-----\n"
    await page.get_by_role("button", name="Copy the name of TLS_KEY").click()
    await expect(page.locator("#said")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == f"tfy-secret://acme:{group.name}:TLS_KEY"
    await press(page, group.name, "link", exact=True)
    await press(page, "Activity", "link")
    await expect(page.get_by_role("main")).to_contain_text(re.compile(r"admin added the key\s+TLS_KEY"))


async def test_an_admin_shares_and_takes_back(visit, broker):
    group = broker.make({"A": "x"})
    page, other = await visit("admin"), await visit("none")
    assert (await other.goto(group.path)).status == 403
    await page.goto(f"{group.path}/collaborators")
    await page.get_by_label("Name").fill("none")
    await page.get_by_label("Role", exact=True).select_option(label="Editor")
    await press(page, "Add", exact=True)
    assert (await other.goto(group.path)).status == 200
    await page.get_by_label("Role of user:none", exact=True).select_option(label="Viewer")
    await press(page, "Change the role of user:none")
    await other.goto(f"{group.path}/keys/A")
    await expect(other.get_by_role("button", name="Show value")).to_have_count(0)
    await press(page, "Remove user:none, Viewer")
    assert (await other.goto(group.path)).status == 403


async def test_the_last_admin_stays(visit, broker):
    group = broker.make(collaborators=[("admin", "user:admin")])
    page = await visit("admin")
    await page.goto(f"{group.path}/collaborators")
    await press(page, "Remove user:tenant, Admin")
    await press(page, "Remove user:admin, Admin")
    await expect(page.get_by_role("alert")).to_be_visible()
    assert (await page.goto(group.path)).status == 200


async def test_an_editor_changes_looks_brings_back_and_deletes(visit, broker):
    group = broker.make({"DB": "one"})
    page = await visit("editor")
    await page.goto(group.path)
    await expect(page.get_by_role("link", name="Add key")).to_have_count(0)
    await press(page, "DB", "link", exact=True)
    await press(page, "New value", "link")
    await page.get_by_label("Value", exact=True).fill("two")
    await press(page, "Save")
    assert broker.value(group.name, "DB") == b"two"
    await press(page, "Show value")
    await expect(page.locator("#value")).to_have_text("two")
    await press(page, "Bring back version 1")
    assert broker.value(group.name, "DB") == b"one"
    await press(page, "Delete…", "link")
    await press(page, "Delete", exact=True)
    await expect(page.get_by_role("main")).to_contain_text("DB was deleted by editor")
    await press(page, "Undo the deletion of DB")
    assert broker.value(group.name, "DB") == b"one"


async def test_a_viewer_sees_names_and_no_value_ever(visit, broker):
    """Whatever a viewer opens, the value is in nothing that the browser got."""
    group = broker.make({"DB": CANARY})
    page = await visit("viewer")
    texts = []
    for path in ("", "/use", "/keys/DB"):
        answer = await page.goto(group.path + path)
        assert answer.status == 200
        texts += [await answer.text(), await page.content()]
    for path in ("/collaborators", "/activity", "/delete", "/new-key", "/keys/DB/edit", "/keys/DB/delete"):
        assert (await page.goto(group.path + path)).status == 403
    await page.goto(f"{group.path}/keys/DB")
    await expect(page.get_by_role("main")).to_contain_text(f"tfy-secret://acme:{group.name}:DB")
    token = await page.locator("input[name=form_token]").first.input_value()
    answer = await page.request.post(
        f"{broker.url}{group.path}/keys/DB/reveal", form={"form_token": token}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert (answer.status, [text for text in [*texts, await answer.text()] if CANARY in text]) == (403, [])


async def test_somebody_without_a_role(visit, broker):
    page = await visit("none")
    await expect(page.get_by_role("heading", name="No groups yet")).to_be_visible()
    await page.goto("/ui/stores")
    await expect(page.get_by_role("heading", name="No stores for you yet")).to_be_visible()
    await page.goto("/ui/groups/group-that-is-not-there")
    await expect(page.get_by_role("heading", name="Nothing here for you")).to_be_visible()
    await press(page, "Log out")
    await expect(page.get_by_role("status").first).to_contain_text("You are logged out")
    await page.goto("/ui/stores")
    await expect(page.get_by_label("Kubernetes token")).to_be_visible()


async def test_a_tenant_admin_makes_and_deletes_a_group(visit, broker):
    page = await visit("tenant")
    await press(page, "New group", "link")
    await page.get_by_label("Name").fill("made-here")
    await press(page, "Make the group")
    await expect(page.get_by_role("heading", name="made-here")).to_be_visible()
    await press(page, "Delete this group…", "link")
    await page.get_by_label("Type the group's name").fill("made-here")
    await press(page, "Delete the group")
    assert (await page.goto("/ui/groups/made-here")).status == 403 or await page.get_by_role("heading", name="Not found").count()


async def test_two_at_once(visit, broker):
    """The second editor is shown what changed, and what they typed is not lost."""
    group = broker.make({"DB": "one"})
    one, two = await visit("admin"), await visit("editor")
    for page in (one, two):
        await page.goto(f"{group.path}/keys/DB/edit")
    await one.get_by_label("Value", exact=True).fill("from one")
    await two.get_by_label("Value", exact=True).fill("from two")
    await press(one, "Save")
    await press(two, "Save")
    await expect(two.get_by_role("alert")).to_contain_text("admin")
    assert broker.value(group.name, "DB") == b"from one"
    await press(two, "Save over it")
    assert broker.value(group.name, "DB") == b"from two"


async def test_two_who_share_at_once(visit, broker):
    group = broker.make({"DB": "one"})
    one, two = await visit("admin"), await visit("tenant")
    for page, who in ((one, "ann"), (two, "bob")):
        await page.goto(f"{group.path}/collaborators")
        await page.get_by_label("Name").fill(who)
    await press(one, "Add", exact=True)
    await press(two, "Add", exact=True)
    await expect(two.get_by_role("alert")).to_contain_text("user:ann")
    await expect(two.get_by_label("Name")).to_have_value("bob")
    await press(two, "Add", exact=True)
    await expect(two.get_by_role("main")).to_contain_text("user:bob")
    await expect(two.get_by_role("main")).to_contain_text("user:ann")


async def test_a_value_hides_itself(visit, broker):
    """After its seconds, when the window loses the focus, when the tab is hidden; and it is out of the page then, not only out of sight."""
    group = broker.make({"DB": CANARY})
    page = await visit("editor")

    async def shown():
        await page.goto(f"{group.path}/keys/DB")
        await press(page, "Show value")
        await expect(page.locator("#value")).to_have_text(CANARY)

    await page.clock.install()
    await shown()
    await page.clock.run_for(25_000)
    await expect(page.locator("#value")).to_have_text(CANARY)
    await page.clock.run_for(6_000)
    for leave in (
        None,
        "window.dispatchEvent(new Event('blur'))",
        "Object.defineProperty(document, 'hidden', {value: true}), document.dispatchEvent(new Event('visibilitychange'))",
    ):
        if leave:
            await shown()
            await page.evaluate(leave)
        await expect(page.get_by_text("Hidden again.")).to_be_visible()
        assert CANARY not in await page.content()
        await expect(page.get_by_role("button", name="Copy the value")).to_have_count(0)


async def test_back_does_not_bring_a_value_back(visit, broker):
    group = broker.make({"DB": CANARY})
    page = await visit("editor")
    await page.goto(f"{group.path}/keys/DB")
    await press(page, "Show value")
    await page.goto("/ui/groups")
    with suppress(Error):  # the browser asks whether the form is to be sent again
        await page.go_back()
    with suppress(Error):
        await page.wait_for_load_state()
    await expect(page.get_by_text(CANARY)).to_have_count(0)


async def test_copy_buttons(visit, broker):
    group = broker.make({"DB": "a value\nof two lines"})
    page = await visit("editor", permissions=["clipboard-read", "clipboard-write"])
    await page.goto(f"{group.path}/keys/DB")
    await press(page, "Show value")

    async def copied(name):
        await page.get_by_role("button", name=name).click()
        await expect(page.locator("#said")).to_have_text("Copied")
        return await page.evaluate("navigator.clipboard.readText()")

    fqn = f"tfy-secret://acme:{group.name}:DB"
    assert await copied("Copy the value") == "a value\nof two lines"
    assert await copied("Copy the YAML: As an environment variable") == f'env:\n- name: DB\n  value: "{fqn}"\n'
    assert (
        await copied("Copy the YAML: Inside other text")
        == f'env:\n- name: DATABASE_URL\n  value: "postgres://app:${{{fqn}}}@db:5432/app"\n'
    )
    assert fqn in await copied("Copy the YAML: As a file")


async def test_a_copy_that_the_browser_refuses_says_so(visit, broker):
    group = broker.make({"DB": "x"})
    page = await visit("viewer")
    await page.goto(f"{group.path}/keys/DB")
    await page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    await page.get_by_role("button", name="Copy the name of DB").click()
    await expect(page.locator("#said")).to_contain_text("The browser did not let it be copied")


async def test_values_pass_a_browser_exactly(visit, broker, tmp_path):
    """Through a text area and out of the page again; through a file, and out as a file."""
    group = broker.make({"DB": "x"})
    page = await visit("editor")
    typed = '\n first line empty, blanks \t\n<b>&amp; "quotes" 🔑\n\n'
    await page.goto(f"{group.path}/keys/DB/edit")
    await page.get_by_label("Value", exact=True).fill(typed)
    await press(page, "Save")
    assert broker.value(group.name, "DB") == typed.encode()
    await press(page, "Show value")
    assert await page.locator("#value").text_content() == typed
    content = bytes(range(256)) + b"\r\n"
    (tmp_path / "key.bin").write_bytes(content)
    await page.goto(f"{group.path}/keys/DB/edit")
    await page.get_by_label("Or a file, byte for byte").set_input_files(tmp_path / "key.bin")
    await press(page, "Save")
    await press(page, "Save all the same")
    assert broker.value(group.name, "DB") == content
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download the exact bytes").click()
    download = await downloading.value
    await download.save_as(tmp_path / "got.bin")
    assert (download.suggested_filename, (tmp_path / "got.bin").read_bytes()) == ("DB", content)


async def test_without_a_script(visit, broker):
    """Everything but copying: log in, search, save with a notice, look, bring back, share, delete, undo, log out."""
    group = broker.make({"DB": "one"})
    page = await visit("admin", java_script_enabled=False)
    await page.goto(f"{group.path}/keys/DB")
    await expect(page.get_by_role("button", name="Copy the name of DB")).to_have_count(0)
    await press(page, "New value", "link")
    await page.get_by_label("Value", exact=True).fill("it's")
    await press(page, "Save")
    await expect(page.get_by_role("heading", name="Before you save: what this value means for pods")).to_be_visible()
    assert broker.value(group.name, "DB") == b"one"
    await press(page, "Save all the same")
    assert broker.value(group.name, "DB") == b"it's"
    await press(page, "Show value")
    await expect(page.locator("#value")).to_have_text("it's")
    assert await page.locator('meta[http-equiv="refresh"]').get_attribute("content") == f"30;url={group.path}/keys/DB"
    await press(page, "Bring back version 1")
    await page.goto(f"{group.path}/collaborators")
    await page.get_by_label("Name").fill("zoe")
    await press(page, "Add", exact=True)
    await expect(page.get_by_role("main")).to_contain_text("user:zoe")
    await page.goto(f"{group.path}/keys/DB/delete")
    await press(page, "Delete", exact=True)
    await press(page, "Undo the deletion of DB")
    assert broker.value(group.name, "DB") == b"one"
    await press(page, "Log out")
    await expect(page.get_by_label("Kubernetes token")).to_be_visible()


async def test_with_the_keyboard_alone(visit, broker):
    """From the address to a saved value: Tab, Enter and typing."""
    group = broker.make({"DB": "one"})
    page = await visit()
    await page.goto(f"/ui/login?next={group.path}/keys/DB")
    await expect(page.get_by_label("Kubernetes token")).to_be_focused()  # by itself; a key pressed before that goes nowhere
    await page.keyboard.type(token_of("editor"))
    async with going(page):
        await page.keyboard.press("Enter")
    assert page.url.endswith("/keys/DB")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await tab_to(page, "New value")
    async with going(page):
        await page.keyboard.press("Enter")
    await expect(page.get_by_label("Value", exact=True)).to_be_focused()
    await page.keyboard.type("typed")
    await tab_to(page, "Save")
    async with going(page):
        await page.keyboard.press("Enter")
    assert broker.value(group.name, "DB") == b"typed"
    await tab_to(page, "Show value")
    async with going(page):
        await page.keyboard.press("Space")
    await expect(page.locator("#value")).to_have_text("typed")


async def tab_to(page, text):
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent.trim()") == text:
            return
    raise AssertionError(f"'{text}' cannot be reached with Tab")


async def test_a_session_that_ends_says_so_before(visit, broker):
    group = broker.make({"DB": "one"})
    page = await visit("editor")
    await page.clock.install()
    await page.goto(f"{group.path}/keys/DB/edit")
    await page.clock.run_for(27 * 60_000)
    await expect(page.get_by_text("Your session ends in two minutes.")).to_have_count(0)
    await page.clock.run_for(2 * 60_000)
    await expect(page.get_by_role("alert")).to_contain_text("Your session ends in two minutes.")


async def test_a_deep_link_leads_back_after_the_login(visit, broker):
    group = broker.make({"DB": "one"})
    page = await visit()
    await page.goto(f"{group.path}/keys/DB")
    await page.get_by_label("Kubernetes token").fill(token_of("viewer"))
    await press(page, "Log in", exact=True)
    assert page.url == f"{broker.url}{group.path}/keys/DB"


async def test_the_cookie_is_out_of_reach(visit, broker):
    page = await visit("viewer")
    assert await page.evaluate("document.cookie") == ""
    (cookie,) = [c for c in await page.context.cookies() if c["name"].startswith("__Host-")]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"], cookie["expires"]) == (True, True, "Strict", "/", -1)


async def test_what_is_changed_elsewhere_shows(visit, broker):
    group = broker.make({"DB": "one"})
    page = await visit("viewer")
    await page.goto(group.path)
    broker.put(group.name, LATER="x")
    async with asyncio.timeout(20):
        while not await page.get_by_role("link", name="LATER").is_visible():
            await page.reload()


@pytest.mark.parametrize("who", ["viewer", "editor"])
async def test_two_people_in_one_browser_after_another(visit, broker, who):
    """The second one has nothing of the first."""
    group = broker.make({"DB": CANARY})
    page = await visit("admin")
    await page.goto(f"{group.path}/collaborators")
    await press(page, "Log out")
    await login(page, who)
    assert (await page.goto(f"{group.path}/collaborators")).status == 403
