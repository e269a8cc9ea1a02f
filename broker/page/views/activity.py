"""What people did with a group lately, for its admins."""

from aiohttp import web

from broker.groups.model import ACTIONS
from broker.page.visit import Visit


async def show(visit: Visit) -> web.Response:
    name = visit.named("group")
    group = await visit.groups.get(visit.caller, name, visit.origin)
    found = await visit.groups.activity(visit.caller, name, visit.origin)
    return visit.page("activity.html", group=group, activity=found, words=ACTIONS)
