"""Tiny images made by hand: a configuration, a manifest, an index; pushed through a registry's own HTTP API."""

import base64
import hashlib
import json
import ssl
import urllib.request
from dataclasses import dataclass, field

OCI = "application/vnd.oci.image.{}.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


@dataclass
class Built:
    """`blobs` and `manifests` by digest, in the order in which a registry takes them; the last manifest is the image."""

    blobs: dict = field(default_factory=dict)
    manifests: dict = field(default_factory=dict)
    media_type: str = OCI.format("manifest")
    architecture: str = "amd64"

    @property
    def body(self):
        return list(self.manifests.values())[-1][0]

    @property
    def digest(self):
        return digest(self.body)

    @property
    def config(self):
        return list(self.blobs)[0]


def image(entrypoint=None, cmd=None, *, architecture="amd64", docker=False, config=None, salt=""):
    body = (
        config
        if config is not None
        else json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "created": salt,
                "config": {"Entrypoint": entrypoint, "Cmd": cmd},
                "rootfs": {"type": "layers", "diff_ids": []},
            }
        ).encode()
    )
    media_type = DOCKER_MANIFEST if docker else OCI.format("manifest")
    config_type = "application/vnd.docker.container.image.v1+json" if docker else OCI.format("config")
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": config_type, "size": len(body), "digest": digest(body)},
            "layers": [],
        }
    ).encode()
    return Built({digest(body): body}, {digest(manifest): (manifest, media_type)}, media_type, architecture)


def entry(built, architecture=None, variant=None, annotations=None, os="linux"):
    platform = {"architecture": architecture or built.architecture, "os": os} | ({"variant": variant} if variant else {})
    found = {"mediaType": built.media_type, "size": len(built.body), "digest": built.digest, "platform": platform}
    return found | ({"annotations": annotations} if annotations else {})


def attestation(about):
    """What buildx puts beside an image."""
    made = image(["must-not-run"], architecture="unknown", salt="attestation")
    annotations = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": about.digest}
    return made, entry(made, "unknown", annotations=annotations, os="unknown")


def index(*entries, docker=False):
    """Pairs of an image and its entry."""
    media_type = DOCKER_LIST if docker else OCI.format("index")
    body = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": [each for _, each in entries]}).encode()
    made = Built(media_type=media_type)
    for built, _ in entries:
        made.blobs |= built.blobs
        made.manifests |= built.manifests
    made.manifests[digest(body)] = (body, media_type)
    return made


class Pusher:
    """A client of the registry's upload API."""

    def __init__(self, base, authorization=None, tls=None):
        self._base, self._authorization = base, authorization
        handlers = [urllib.request.ProxyHandler({})] + ([urllib.request.HTTPSHandler(context=tls)] if tls else [])
        self._opener = urllib.request.build_opener(*handlers)

    def push(self, repository, tag, built):
        for name, body in built.blobs.items():
            with self._call("POST", f"{self._base}/v2/{repository}/blobs/uploads/") as answer:
                where = answer.headers["Location"]
            mark = "&" if "?" in where else "?"
            self._call("PUT", f"{where}{mark}digest={name}", body, "application/octet-stream").close()
        for name, (body, media_type) in built.manifests.items():
            last = body == built.body
            self._call("PUT", f"{self._base}/v2/{repository}/manifests/{tag if last else name}", body, media_type).close()

    def _call(self, method, url, body=b"", content_type=None):
        headers = {"Authorization": self._authorization} if self._authorization else {}
        if content_type:
            headers["Content-Type"] = content_type
        return self._opener.open(urllib.request.Request(url, data=body, headers=headers, method=method), timeout=5)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def client_tls(ca_file):
    return ssl.create_default_context(cafile=str(ca_file))
