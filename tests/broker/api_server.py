"""A Kubernetes API server in process, as far as the broker asks it: TokenReviews, our two custom resources, their status."""

import asyncio

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

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", self._review)
        app.router.add_get("/apis/tfy-secret.dev/v1alpha1/{plural}", self._list)
        app.router.add_patch("/apis/tfy-secret.dev/v1alpha1/{plural}/{name}/status", self._patch)
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
        plural = manifest["kind"].lower() + "s"
        found = manifest | {"metadata": manifest["metadata"] | {"generation": 1, "resourceVersion": "1"} | metadata}
        self.objects[plural][manifest["metadata"]["name"]] = found

    async def _list(self, request):
        items = list(self.objects[request.match_info["plural"]].values())
        start = int(request.query.get("continue") or 0)
        limit = 2 if "limit" in request.query else len(items)  # as a server does: all of them, unless pages are asked for
        following = str(start + limit) if start + limit < len(items) else ""
        return web.json_response({"metadata": {"continue": following}, "items": items[start : start + limit]})

    async def _patch(self, request):
        assert request.content_type == "application/merge-patch+json"
        found = self.objects[request.match_info["plural"]][request.match_info["name"]]
        patch = await request.json()
        if patch["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            self.conflicts += 1
            return web.json_response({"kind": "Status", "reason": "Conflict"}, status=409)
        self.patches.append((request.match_info["name"], patch["status"]["conditions"]))
        found["status"] = patch["status"]
        found["metadata"]["resourceVersion"] += "1"
        return web.json_response(found)

    def condition(self, plural, name):
        return next(c for c in self.objects[plural][name]["status"]["conditions"] if c["type"] == "Ready")
