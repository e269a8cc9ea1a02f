"""From a view to an answer: templates that escape everything, the headers of a page, what every page shows.

A template that names something it was not given is an error, not an empty place. Values reach a template as text that a filter keeps
exact; nothing here decides who may see one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from broker.http import OWN_HEADERS
from broker.page import assets
from broker.page.headers import PAGE
from broker.page.places import FOLDER, Places
from broker.page.session import Session
from contract.access import Action
from contract.resources import ROLES


@dataclass(frozen=True, slots=True)
class Person:
    """Who looks at the page. `may_create`: groups."""

    name: str
    session: Session
    may_create: bool


ROLE_WORDS: Mapping[str, tuple[str, str]] = {
    "secret-group-admin": ("Admin", "Creates, edits, deletes and sees secrets; shares and deletes the group"),
    "secret-group-editor": ("Editor", "Edits, deletes and sees secrets"),
    "secret-group-viewer": ("Viewer", "Sees the names of keys, never a value"),
    "secret-group-consumer": ("Consumer", "For workloads: has values injected into pods"),
}
assert set(ROLE_WORDS) == set(ROLES)  # noqa: S101 - checked when the module loads


def page(template: str, person: Person | None, status: int = 200, **context: Any) -> web.Response:
    """An HTML answer. `context` is the template's own."""
    html = environment().get_template(template).render(person=person, **context)
    response = web.Response(status=status, text=html, content_type="text/html", charset="utf-8")
    response[OWN_HEADERS] = PAGE
    return response


def redirect(place: str) -> web.Response:
    """To a page of ours, after a form: the browser asks for it with GET."""
    response = web.Response(status=303, headers={"Location": place})
    response[OWN_HEADERS] = PAGE
    return response


@lru_cache(maxsize=1)
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"exact": exact, "when": when, "iso": iso, "role": role_name, "plural": plural}
    made.globals |= {"places": Places, "asset": assets.place, "Action": Action, "roles": ROLE_WORDS, "now": lambda: datetime.now(UTC)}
    return made


def exact(value: str) -> Markup:
    """Text that an HTML parser gives back to the character: it would turn a carriage return into a newline."""
    return Markup(escape(value).replace("\r", Markup("&#13;")))  # noqa: S704 - escaped; what is put in is our own


def when(moment: datetime | None) -> str:
    """A time as people read it, in UTC; the page's script may say it in the browser's zone."""
    return "" if moment is None else f"{moment.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def role_name(role: str) -> str:
    return ROLE_WORDS[role][0] if role in ROLE_WORDS else role


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
