"""Registries that misbehave: each fault has its reason, within the time and the size that are allowed."""

import asyncio
import gzip
import json

import pytest
from aiohttp import web

from tests.webhook.registry.faulty import Faulty, answering
from tests.webhook.registry.images import digest, image, index
from tests.webhook.registry.servers import free_port
from webhook.registry.credentials import ANONYMOUS
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.image import Image
from webhook.registry.platforms import Platform

MIB = 1024 * 1024
R = LookupReason


async def failure(registry, named, credentials=ANONYMOUS):
    with pytest.raises(LookupFailed) as failed:
        await registry.entrypoint(named, Platform(), credentials)
    assert failed.value.__cause__ is None and failed.value.__context__ is None  # aiohttp's exceptions hold request headers
    return failed.value


def manifest(**fields):
    return json.dumps({"schemaVersion": 2} | fields).encode()


CONFIG = {"digest": digest(b"x"), "size": 1, "mediaType": "application/vnd.oci.image.config.v1+json"}


@pytest.mark.parametrize(
    ("part", "act", "reason"),
    [
        pytest.param("/manifests/", answering(body=b"<html>"), R.MALFORMED, id="a-web-page"),
        pytest.param("/manifests/", answering(body=b"[" * 100_000), R.MALFORMED, id="nested-deep"),
        pytest.param("/manifests/", answering(body=b""), R.MALFORMED, id="nothing"),
        pytest.param("/manifests/", answering(body=manifest()), R.MALFORMED, id="neither-manifest-nor-index"),
        pytest.param("/manifests/", answering(body=manifest(config=CONFIG, manifests=[])), R.MALFORMED, id="manifest-and-index-at-once"),
        pytest.param("/manifests/", answering(body=manifest(config=CONFIG | {"digest": "md5:1"})), R.MALFORMED, id="a-digest-that-is-none"),
        pytest.param("/manifests/", answering(body=manifest(manifests=[])), R.NO_PLATFORM, id="an-empty-index"),
        pytest.param(
            "/manifests/", answering(body=manifest(config=CONFIG | {"size": 9 * MIB})), R.TOO_LARGE, id="a-large-configuration-announced"
        ),
        pytest.param(
            "/manifests/", answering(body=b"{}", Docker_Content_Digest=digest(b"x")), R.MALFORMED, id="another-digest-than-its-header-says"
        ),
        pytest.param("/manifests/", answering(body=gzip.compress(b"{}"), Content_Encoding="gzip"), R.MALFORMED, id="compressed"),
        pytest.param("/blobs/", answering(body=b"{}"), R.MALFORMED, id="a-configuration-of-another-digest"),
        pytest.param("/blobs/", answering(404), R.NOT_FOUND, id="no-configuration"),
        pytest.param("/", answering(403), R.DENIED, id="forbidden"),
        pytest.param("/", answering(401), R.DENIED, id="a-challenge-without-a-scheme"),
        pytest.param("/", answering(401, WWW_Authenticate="Negotiate"), R.DENIED, id="a-scheme-that-nobody-has"),
        pytest.param("/", answering(401, WWW_Authenticate="Bearer"), R.MALFORMED, id="bearer-without-a-realm"),
        pytest.param("/", answering(400), R.MALFORMED, id="bad-request"),
        pytest.param("/", answering(429), R.UNREACHABLE, id="too-many-requests"),
        pytest.param("/", answering(503), R.UNREACHABLE, id="unavailable"),
        pytest.param("/", answering(302), R.MALFORMED, id="a-redirect-to-nowhere"),
        pytest.param("/", answering(302, Location="http://[bad"), R.MALFORMED, id="a-redirect-to-nonsense"),
        pytest.param("/", answering(302, Location="http://registry.example/v2/"), R.INSECURE, id="a-redirect-out-of-tls"),
        pytest.param("/", answering(302, Location="file:///etc/passwd"), R.MALFORMED, id="a-redirect-to-a-file"),
        pytest.param(
            "/", answering(401, WWW_Authenticate='Bearer realm="http://auth.example/token"'), R.INSECURE, id="a-realm-in-plain-http"
        ),
        pytest.param(
            "/", answering(401, WWW_Authenticate='Bearer realm="https://u:p@auth.example/"'), R.INSECURE, id="a-realm-with-a-log-in"
        ),
    ],
)
async def test_wrong_answers(registries, part, act, reason):
    async with Faulty() as server:
        server.fault(part, act)
        assert (await failure(registries(), server.image())).reason is reason


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(manifest(schemaVersion=1, fsLayers=[]), "schema 1", id="schema-1"),
        pytest.param(
            manifest(config=CONFIG | {"mediaType": "application/vnd.cncf.helm.config.v1+json"}), "another kind of artifact", id="a-chart"
        ),
    ],
)
async def test_what_is_no_image_is_named(registries, body, says):
    async with Faulty() as server:
        server.fault("/manifests/", answering(body=body))
        failed = await failure(registries(), server.image())
        assert failed.reason is R.MALFORMED and says in failed.sentence


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        pytest.param(b"no json", R.MALFORMED, id="not-json"),
        pytest.param(b'{"config": {"Entrypoint": "sh -c x"}}', R.MALFORMED, id="a-string-for-a-list"),
        pytest.param(b'{"config": {"Cmd": ["a\\u0000b"]}}', R.MALFORMED, id="a-nul"),
        pytest.param(json.dumps({"config": {"Cmd": ["x" * 70_000]}}).encode(), R.TOO_LARGE, id="an-endless-command"),
    ],
)
async def test_configurations_that_cannot_be_used(registries, config, reason):
    async with Faulty(image(config=config)) as server:
        assert (await failure(registries(), server.image())).reason is reason


@pytest.mark.parametrize("config", [b"{}", b'{"config": null}', b'{"config": {"Entrypoint": null, "Cmd": null}}'])
async def test_an_image_without_a_command(registries, config):
    """Is an image all the same: the pod's args may be all that it needs."""
    async with Faulty(image(config=config)) as server:
        found = await registries().entrypoint(server.image(), Platform(), ANONYMOUS)
        assert found.entrypoint == found.cmd == ()


@pytest.mark.parametrize("declared", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize(("part", "size"), [("/manifests/", 4 * MIB), ("/blobs/", 8 * MIB)])
async def test_endless_bodies(registries, part, size, declared):
    """No more than the limit is read, whatever the headers say."""
    sent = 0

    async def endless(request):
        nonlocal sent
        response = web.StreamResponse()
        if declared:
            response.content_length = 2**40
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" " * 262_144)
            sent += 262_144
        return response

    async with Faulty() as server:
        server.fault(part, endless)
        assert (await failure(registries(), server.image())).reason is R.TOO_LARGE
    assert sent < size + 24 * MIB  # and what the sockets' buffers hold


async def test_a_large_manifest_is_read(registries):
    """4 MiB of annotations are legal."""
    built = image(["/app"])
    body = json.dumps(json.loads(built.body) | {"annotations": {"x": "y" * (3 * MIB)}}).encode()
    built.manifests = {digest(body): (body, built.media_type)}
    async with Faulty(built) as server:
        assert (await registries().entrypoint(server.image(), Platform(), ANONYMOUS)).entrypoint == ("/app",)


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
@pytest.mark.parametrize("drip", [False, True], ids=["silent", "a-byte-at-a-time"])
async def test_slow_registries(registries, part, drip):
    """The deadline holds for the whole look-up."""
    gone = asyncio.Event()

    async def slow(request):
        response = web.StreamResponse()
        if drip:
            await response.prepare(request)
        while not gone.is_set():
            if drip:
                await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    async with Faulty() as server:
        server.fault(part, slow)
        async with asyncio.timeout(20):  # the deadline holds, not only its reason
            failed = await failure(registries(timeout=0.3), server.image())
        assert failed.reason is R.TIMEOUT
        gone.set()


async def test_a_connection_that_breaks(registries):
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.abort()
        return response

    async with Faulty() as server:
        server.fault("/manifests/", cut)
        assert (await failure(registries(), server.image())).reason is R.UNREACHABLE


async def test_nobody_listens(registries):
    """The address is told with its port, which is the registry's name in the pod."""
    host = f"127.0.0.1:{free_port()}"
    failed = await failure(registries(), Image(host, "team/app", "1", None))
    assert failed.reason is R.UNREACHABLE and f"'{host}'" in failed.sentence


async def test_something_that_speaks_no_http(registries):
    async def handle(_reader, writer):
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        failed = await failure(registries(), Image(f"127.0.0.1:{port}", "team/app", "1", None))
    assert failed.reason in (R.MALFORMED, R.UNREACHABLE)


async def test_redirects_end(registries):
    """Bounded in count."""
    async with Faulty() as server:

        async def round_and_round(request):
            return web.Response(status=307, headers={"Location": f"{request.path}?n={int(request.query.get('n', 0)) + 1}"})

        server.fault("/manifests/", round_and_round)
        failed = await failure(registries(), server.image())
        assert failed.reason is R.MALFORMED and "redirects more than 5 times" in failed.sentence and len(server.calls("/manifests/")) == 6


async def test_indexes_of_indexes_end(registries):
    """One that holds itself cannot exist, but a chain of any length can."""
    inner = image(["/app"])
    for _ in range(3):
        inner = index((inner, {"digest": inner.digest, "size": len(inner.body), "mediaType": inner.media_type}))
    async with Faulty(inner) as server:
        assert (await failure(registries(), server.image())).reason is R.MALFORMED


async def test_an_index_in_an_index(registries):
    inner = image(["/app"])
    for _ in range(2):
        inner = index((inner, {"digest": inner.digest, "size": len(inner.body), "mediaType": inner.media_type}))
    async with Faulty(inner) as server:
        assert (await registries().entrypoint(server.image(), Platform(), ANONYMOUS)).entrypoint == ("/app",)


async def test_nothing_of_an_answer_is_told(registries):
    """A pod's author names the host that is asked: what it answers must not be readable through us."""
    async with Faulty() as server:
        for status in (200, 400, 403, 404, 500):
            server.fault("/", answering(status, b"internal-page-canary", X_Secret="internal-page-canary"))
            failed = await failure(registries(), server.image(tag=f"t{status}"))
            assert "canary" not in str(failed) + failed.fix
