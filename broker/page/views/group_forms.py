"""Make a group, and delete one: the name has to be typed, and whoever uses it is named first."""

from aiohttp import web

from broker.errors import BrokerError, Conflict, Denied, InvalidRequest
from broker.groups.model import NewGroup
from broker.page.forms import Form
from broker.page.places import Places, with_note
from broker.page.render import redirect
from broker.page.visit import Visit, shown_fields
from contract.access import Action


async def new(visit: Visit) -> web.Response:
    if not visit.groups.may_create(visit.caller):
        raise Denied("only tenant admins and group creators make groups")
    return await _form(visit)


async def create(visit: Visit, form: Form) -> web.Response:
    try:
        made = await visit.groups.create(visit.caller, NewGroup(form.text("name"), form.text("store")), visit.origin)
    except (InvalidRequest, Conflict) as error:
        return await _form(visit, form, error)
    return redirect(with_note(Places.group(made.name), "group-made"))


async def delete(visit: Visit) -> web.Response:
    return await _delete_page(visit)


async def deleted(visit: Visit, form: Form) -> web.Response:
    name = visit.named("group")
    if form.text("name") != name:
        return await _delete_page(visit, f"type the group's name, {name}, to delete it", 400)
    uses = await visit.parts.uses.of_group(name, fresh=True)
    if (uses.workloads() or uses.unsure) and form.text("in_use") != "yes":
        return await _delete_page(visit, "the group is in use: say that you know", 400)
    try:
        await visit.groups.delete_group(
            visit.caller, name, visit.origin, expected=form.text("expected") or None, force=form.text("force") == "yes"
        )
    except Conflict as error:
        return await _delete_page(visit, error.message, 409, error.changes)
    return redirect(with_note(Places.HOME, "group-deleted"))


async def _form(visit: Visit, form: Form | None = None, error: BrokerError | None = None) -> web.Response:
    stores = [store for store in await visit.groups.stores(visit.caller, visit.origin) if store.may_create]
    typed = {"name": "", "store": ""} if form is None else shown_fields(form, ("name", "store"))
    status = 200 if error is None else 409 if isinstance(error, Conflict) else 400
    return visit.page("new_group.html", status, stores=stores, typed=typed, problem=error.message if error else None)


async def _delete_page(visit: Visit, problem: str | None = None, status: int = 200, changes: tuple[str, ...] = ()) -> web.Response:
    group = await visit.groups.get(visit.caller, visit.named("group"), visit.origin)
    if not group.may(Action.SHARE):
        raise Denied("only the group's admins delete it")
    uses = await visit.parts.uses.of_group(group.name, fresh=True)
    return visit.page("delete_group.html", status, group=group, uses=uses, problem=problem, changes=changes)
