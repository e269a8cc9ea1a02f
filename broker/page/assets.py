"""The page's style sheet, script and icon: read once, named by their content, so that a browser keeps them until they are others."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from aiohttp import web

from broker.http import OWN_HEADERS
from broker.page.headers import STATIC
from broker.page.places import FOLDER, ROOT

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    content_type: str
    place: str


@lru_cache(maxsize=1)
def _assets() -> dict[str, Asset]:
    made = {}
    for path in sorted((FOLDER / "static").iterdir()):
        kind = _TYPES.get(path.suffix.lstrip("."))
        if kind is not None:
            content = path.read_bytes()
            made[path.name] = Asset(content, kind, f"{ROOT}static/{sha256(content).hexdigest()[:16]}/{path.name}")
    return made


def place(name: str) -> str:
    return _assets()[name].place


async def serve(request: web.Request) -> web.Response:
    """By name and content; a browser with an older page gets nothing else under the old name."""
    found = _assets().get(request.match_info["name"])
    if found is None or request.path != found.place:
        raise web.HTTPNotFound
    response = web.Response(body=found.content, content_type=found.content_type, charset="utf-8")
    response[OWN_HEADERS] = STATIC
    return response
