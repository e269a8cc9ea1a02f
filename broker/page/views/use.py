"""How a group's keys are used in a pod: YAML that is ready to paste, with the group's own names in it."""

from aiohttp import web

from broker.page.snippets import opt_in, snippets
from broker.page.visit import Visit


async def show(visit: Visit) -> web.Response:
    group = await visit.groups.get(visit.caller, visit.named("group"), visit.origin)
    names = [key.key for key in group.keys]
    asked = visit.asked("key")
    chosen = asked if asked in names else (names[0] if names else None)
    fqn = next((key.fqn for key in group.keys if key.key == chosen), None)
    made = snippets(fqn, str(chosen)) if fqn else ()
    return visit.page("use.html", group=group, names=names, chosen=chosen, snippets=made, opt_in=opt_in("NAMESPACE"))
