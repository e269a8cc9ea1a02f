import asyncio
import os

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.kube import JSON_PATCH, Conflict, Gone, Kube, KubeError, NotFound, Refused, TokenFile, Unreachable
from tests.service.apiserver import ApiServer

THINGS = "/api/v1/namespaces/x/things"
SECRETS = "/api/v1/namespaces/x/secrets"
THING = {"metadata": {"name": "a"}, "data": {"k": "v"}}


async def test_objects_are_created_read_changed_and_deleted():
    """Each verb returns the object as the server has it then."""
    async with ApiServer() as api, Kube(api.url) as kube:
        made = await kube.post(THINGS, THING)
        assert await kube.get(f"{THINGS}/a") == made
        changed = await kube.put(f"{THINGS}/a", made | {"data": {"k": "w"}})
        patched = await kube.patch(f"{THINGS}/a", [{"op": "add", "path": "/data/l", "value": "x"}], content_type=JSON_PATCH)
        assert changed["data"] == {"k": "w"} and patched["data"] == {"k": "w", "l": "x"}


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        pytest.param(401, Refused, False, id="unauthenticated"),
        pytest.param(403, Refused, False, id="forbidden"),
        pytest.param(404, NotFound, False, id="not-found"),
        pytest.param(409, Conflict, False, id="conflict"),
        pytest.param(410, Gone, False, id="too-old"),
        pytest.param(422, KubeError, False, id="invalid"),
        pytest.param(302, KubeError, False, id="a-redirect-is-not-followed"),
        pytest.param(429, Unreachable, True, id="throttled"),
        pytest.param(500, Unreachable, True, id="server-error"),
        pytest.param(503, Unreachable, True, id="unavailable"),
    ],
)
async def test_each_status_is_a_type(code, kind, retryable):
    """The message is the API server's; Retry-After is kept."""
    async with ApiServer() as api, Kube(api.url) as kube:
        api.refuse("GET", "/things", code, "nodes is forbidden")
        with pytest.raises(kind) as caught:
            await kube.get(THINGS)
        assert type(caught.value) is kind and caught.value.status == code and caught.value.retryable is retryable
        assert "GET " + THINGS + ": nodes is forbidden" in str(caught.value)
        if code == 429:
            assert caught.value.retry_after == 7


async def test_an_error_about_secrets_repeats_nothing():
    """A message about a Secret may quote it, a request body is never quoted, and headers are not either."""
    async with ApiServer() as api, Kube(api.url, token="canary-token") as kube:
        api.refuse("POST", "/secrets", 422, "data: Invalid value: canary-value")
        with pytest.raises(KubeError) as caught:
            await kube.post(SECRETS, {"data": {"k": "canary-value"}})
        assert caught.value.status == 422
        seen = str(caught.value) + repr(caught.value) + repr(vars(kube)) + repr(caught.value.__cause__)
        assert "canary" not in seen


async def test_no_answer_is_unreachable(unused_tcp_port):
    """Refused connections, a silent server and broken answers are one type: try again."""
    async with Kube(f"http://127.0.0.1:{unused_tcp_port}") as kube:
        with pytest.raises(Unreachable, match="does not answer") as caught:
            await kube.get("/version")
        assert caught.value.status == 0

    async def silent(_request):
        await asyncio.Event().wait()

    app = web.Application()
    app.router.add_get("/version", silent)
    async with TestServer(app) as server, Kube(str(server.make_url("/")), timeout=0.05) as kube:
        with pytest.raises(Unreachable):
            await kube.get("/version")


async def test_a_wrong_certificate_is_unreachable():
    """The API server's certificate must be signed by the CA that the pod was given."""
    ours, other = trustme.CA(), trustme.CA()
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    ours.configure_trust(trusting)
    app = web.Application()
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    async with Kube(str(server.make_url("/")), tls=trusting) as kube:
        with pytest.raises(Unreachable) as caught:
            await kube.get("/version")
    assert caught.value.reason == "ClientConnectorCertificateError"
    await server.close()


async def test_an_answer_that_is_not_json():
    async def page(_request):
        return web.Response(text="<html>")

    app = web.Application()
    app.router.add_get("/version", page)
    async with TestServer(app) as server, Kube(str(server.make_url("/"))) as kube:
        with pytest.raises(KubeError, match="not JSON"):
            await kube.get("/version")


async def test_a_rotated_token_is_read_again(tmp_path):
    """The kubelet replaces the file; the next call uses the new token."""
    file = tmp_path / "token"
    file.write_text("first\n")
    async with ApiServer() as api, Kube(api.url, token=TokenFile(file)) as kube:
        api.put(THINGS, THING)
        api.tokens = {"first"}
        await kube.get(THINGS)
        replacement = tmp_path / "new"
        replacement.write_text("second\n")
        replacement.rename(file)
        api.tokens = {"second"}
        await kube.get(THINGS)
        assert len(api.requests) == 2  # without a 401 in between


async def test_a_401_reads_the_token_again_though_the_file_looks_the_same(tmp_path):
    """Same size, time and inode: only the server can tell. Once, not for ever."""
    file = tmp_path / "token"
    file.write_text("first")
    async with ApiServer() as api, Kube(api.url, token=TokenFile(file)) as kube:
        api.put(THINGS, THING)
        api.tokens = {"first"}
        await kube.get(THINGS)
        before = file.stat()
        file.write_text("other")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        api.tokens = {"other"}
        await kube.get(THINGS)
        assert len(api.requests) == 3
        api.tokens = set()
        with pytest.raises(Refused):
            await kube.get(THINGS)
        assert len(api.requests) == 4


async def test_a_token_file_that_vanishes_leaves_the_last_token(tmp_path):
    file = tmp_path / "token"
    file.write_text("first")
    source = TokenFile(file)
    assert source.read() == "first"
    file.unlink()
    assert source.read() == "first" and not source.refresh()


def test_in_cluster_reads_what_the_kubelet_mounts(tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.crt")
    (tmp_path / "namespace").write_text("tfy-secret\n")
    (tmp_path / "token").write_text("t")
    kube = Kube.in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"})
    assert kube.namespace == "tfy-secret" and kube._base_url == "https://[fd00::1]:6443"


def test_outside_a_cluster_it_says_what_to_set(tmp_path):
    with pytest.raises(KubeError, match="To fix: set TFY_SECRET_MANIFESTS"):
        Kube.in_cluster(tmp_path, {})
    with pytest.raises(KubeError, match="automountServiceAccountToken"):
        Kube.in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
