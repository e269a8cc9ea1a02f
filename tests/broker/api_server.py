"""A Kubernetes API server in process, as far as the broker asks it: TokenReviews, our two custom resources, their status, watches."""

import asyncio
import copy
import json

from aiohttp import web
from aiohttp.test_utils import TestServer

from service.kube import Kube

POD_EXTRA = {
    "authentication.kubernetes.io/pod-name": ["web-1"],
    "authentication.kubernetes.io/pod-uid": ["uid-1"],
    "authentication.kubernetes.io/node-name": ["node-1"],
}


class ApiServer:
    """`users` is token -> (audiences of the token, user). The API server's own audience is `api`."""

    def __init__(self) -> None:
        self.users = {}
        self.reviews = []
        self.status = 201
        self.audiences_known = True
        self.body = None
        self.delay = 0.0
        self.running = self.most_at_once = 0
        self.objects = {"secretstores": {}, "secretgroups": {}}
        self.patches = []
        self.conflicts = 0
        self.events = []  # (resourceVersion, plural, kind of event, object): what watches are told
        self.news = asyncio.Event()
        self.lost_answers = 0  # so many changes are made, and their answers never arrive
        self.on_write = lambda *_: None  # asked before a change: method, name; what it returns is the answer

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", self._review)
        app.router.add_get("/apis/tfy-secret.dev/v1alpha1/{plural}", self._list)
        app.router.add_patch("/apis/tfy-secret.dev/v1alpha1/{plural}/{name}/status", self._patch)
        app.router.add_post("/apis/tfy-secret.dev/v1alpha1/{plural}", self._create)
        for method, handler in (("GET", self._get), ("PATCH", self._edit), ("DELETE", self._delete)):
            app.router.add_route(method, "/apis/tfy-secret.dev/v1alpha1/{plural}/{name}", handler)
        self._server = TestServer(app)
        await self._server.start_server()
        self.kube = Kube(str(self._server.make_url("")), timeout=5)
        return self

    async def __aexit__(self, *_):
        await self.kube.close()
        await self._server.close()

    async def _review(self, request):
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(self.delay)
        self.running -= 1
        spec = (await request.json())["spec"]
        self.reviews.append(spec.get("audiences"))
        if self.status != 201:
            return web.json_response({"kind": "Status", "message": f"about {spec['token']}", "reason": "Oops"}, status=self.status)
        if self.body is not None:
            return web.Response(body=self.body, status=201, content_type="application/json")
        audiences, user = self.users.get(spec["token"], ((), {}))
        accepted = sorted(set(audiences) & set(spec.get("audiences") or ["api"]))
        status = {"authenticated": bool(accepted)} | ({"user": user} if accepted else {"error": f"no {spec['token']}"})
        if accepted and self.audiences_known:
            status["audiences"] = accepted
        return web.json_response({"kind": "TokenReview", "spec": spec, "status": status}, status=201)

    def put(self, manifest, **metadata):
        plural, name = manifest["kind"].lower() + "s", manifest["metadata"]["name"]
        known = self.objects[plural].get(name)
        made = {"generation": 1, "resourceVersion": "1", "uid": f"{name}-uid", "creationTimestamp": "2026-01-02T03:04:05Z"}
        if known is not None:
            made["generation"] = known["metadata"]["generation"] + 1
        found = manifest | {"metadata": manifest["metadata"] | made | metadata}
        self.objects[plural][name] = found
        self._tell(plural, "MODIFIED" if known else "ADDED", found)

    def remove(self, plural, name):
        self._tell(plural, "DELETED", self.objects[plural].pop(name))

    def _tell(self, plural, event, found):
        version = str(len(self.events) + 2)
        found["metadata"]["resourceVersion"] = version
        self.events.append((int(version), plural, event, copy.deepcopy(found)))
        self.news.set()

    async def _list(self, request):
        plural = request.match_info["plural"]
        if "watch" in request.query:
            return await self._watch(request, plural)
        items = list(self.objects[plural].values())
        start = int(request.query.get("continue") or 0)
        limit = 2 if "limit" in request.query else len(items)  # as a server does: all of them, unless pages are asked for
        following = str(start + limit) if start + limit < len(items) else ""
        metadata = {"continue": following, "resourceVersion": str(len(self.events) + 1)}
        return web.json_response({"metadata": metadata, "items": items[start : start + limit]})

    async def _watch(self, request, plural):
        response = web.StreamResponse()
        await response.prepare(request)
        sent = int(request.query["resourceVersion"])
        while True:
            self.news.clear()
            for version, kind, event, found in self.events:
                if version > sent and kind == plural:
                    await response.write(json.dumps({"type": event, "object": found}).encode() + b"\n")
                    sent = version
            await self.news.wait()

    def _found(self, request):
        return self.objects[request.match_info["plural"]].get(request.match_info["name"])

    @staticmethod
    def _status(status, reason):
        return web.json_response({"kind": "Status", "reason": reason, "message": reason}, status=status)

    def _answer(self, request, document, status=200):
        if self.lost_answers:
            self.lost_answers -= 1
            request.transport.abort()
        return web.json_response(document, status=status)

    async def _get(self, request):
        found = self._found(request)
        return self._status(404, "NotFound") if found is None else web.json_response(found)

    async def _create(self, request):
        body = await request.json()
        if (refused := self.on_write("POST", body["metadata"]["name"])) is not None:
            return refused
        plural, name = request.match_info["plural"], body["metadata"]["name"]
        if name in self.objects[plural]:
            return self._status(409, "AlreadyExists")
        self.put(body, uid=f"{name}-{len(self.events)}")
        return self._answer(request, self.objects[plural][name], 201)

    async def _edit(self, request):
        assert request.content_type == "application/merge-patch+json"
        if (refused := self.on_write("PATCH", request.match_info["name"])) is not None:
            return refused
        found, patch = self._found(request), await request.json()
        if found is None:
            return self._status(404, "NotFound")
        if patch["metadata"].get("resourceVersion") != found["metadata"]["resourceVersion"]:
            self.conflicts += 1
            return self._status(409, "Conflict")
        before = copy.deepcopy(found["spec"])
        merge(found, patch)
        found["metadata"]["generation"] += found["spec"] != before
        self._tell(request.match_info["plural"], "MODIFIED", found)
        return self._answer(request, found)

    async def _delete(self, request):
        if (refused := self.on_write("DELETE", request.match_info["name"])) is not None:
            return refused
        found, options = self._found(request), await request.json()
        if found is None:
            return self._status(404, "NotFound")
        if any(found["metadata"][field] != value for field, value in options["preconditions"].items()):
            self.conflicts += 1
            return self._status(409, "Conflict")
        self.remove(request.match_info["plural"], request.match_info["name"])
        return self._answer(request, {"kind": "Status", "status": "Success"})

    async def _patch(self, request):
        assert request.content_type == "application/merge-patch+json"
        if (refused := self.on_write("STATUS", request.match_info["name"])) is not None:
            return refused
        found, patch = self._found(request), await request.json()
        if found is None:
            return self._status(404, "NotFound")
        if patch["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            self.conflicts += 1
            return self._status(409, "Conflict")
        if "conditions" in patch["status"]:
            self.patches.append((request.match_info["name"], patch["status"]["conditions"]))
        merge(found, {"status": patch["status"]})
        self._tell(request.match_info["plural"], "MODIFIED", found)
        return web.json_response(found)

    def condition(self, plural, name):
        """The Ready condition, or None."""
        conditions = self.objects[plural][name].get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == "Ready"), None)


def merge(found, patch):
    """RFC 7396, in place."""
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict):
            merge(found.setdefault(name, {}), value)
        else:
            found[name] = value
