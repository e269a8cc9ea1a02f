"""Who has which role in a group: shown to and changed by its admins, one change a form."""

import re

from aiohttp import web

from broker.errors import Conflict, Denied, InvalidRequest
from broker.groups.model import Collaborator, GroupView
from broker.page.forms import Form
from broker.page.places import Places, with_note
from broker.page.render import redirect
from broker.page.visit import Visit, shown_fields
from contract.access import Action
from contract.resources import ROLES

KINDS = ("user", "team", "serviceaccount", "namespace")
ADD, CHANGE, REMOVE = "add", "change", "remove"
_PLACE = re.compile(r"\bcollaborators\[\d+\]\.")  # where it is in the resource, which nobody sees here


async def show(visit: Visit) -> web.Response:
    return _page(visit, await _group(visit))


async def change(visit: Visit, form: Form) -> web.Response:
    name = visit.named("group")
    try:
        present = await _group(visit)
        wanted = _changed(present.collaborators, form)
        await visit.groups.set_collaborators(visit.caller, name, wanted, visit.origin, expected=form.text("expected") or None)
    except InvalidRequest as error:
        return _page(visit, await _group(visit), form, 400, _PLACE.sub("", error.message))
    except Conflict as error:
        return _page(visit, await _group(visit), form, 409, error.message, error.changes)
    return redirect(with_note(Places.group(name, "collaborators"), "shared"))


async def _group(visit: Visit) -> GroupView:
    """The group, for those who may share it."""
    group = await visit.groups.get(visit.caller, visit.named("group"), visit.origin)
    if not group.may(Action.SHARE):
        raise Denied("only the group's admins see and change who has which role")
    return group


def _changed(present: tuple[Collaborator, ...], form: Form) -> list[Collaborator]:
    """The collaborators after the form's one change. Raises InvalidRequest."""
    role, change = form.text("role"), form.text("change")
    if change == ADD:
        subject = _subject(form)
        if any(c.subject == subject and c.role == role for c in present):
            raise InvalidRequest(f"{subject} has that role already")
        return [*present, Collaborator(subject, _role(role))]
    old = Collaborator(form.text("subject"), form.text("old_role"))
    if old not in present:
        raise InvalidRequest(f"{old.subject[:120]} has no longer that role; look at the list again")
    index = present.index(old)
    if change == REMOVE:
        return [*present[:index], *present[index + 1 :]]
    replaced = Collaborator(old.subject, _role(role))
    return [*present[:index], replaced, *(c for c in present[index + 1 :] if c != replaced)]


def _subject(form: Form) -> str:
    kind, name = form.text("kind"), form.text("name")
    if kind not in KINDS:
        raise InvalidRequest(f"kind: allowed: {', '.join(KINDS)}")
    if not name:
        raise InvalidRequest("a name is needed")
    return f"{kind}:{name.removeprefix(f'{kind}:')}"


def _role(role: str) -> str:
    if role not in ROLES:
        raise InvalidRequest(f"role: allowed: {', '.join(ROLES)}")
    return role


def _page(
    visit: Visit, group: GroupView, form: Form | None = None, status: int = 200, problem: str | None = None, changes: tuple[str, ...] = ()
) -> web.Response:
    typed = shown_fields(form, ("kind", "name", "role")) if form is not None and form.text("change") == ADD else {}
    return visit.page("collaborators.html", status, group=group, kinds=KINDS, typed=typed, problem=problem, changes=changes)
