"""The list of groups that a person may see, with search and pages."""

from aiohttp import web

from broker.page.visit import Visit

PER_PAGE = 50


async def show(visit: Visit) -> web.Response:
    search = visit.asked("q")
    number = _number(visit.asked("page"))
    found = await visit.groups.list(visit.caller, visit.origin, search, PER_PAGE, (number - 1) * PER_PAGE)
    last = max(1, -(-found.total // PER_PAGE))
    return visit.page("groups.html", search=search, found=found, number=number, last=last)


def _number(text: str) -> int:
    return min(max(1, int(text)), 100_000) if text.isdecimal() and len(text) < 7 else 1
