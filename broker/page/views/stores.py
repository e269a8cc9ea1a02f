"""The secret stores that a person's groups stand on, and whether they answer."""

from aiohttp import web

from broker.page.visit import Visit


async def show(visit: Visit) -> web.Response:
    return visit.page("stores.html", stores=await visit.groups.stores(visit.caller, visit.origin))
