"""An API server in process, for the few calls that ours make, with Kubernetes' rules for versions, conflicts, pages and watches.

Real HTTP on loopback. Each read and write gives way to the others first, so that races happen as they do between replicas.
"""

import asyncio
import copy
import json

import jsonpatch
from aiohttp import web
from aiohttp.test_utils import TestServer

TABLE = "as=Table"
COLUMNS = [{"name": name} for name in ("Name", "Status", "Roles", "Age", "Version")]


class ApiServer:
    """`put` and `remove` are what others do to the cluster; `refuse` answers the next calls of a path with a status."""

    def __init__(self) -> None:
        self.objects = {}  # collection -> name -> object
        self.missing = set()  # collections whose CRD is not installed
        self.refusals = []  # (method, part of the path, status, message), each used once
        self.requests = []  # (method, path, query)
        self.tokens = None  # accepted ones; None: anyone
        self.version = 10
        self.oldest = 0  # a watch from before this gets 410
        self.history = []  # (version, collection, type, object)
        self.watchers = set()
        self.git_version = "v1.36.3"
        app = web.Application()
        app.router.add_get("/version", self._server_version)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(app)

    async def __aenter__(self):
        await self.server.start_server()
        return self

    async def __aexit__(self, *_):
        self.end_watches()
        await self.server.close()

    @property
    def url(self):
        return str(self.server.make_url("/"))

    def put(self, collection, obj):
        known = self.objects.setdefault(collection, {})
        name = obj["metadata"]["name"]
        kind = "MODIFIED" if name in known else "ADDED"
        self.version += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(self.version)
        known[name] = obj
        self._tell(collection, kind, obj)
        return obj

    def remove(self, collection, name):
        obj = self.objects[collection].pop(name)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._tell(collection, "DELETED", obj)

    def refuse(self, method, part, status, message="", times=1):
        self.refusals += [(method, part, status, message)] * times

    def end_watches(self):
        for queue in self.watchers:
            queue.put_nowait(None)

    def bookmark(self):
        self.version += 1
        for queue in self.watchers:
            queue.put_nowait(("BOOKMARK", {"metadata": {"name": "", "resourceVersion": str(self.version)}}))

    def raw(self, line):
        for queue in self.watchers:
            queue.put_nowait(line)

    def calls(self, method, part):
        return [path for m, path, _ in self.requests if m == method and part in path]

    def _tell(self, collection, kind, obj):
        self.history.append((self.version, collection, kind, copy.deepcopy(obj)))
        for queue in self.watchers:
            if queue.collection == collection:
                queue.put_nowait((kind, copy.deepcopy(obj)))

    async def _server_version(self, _request):
        self.requests.append(("GET", "/version", {}))
        return web.json_response({"major": "1", "gitVersion": self.git_version})

    async def _handle(self, request):
        path = request.path
        self.requests.append((request.method, path, dict(request.query)))
        await asyncio.sleep(0)
        if self.tokens is not None and request.headers.get("Authorization") not in {f"Bearer {token}" for token in self.tokens}:
            return status(401, "Unauthorized", "Unauthorized")
        for index, (method, part, code, message) in enumerate(self.refusals):
            if method == request.method and part in path:
                del self.refusals[index]
                return status(code, {403: "Forbidden", 410: "Expired", 429: "TooManyRequests"}.get(code, "InternalError"), message)
        collection, _, name = path.rpartition("/")
        if path in self.missing:
            return status(404, "NotFound", "the server could not find the requested resource")
        if request.method == "POST":
            return await self._create(request, path)
        if path in self.objects:
            return await (self._watch if request.query.get("watch") else self._list)(request, path)
        if name not in self.objects.get(collection, {}):
            return status(404, "NotFound", f'"{name}" not found')
        return await getattr(self, "_" + request.method.lower())(request, collection, name)

    async def _create(self, request, collection):
        obj = await request.json()
        await asyncio.sleep(0)
        if obj["metadata"]["name"] in self.objects.setdefault(collection, {}):
            return status(409, "AlreadyExists", "already exists")
        return web.json_response(self.put(collection, obj), status=201)

    async def _get(self, _request, collection, name):
        return web.json_response(self.objects[collection][name])

    async def _put(self, request, collection, name):
        obj = await request.json()
        await asyncio.sleep(0)
        if obj["metadata"].get("resourceVersion") != self.objects[collection][name]["metadata"]["resourceVersion"]:
            return status(409, "Conflict", "the object has been modified")
        return web.json_response(self.put(collection, obj))

    async def _patch(self, request, collection, name):
        assert request.content_type == "application/json-patch+json"
        try:
            patched = jsonpatch.apply_patch(self.objects[collection][name], await request.json())
        except jsonpatch.JsonPatchTestFailed:
            return status(422, "Invalid", "the patch's test failed")
        return web.json_response(self.put(collection, patched))

    async def _list(self, request, collection):
        start, version = 0, self.version
        if token := request.query.get("continue"):
            version, start = map(int, token.split("-"))
            if version < self.oldest:
                return status(410, "Expired", "The provided continue parameter is too old")
        names = sorted(self.objects[collection])
        limit = int(request.query.get("limit", len(names) or 1))
        metadata = {"resourceVersion": str(version)}
        if start + limit < len(names):
            metadata["continue"] = f"{version}-{start + limit}"
        found = [self.objects[collection][name] for name in names[start : start + limit]]
        if TABLE in request.headers["Accept"]:
            return web.json_response({"kind": "Table", "metadata": metadata, "columnDefinitions": COLUMNS, "rows": [row(o) for o in found]})
        bare = [{key: value for key, value in o.items() if key not in ("kind", "apiVersion")} for o in found]
        return web.json_response({"kind": "List", "metadata": metadata, "items": bare})

    async def _watch(self, request, collection):
        since = int(request.query["resourceVersion"])
        if since < self.oldest:
            return status(410, "Expired", "too old resource version")
        queue = asyncio.Queue()
        queue.collection = collection
        for version, where, kind, obj in self.history:
            if where == collection and version > since:
                queue.put_nowait((kind, obj))
        self.watchers.add(queue)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            while (event := await queue.get()) is not None:
                line = event if isinstance(event, bytes) else self._line(request, *event)
                for start in range(0, len(line), 100):  # events do not arrive in one piece each
                    await response.write(line[start : start + 100])
        finally:
            self.watchers.discard(queue)
        return response

    def _line(self, request, kind, obj):
        if TABLE in request.headers["Accept"]:
            obj = {
                "kind": "Table",
                "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
                "columnDefinitions": None,
                "rows": [row(obj)],
            }
        return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def row(obj):
    version = obj.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")
    return {"cells": [obj["metadata"]["name"], "Ready", "<none>", "1d", version], "object": None}


def status(code, reason, message):
    headers = {"Retry-After": "7"} if code == 429 else {}
    return web.json_response({"kind": "Status", "code": code, "reason": reason, "message": message}, status=code, headers=headers)


async def until(condition, seconds=3.0):
    """Wait for something that other tasks bring about; a condition, never a time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
