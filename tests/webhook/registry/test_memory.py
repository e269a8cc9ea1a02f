"""What is remembered, for how long and for whom: counted in a registry's requests."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from tests.webhook.registry.faulty import Faulty, answering, secret
from tests.webhook.registry.images import basic, entry, image, index
from webhook.registry.credentials import ANONYMOUS, Credentials
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.platforms import Platform

ANY = Platform()


def login(host, user="puller", password="canary-password"):
    return Credentials.of_secrets(secret({"auths": {host: {"username": user, "password": password}}}))


def guarded(server, *users):
    server.challenge = 'Basic realm="r"'
    server.accepted = {basic(user, "canary-password") for user in users or ("puller",)}


async def test_a_hundred_pods_are_one_look_up(registries):
    async with Faulty() as server:
        registry = registries()
        found = await asyncio.gather(*(registry.entrypoint(server.image(), ANY, ANONYMOUS) for _ in range(100)))
        assert len(set(map(id, found))) == 1 and len(server.requests) == 2  # manifest and configuration


async def test_a_hundred_refusals_are_one_too(registries, clock):
    """And for two seconds more."""
    async with Faulty() as server:
        registry = registries()
        server.fault("/manifests/", answering(404))
        found = await asyncio.gather(*(registry.entrypoint(server.image(), ANY, ANONYMOUS) for _ in range(100)), return_exceptions=True)
        assert {each.reason for each in found} == {LookupReason.NOT_FOUND} and len(server.requests) == 1
        assert len(set(map(id, found))) == 100  # each raised on its own, with its own traceback
        server.faults.clear()
        clock.time += 1.9
        with pytest.raises(LookupFailed):
            await registry.entrypoint(server.image(), ANY, ANONYMOUS)
        clock.time += 0.2
        assert (await registry.entrypoint(server.image(), ANY, ANONYMOUS)).entrypoint == ("/app",)


async def test_a_tag_is_asked_again_after_its_time(registries, clock):
    """By HEAD, which costs no pull where those are counted; a tag that moved is read anew."""
    async with Faulty() as server:
        registry = registries(cache=10)
        await registry.entrypoint(server.image(), ANY, ANONYMOUS)
        clock.time += 9.9
        await registry.entrypoint(server.image(), ANY, ANONYMOUS)
        assert len(server.requests) == 2
        clock.time += 0.2
        await registry.entrypoint(server.image(), ANY, ANONYMOUS)
        assert [method for method, *_ in server.requests[2:]] == ["HEAD"]
        clock.time += 11
        server.built = image(["/moved"])
        assert (await registry.entrypoint(server.image(), ANY, ANONYMOUS)).entrypoint == ("/moved",)


async def test_a_registry_without_head(registries, clock):
    """Some proxies refuse it, some leave the digest out: a GET has the last word."""
    for fault in (answering(405), answering(501), answering(200)):
        async with Faulty() as server:
            registry = registries()
            await registry.entrypoint(server.image(), ANY, ANONYMOUS)
            clock.time += 11

            async def no_head(request, fault=fault):
                return await fault(request) if request.method == "HEAD" else None

            server.fault("/", no_head)
            assert (await registry.entrypoint(server.image(), ANY, ANONYMOUS)).entrypoint == ("/app",)
            assert [method for method, *_ in server.requests[2:]] == ["HEAD", "GET", "GET"]


async def test_the_cache_can_be_turned_off(registries):
    async with Faulty() as server:
        registry = registries(cache=0)
        for _ in range(2):
            await registry.entrypoint(server.image(), ANY, ANONYMOUS)
        assert len(server.calls("/manifests/")) == 2


async def test_a_digest_is_not_asked_again_for_minutes(registries, clock):
    """Whatever tag stands beside it."""
    async with Faulty() as server:
        registry = registries(cache=0)
        digest = server.built.digest
        await registry.entrypoint(server.image(digest=digest), ANY, ANONYMOUS)
        clock.time += 299
        await registry.entrypoint(replace(server.image(digest=digest), tag="any"), ANY, ANONYMOUS)
        assert len(server.requests) == 2
        clock.time += 2
        await registry.entrypoint(server.image(digest=digest), ANY, ANONYMOUS)
        assert [method for method, *_ in server.requests[2:]] == ["HEAD"]


async def test_a_private_image_is_told_to_those_whom_the_registry_lets_in(registries):
    """What one namespace's log-in found is not told to another's, nor to nobody, before the registry accepted theirs."""
    async with Faulty() as server:
        guarded(server, "puller", "other")
        registry = registries()
        for named in (server.image(), server.image(digest=server.built.digest)):
            await registry.entrypoint(named, ANY, login(server.host))
            for credentials in (ANONYMOUS, login(server.host, "intruder"), login("another.example")):
                with pytest.raises(LookupFailed) as failed:
                    await registry.entrypoint(named, ANY, credentials)
                assert failed.value.reason is LookupReason.DENIED
            before = len(server.calls("/blobs/"))
            await registry.entrypoint(named, ANY, login(server.host, "other"))
            assert len(server.calls("/blobs/")) == before  # content that is known is not read again


async def test_a_log_in_that_is_withdrawn(registries, clock):
    async with Faulty() as server:
        guarded(server)
        registry = registries()
        await registry.entrypoint(server.image(), ANY, login(server.host))
        server.accepted.clear()
        clock.time += 11
        with pytest.raises(LookupFailed) as failed:
            await registry.entrypoint(server.image(), ANY, login(server.host))
        assert failed.value.reason is LookupReason.DENIED


async def test_another_registry_cannot_vouch_for_content(registries):
    """Knowing a private image's digest and serving a HEAD for it is not access to it."""
    async with Faulty(image(["/private"])) as owner, Faulty() as liar:
        guarded(owner)
        registry = registries()
        await registry.entrypoint(owner.image(digest=owner.built.digest), ANY, login(owner.host))

        async def lie(request):
            return web.Response(headers={"Docker-Content-Digest": owner.built.digest}) if request.method == "HEAD" else None

        liar.fault("/", lie)
        with pytest.raises(LookupFailed):
            await registry.entrypoint(liar.image(digest=owner.built.digest), ANY, ANONYMOUS)


async def test_platforms_are_kept_apart(registries, clock):
    amd64, arm64 = image(["/amd64"]), image(["/arm64"], architecture="arm64")
    async with Faulty(index((amd64, entry(amd64)), (arm64, entry(arm64)))) as server:
        registry = registries()
        for _ in range(2):
            assert (await registry.entrypoint(server.image(), ANY, ANONYMOUS)).entrypoint == ("/amd64",)
            assert (await registry.entrypoint(server.image(), Platform("arm64", determined=True), ANONYMOUS)).entrypoint == ("/arm64",)
            clock.time += 11


async def test_memory_is_bounded(registries):
    """However many images a cluster, or a hostile registry, comes up with."""
    async with Faulty(image(["x" * 60_000])) as server:
        registry = registries()
        for number in range(50):
            await registry.entrypoint(server.image(tag=f"t{number}"), ANY, ANONYMOUS)
        assert registry._answers._answers.weight <= 2 * 1024 * 1024 and len(registry._answers._answers) < 40


async def test_closing_in_the_middle(registries):
    """Leaves no task and no connection."""
    async with Faulty() as server:
        gone = asyncio.Event()

        async def hang(_request):
            await gone.wait()

        server.fault("/", hang)
        registry = registries()
        task = asyncio.create_task(registry.entrypoint(server.image(), ANY, ANONYMOUS))
        while not server.requests:
            await asyncio.sleep(0.005)
        await registry.close()
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
        gone.set()
