"""A key's page: its name to copy, its versions, who uses it; and its value, as the answer to a form and nowhere else."""

import binascii
from dataclasses import dataclass, field

from aiohttp import web

from broker.errors import BrokerError, Denied, NotFound, Throttled
from broker.groups.model import GroupView, KeyView, Revealed, Versions
from broker.http import OWN_HEADERS
from broker.page.forms import Form
from broker.page.headers import PAGE
from broker.page.snippets import snippets
from broker.page.visit import Visit
from contract import envfile

HIDE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as a page can show it: as text where it is some, else as base64."""

    text: str = field(repr=False)
    is_text: bool
    length: int
    version: str | None
    limit: str | None


async def show(visit: Visit) -> web.Response:
    return await page(visit, *await find(visit))


async def value(visit: Visit, form: Form) -> web.Response:
    """The page with the value in it; or, as a file, the exact bytes."""
    group, key = await find(visit)
    version = form.text("version") or None
    try:
        revealed = await visit.groups.reveal(visit.caller, group.name, key.key, visit.origin, version)
    except (NotFound, Throttled) as error:
        response = await page(visit, group, key, problem=error.message, status=404 if isinstance(error, NotFound) else 429)
        if isinstance(error, Throttled):
            response.headers["Retry-After"] = str(max(1, round(error.retry_after or 1)))
        return response
    if form.text("as") == "file":
        return _file(key.key, revealed)
    return await page(visit, group, key, shown=_shown(key.key, revealed))


async def find(visit: Visit) -> tuple[GroupView, KeyView]:
    """Raises NotFound for a key that the group does not have."""
    group = await visit.groups.get(visit.caller, visit.named("group"), visit.origin)
    name = visit.named("key")
    for key in group.keys:
        if key.key == name:
            return group, key
    raise NotFound(f"the group '{group.name}' has no key of that name; it may have been deleted")


async def page(
    visit: Visit, group: GroupView, key: KeyView, *, shown: Shown | None = None, problem: str | None = None, status: int = 200
) -> web.Response:
    versions, trouble = await _versions(visit, group, key)
    uses = await visit.parts.uses.of_key(group.name, key.key)
    return visit.page(
        "key.html",
        status,
        group=group,
        key=key,
        versions=versions,
        trouble=trouble,
        uses=uses,
        shown=shown,
        hide_seconds=HIDE_SECONDS,
        snippets=snippets(key.fqn, key.key),
        problem=problem,
    )


async def _versions(visit: Visit, group: GroupView, key: KeyView) -> tuple[Versions, str | None]:
    """And why the store does not tell: the rest of the page is of use all the same."""
    try:
        return await visit.groups.versions(visit.caller, group.name, key.key, visit.origin), None
    except Denied:
        raise
    except NotFound:
        return Versions(()), None  # listed, and there is no value yet
    except BrokerError as error:
        return Versions(()), error.message


def _file(key: str, revealed: Revealed) -> web.Response:
    """The exact bytes, to be saved and never to be looked at as a page."""
    response = web.Response(body=revealed.value.reveal(), content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{key}"'  # a key's name has no character that ends a quoted text
    response[OWN_HEADERS] = {**PAGE, "Content-Security-Policy": "default-src 'none'; sandbox"}
    return response


def _shown(key: str, revealed: Revealed) -> Shown:
    content = revealed.value.reveal()
    limit = envfile.cannot_carry(content, key)
    try:
        text = content.decode()
        is_text = all(character.isprintable() or character in "\t\r\n" for character in text)
    except UnicodeDecodeError:
        is_text = False
    if not is_text:
        text = binascii.b2a_base64(content, newline=False).decode()
    return Shown(text, is_text, len(content), revealed.version, limit.sentence if limit else None)
