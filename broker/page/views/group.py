"""A group's page: its keys, with search, and what was deleted and can still be brought back."""

from aiohttp import web

from broker.page.visit import Visit


async def show(visit: Visit) -> web.Response:
    group = await visit.groups.get(visit.caller, visit.named("group"), visit.origin)
    search = visit.asked("q")
    words = search.casefold().split()
    keys = [key for key in group.keys if all(word in key.key.casefold() for word in words)]
    uses = await visit.parts.uses.of_group(group.name)
    return visit.page("group.html", group=group, keys=keys, search=search, uses=uses)
