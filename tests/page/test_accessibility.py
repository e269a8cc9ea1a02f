"""Every page for everyone: names, headings, landmarks, contrast, sizes and widths in light and dark, down to 320 px; the focus in sight."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.page.conftest import going

CHECKER = (Path(__file__).parent / "checker.js").read_text()
LONG = "a-very-long-name-that-no-line-of-a-telephone-holds.and-goes-on_and-on-0123456789"


@pytest.fixture(scope="session")
def group(broker):
    """Everything that a group's pages can show: long names, versions, a value that a mode cannot carry, a deleted key, people of all kinds."""
    made = broker.make(
        {"DB_PASSWORD": "one", LONG: "x", "GONE": "x"},
        name="a-group-with-a-long-name",
        collaborators=[
            ("admin", "user:admin"),
            ("viewer", "user:viewer"),
            ("editor", "team:system:a-long-team:of-the-directory-of-acme.example"),
            ("consumer", "serviceaccount:shop/web"),
        ],
    )
    broker.put(made.name, DB_PASSWORD="it's " + "long " * 400)
    return made


PAGES = {
    "login": "/ui/login",
    "a message": "/ui/login?note=logged-out",
    "groups": "/ui/groups",
    "nothing found": "/ui/groups?q=zzz",
    "stores": "/ui/stores",
    "new group": "/ui/new-group",
    "group": "{group}",
    "no key found": "{group}?q=zzz",
    "how to use": "{group}/use",
    "collaborators": "{group}/collaborators",
    "activity": "{group}/activity",
    "delete group": "{group}/delete",
    "new key": "{group}/new-key",
    "key": "{group}/keys/DB_PASSWORD",
    "long key": "{group}/keys/" + LONG,
    "new value": "{group}/keys/DB_PASSWORD/edit",
    "delete key": "{group}/keys/DB_PASSWORD/delete",
    "denied": "/ui/groups/none-of-that-name",
    "no such page": "/ui/nowhere",
}
LOOKS = [("light", 1200), ("dark", 1200), ("light", 360), ("dark", 320)]


async def checked(page, where):
    return [f"{where}: {problem}" for problem in await page.evaluate(CHECKER)]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_every_page(visit, group, scheme, width):
    page = await visit("tenant", color_scheme=scheme, viewport={"width": width, "height": 740}, reduced_motion="reduce")
    found = []
    for name, path in PAGES.items():
        await page.goto(path.format(group=group.path))
        found += await checked(page, name)
    assert found == []


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_every_step(visit, group, scheme, width):
    """What only a form brings: a shown value, a notice, a conflict, a fault, an undo."""
    page = await visit("admin", color_scheme=scheme, viewport={"width": width, "height": 740})
    found = []

    async def step(name, button, exact=True):
        async with going(page):
            await page.get_by_role("button", name=button, exact=exact).first.click()
        found.extend(await checked(page, name))

    await page.goto(f"{group.path}/keys/DB_PASSWORD")
    await step("a shown value", "Show value")
    await page.evaluate("window.dispatchEvent(new Event('blur'))")
    found += await checked(page, "hidden again")
    await page.goto(f"{group.path}/new-key")
    await page.get_by_role("textbox", name="Name", exact=True).fill("QUOTED")
    await page.get_by_label("Value", exact=True).fill("it's")
    await step("a notice", "Add key")
    await page.goto(f"{group.path}/new-key")
    await page.get_by_role("textbox", name="Name", exact=True).fill("DB_PASSWORD")
    await page.get_by_label("Value", exact=True).fill("x")
    await step("a conflict", "Add key")
    await page.goto(f"{group.path}/new-key")
    await page.get_by_role("textbox", name="Name", exact=True).fill("not a name")
    await page.get_by_label("Value", exact=True).fill("x")
    await step("a fault", "Add key")
    await page.goto(f"{group.path}/keys/GONE/delete")
    await step("an undo", "Delete")
    await step("undone", "Undo the deletion of GONE")
    await page.goto(f"{group.path}/collaborators")
    await page.get_by_role("textbox", name="Name", exact=True).fill("two words?/")
    await page.get_by_label("Who").select_option(label="A namespace")
    await step("a collaborator that cannot be", "Add")
    assert found == []


async def test_nothing_to_see(visit):
    page = await visit("none", viewport={"width": 320, "height": 640})
    assert await checked(page, "no groups") == []
    await page.goto("/ui/stores")
    assert await checked(page, "no stores") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_focus_is_in_sight_and_in_order(visit, group, scheme):
    """With Tab through a page with everything on it: each stop is outlined, in view, and below or right of the one before."""
    page = await visit("tenant", color_scheme=scheme)
    await page.goto(f"{group.path}/collaborators")
    stops = []
    for _ in range(60):
        await page.keyboard.press("Tab")
        stop = await page.evaluate(
            """() => { const e = document.activeElement; if (e === document.body) return null; const s = getComputedStyle(e), b = e.getBoundingClientRect();
               return { place: [...document.querySelectorAll('*')].indexOf(e), name: e.textContent.trim() || e.id, outlined: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,
               seen: b.top >= 0 && b.bottom <= innerHeight && b.width > 0 } }"""
        )
        if stop is None:
            break
        stops.append(stop)
    assert len(stops) > 20
    assert [stop for stop in stops if not stop["outlined"] or not stop["seen"]] == []
    assert [stop["place"] for stop in stops] == sorted(stop["place"] for stop in stops)


async def test_what_a_reader_hears(visit, group):
    """The tree that assistive technology gets, where it matters most."""
    page = await visit("viewer")
    await page.goto(f"{group.path}/keys/DB_PASSWORD")
    tree = await page.locator("body").aria_snapshot()
    for line in (
        'navigation "Main"',
        'navigation "Where you are"',
        'heading "DB_PASSWORD" [level=1]',
        'region "Versions"',
        'button "Copy the name of DB_PASSWORD"',
    ):
        assert line in tree
    await expect(page.get_by_role("region", name="Value")).to_have_count(0)


async def test_text_can_be_twice_as_large(visit, group):
    page = await visit("admin", viewport={"width": 800, "height": 740})
    for path in ("", "/collaborators", "/keys/DB_PASSWORD"):
        await page.goto(group.path + path)
        await page.evaluate("document.documentElement.style.fontSize = '32px'")
        assert [p for p in await checked(page, path) if "sideways" in p or "cut off" in p] == []


async def test_nothing_moves_for_who_does_not_want_it(visit, group):
    page = await visit("admin", reduced_motion="reduce")
    await page.goto(group.path)
    moving = await page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0 || getComputedStyle(e).animationName !== 'none').length"
    )
    assert moving == 0


async def test_the_checker_finds_what_is_wrong(visit, group):
    """It would be no use if it found nothing: each fault that it looks for is put into a good page."""
    page = await visit("admin")
    faults = {
        "no name": "main.insertAdjacentHTML('beforeend', '<button></button>')",
        "id main is there twice": "main.insertAdjacentHTML('beforeend', '<p id=main></p>')",
        "level 4 after": "main.insertAdjacentHTML('beforeend', '<h4>deep</h4>')",
        "2 h1": "main.insertAdjacentHTML('beforeend', '<h1>one more</h1>')",
        "contrast 1": "document.querySelector('h1').style.color = 'rgb(240, 240, 240)'",
        "scrolls sideways": "const p = document.createElement('p'); p.textContent = 'wide'; p.style.width = '3000px'; main.append(p)",
        "is not there": "document.querySelector('input[type=search]').setAttribute('aria-describedby', 'nothing')",
        "text outside of all landmarks": "document.body.insertAdjacentHTML('beforeend', '<div>lost</div>')",
        "the edge has a contrast": "document.querySelector('input[type=search]').style.borderColor = 'rgb(240, 240, 240)'",
        "px high": "document.querySelector('main button').style.cssText = 'min-height: 0; height: 10px; padding: 0'",
        "is written": "document.querySelector('main button[type=submit]').setAttribute('aria-label', 'Other')",
        "a tabindex that changes the order": "document.querySelector('main button').tabIndex = 3",
        "one name for two things": "main.insertAdjacentHTML('beforeend', '<a href=/a>Go</a><a href=/b>Go</a>')",
    }
    for words, fault in faults.items():
        await page.goto(group.path)
        assert await page.evaluate(CHECKER) == []
        await page.evaluate(f"() => {{ const main = document.querySelector('main .wide'); {fault} }}")
        assert re.search(words, "\n".join(await page.evaluate(CHECKER))), words
