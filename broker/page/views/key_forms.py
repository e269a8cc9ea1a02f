"""Add a key, save a new version, bring an older one back, delete a key and undo that.

step            | what happens
--------------- | ------------------------------------------------------------------------------------------
save            | a value that a delivery mode cannot carry comes back with what that means and a second button;
                | under a name that is none it is kept, and only the name is asked for again
save, conflict  | what changed meanwhile is shown, and what was typed is kept, to be saved over it or not
delete          | a page that says what happens; a key that workloads use now needs a second, explicit yes

A value that has to be confirmed travels in the form, as base64; it is in no address, cookie or log.
"""

import binascii

from aiohttp import web

from broker.errors import BrokerError, Conflict, Denied, InvalidRequest, NotFound, StoreFailed, TooLarge
from broker.groups.model import GroupView, Notice
from broker.groups.service import NEW
from broker.page.forms import Form
from broker.page.places import Places, with_note
from broker.page.render import redirect
from broker.page.views.key import find, page
from broker.page.visit import Visit
from contract.access import Action
from contract.fqn import is_part
from contract.values import SecretValue

STORE_FAILED = 502  # behind us, and no fault of what was typed
NO_VALUE = "no value was given: type one, choose a file, or say that it is to be empty"


async def new(visit: Visit) -> web.Response:
    group = await visit.groups.get(visit.caller, visit.named("group"), visit.origin)
    if not group.may(Action.CREATE):
        raise Denied("only the group's admins add keys")
    return _form(visit, group, None, expected=NEW)


async def create(visit: Visit, form: Form) -> web.Response:
    group = await visit.groups.get(visit.caller, visit.named("group"), visit.origin)
    return await _save(visit, group, None, form)


async def edit(visit: Visit) -> web.Response:
    group, key = await find(visit)
    if not group.may(Action.EDIT):
        raise Denied("only the group's admins and editors save values")
    return _form(visit, group, key.key, expected=await _seen(visit, group, key.key))


async def save(visit: Visit, form: Form) -> web.Response:
    group, key = await find(visit)
    return await _save(visit, group, key.key, form)


async def _save(visit: Visit, group: GroupView, key: str | None, form: Form) -> web.Response:
    """`key` None: a new one, whose name is in the form."""
    name = key or form.text("key")
    expected, value = form.text("expected"), None
    try:
        value = _value(form)
        if not name:
            raise InvalidRequest("the key needs a name")
        notices = visit.groups.check_value(name, value)
        if notices and form.text("understood") != "yes":
            return _form(visit, group, key, name=name, expected=expected, value=value, notices=notices)
        await visit.groups.put_key(visit.caller, group.name, name, value, visit.origin, expected=NEW if key is None else expected or None)
    except Conflict as error:
        return _form(visit, group, key, name=name, expected=error.version or "", value=form.value(), error=error, changes=error.changes)
    except (InvalidRequest, TooLarge) as error:
        return _form(visit, group, key, name=name, expected=expected, value=None if key or is_part(name) else value, error=error)
    except StoreFailed as error:
        return _form(visit, group, key, name=name, expected=expected, value=form.value(), error=error)
    return redirect(with_note(Places.key(group.name, name), "key-added" if key is None else "saved"))


def _value(form: Form) -> SecretValue:
    value = form.value()
    if value is None or (len(value) == 0 and form.text("empty") != "yes"):
        raise InvalidRequest(NO_VALUE)
    return value


async def _seen(visit: Visit, group: GroupView, key: str) -> str:
    """The version that a change starts from: of the value, or of the group where the store counts none."""
    try:
        found = await visit.groups.versions(visit.caller, group.name, key, visit.origin)
    except NotFound:
        return ""  # the key is listed and has no value yet
    if not found.listed:
        return group.version
    return found.items[0].version if found.items else ""


def _form(
    visit: Visit,
    group: GroupView,
    key: str | None,
    *,
    name: str = "",
    expected: str,
    value: SecretValue | None = None,
    notices: tuple[Notice, ...] = (),
    error: BrokerError | None = None,
    changes: tuple[str, ...] = (),
) -> web.Response:
    """`value`: what was given, to be confirmed; then there is nothing to type again."""
    carried = None if value is None else binascii.b2a_base64(value.reveal(), newline=False).decode()
    conflict = isinstance(error, Conflict)
    status = 409 if conflict else STORE_FAILED if isinstance(error, StoreFailed) else 200 if error is None else 400
    return visit.page(
        "key_form.html",
        status,
        group=group,
        key=key,
        name=name,
        expected=expected,
        carried=carried,
        length=0 if value is None else len(value),
        notices=notices,
        conflict=conflict,
        renames=key is None and (conflict or not is_part(name)),
        problem=None if error is None else error.message,
        changes=changes,
    )


async def restore(visit: Visit, form: Form) -> web.Response:
    group, key = await find(visit)
    try:
        await visit.groups.restore_version(visit.caller, group.name, key.key, form.text("version"), visit.origin)
    except (NotFound, InvalidRequest) as error:
        return await page(visit, group, key, problem=error.message, status=400)
    return redirect(with_note(Places.key(group.name, key.key), "restored"))


async def delete(visit: Visit) -> web.Response:
    return await _delete_page(visit)


async def deleted(visit: Visit, form: Form) -> web.Response:
    group, key = await find(visit)
    uses = await visit.parts.uses.of_key(group.name, key.key, fresh=True)
    if (uses.workloads() or uses.unsure) and form.text("in_use") != "yes":
        return await _delete_page(visit, "the key is in use: say that you know", 400)
    force = form.text("force") == "yes"
    try:
        await visit.groups.delete_key(
            visit.caller, group.name, key.key, visit.origin, expected=form.text("expected") or None, undo=not force, force=force
        )
    except Conflict as error:
        return await _delete_page(visit, error.message, 409, error.changes)
    except StoreFailed as error:
        return await _delete_page(visit, error.message, STORE_FAILED, may_force=True)
    return redirect(with_note(Places.group(group.name), "key-deleted"))


async def undo(visit: Visit, _form: Form) -> web.Response:
    group, key = visit.named("group"), visit.named("key")
    await visit.groups.undo_delete(visit.caller, group, key, visit.origin)
    return redirect(with_note(Places.key(group, key), "undone"))


async def _delete_page(
    visit: Visit, problem: str | None = None, status: int = 200, changes: tuple[str, ...] = (), *, may_force: bool = False
) -> web.Response:
    group, key = await find(visit)
    if not group.may(Action.EDIT):
        raise Denied("only the group's admins and editors delete keys")
    uses = await visit.parts.uses.of_key(group.name, key.key, fresh=True)
    return visit.page("delete_key.html", status, group=group, key=key, uses=uses, problem=problem, changes=changes, may_force=may_force)
