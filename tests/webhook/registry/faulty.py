"""A registry on loopback that does what a test tells it to, and remembers what it was sent."""

import base64
import json
import socket

from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import TestServer

from tests.webhook.registry.images import digest, image
from webhook.registry.image import Image


class Faulty:
    """Serves `built` well; `faults` by a part of the path are asked first: a function of the request, or None to go on."""

    def __init__(self, built=None, *, host="127.0.0.1", tls=None):
        self.built = built or image(["/app"], ["--serve"])
        self.faults = {}
        self.requests = []  # (method, path, Authorization)
        self.challenge = None  # a WWW-Authenticate header for requests that are not authorised
        self.accepted = set()  # Authorization headers
        self._tls = tls
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(app, host=host)

    async def __aenter__(self):
        await self.server.start_server(**({"ssl": self._tls} if self._tls else {}))
        return self

    async def __aexit__(self, *_):
        await self.server.close()

    @property
    def host(self):
        return f"{self.server.host}:{self.server.port}"

    def url(self, path):
        return f"{'https' if self._tls else 'http'}://{self.host}{path}"

    def image(self, repository="team/app", tag="1", digest=None):
        return Image(self.host, repository, None if digest else tag, digest)

    def calls(self, part, method=None):
        return [path for verb, path, _ in self.requests if part in path and method in (None, verb)]

    @property
    def authorizations(self):
        return [sent for _, _, sent in self.requests if sent]

    def fault(self, part, act):
        self.faults[part] = act

    async def _handle(self, request):
        self.requests.append((request.method, request.path, request.headers.get("Authorization")))
        for part, act in list(self.faults.items()):
            if part in request.path and (answer := await act(request)) is not None:
                return answer
        if self.challenge and request.headers.get("Authorization") not in self.accepted:
            return web.Response(status=401, headers={"WWW-Authenticate": self.challenge})
        name = request.path.rpartition("/")[2]
        if "/blobs/" in request.path and name in self.built.blobs:
            return web.Response(body=self.built.blobs[name])
        if "/manifests/" in request.path:
            body, media_type = self.built.manifests.get(name, (self.built.body, self.built.media_type))
            if name.startswith("sha256:") and name not in self.built.manifests:
                return web.Response(status=404)
            return web.Response(body=body, headers={"Content-Type": media_type, "Docker-Content-Digest": digest(body)})
        return web.Response(status=404)


def answering(status=200, body=b"", **headers):
    async def act(_request):
        return web.Response(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return act


def secret(config, name="pull", key=".dockerconfigjson"):
    """A pull secret as the Kubernetes API has it."""
    return {"metadata": {"name": name}, "data": {key: base64.b64encode(json.dumps(config).encode()).decode()}}


class Names(AbstractResolver):
    """DNS of a test: names of the outside world, served by ports of this machine."""

    def __init__(self, servers):
        self.servers = servers

    async def resolve(self, host, *_, **__):
        if host not in self.servers:
            raise OSError("no such name")
        found = self.servers[host].server
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [{"hostname": host, "host": found.host, "port": found.port, "family": socket.AF_INET, "proto": 0, "flags": flags}]

    async def close(self):
        pass
