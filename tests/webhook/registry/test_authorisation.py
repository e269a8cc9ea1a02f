"""Where log-ins and tokens go, and where they never do."""

import asyncio

import pytest
from aiohttp import web

from tests.webhook.registry import servers
from tests.webhook.registry.faulty import Faulty, Names, answering, secret
from tests.webhook.registry.images import basic
from webhook.registry.credentials import ANONYMOUS, Credentials
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.image import parse_image
from webhook.registry.platforms import Platform

BASIC = basic("puller", "canary-password")


def login(host, **entry):
    return Credentials.of_secrets(secret({"auths": {host: entry or {"username": "puller", "password": "canary-password"}}}))


def guarded(server, challenge='Basic realm="r"', *accepted):
    server.challenge, server.accepted = challenge, set(accepted or (BASIC,))


def redirecting(url):
    async def act(request):
        return web.Response(status=307, headers={"Location": url(request.path)})

    return act


@pytest.fixture
def leaf_tls(authority):
    return lambda *names: servers.server_context(authority.issue_cert(*names))


async def reason_of(registry, image, credentials):
    with pytest.raises(LookupFailed) as failed:
        await registry.entrypoint(image, Platform(), credentials)
    return failed.value.reason


async def test_an_open_registry_gets_no_log_in(registries):
    """Nothing is sent that was not asked for."""
    async with Faulty() as server:
        await registries().entrypoint(server.image(), Platform(), login(server.host))
        assert server.authorizations == []


async def test_blobs_elsewhere_get_no_log_in(registries):
    """Storage in another place is reached by the redirect alone; its URL is used as it is written."""
    async with Faulty() as server, Faulty() as storage:
        guarded(server)
        server.fault("/blobs/", redirecting(lambda path: storage.url(f"{path}?sig=a%2Fb%2B")))
        signatures = []
        storage.fault("/", lambda request: _note(signatures, request))
        found = await registries().entrypoint(server.image(), Platform(), login(server.host))
        assert found.entrypoint == ("/app",)
        assert storage.authorizations == [] and signatures == [f"/v2/team/app/blobs/{server.built.config}?sig=a%2Fb%2B"]


async def _note(found, request):
    found.append(request.raw_path)


async def test_manifests_elsewhere_get_no_log_in(registries):
    """As registry.k8s.io redirects. A challenge from there is not answered: it would lure the log-in to another host."""
    async with Faulty() as server, Faulty() as other, Faulty() as lure:
        guarded(other, f'Bearer realm="{lure.url("/token")}"')
        server.fault("/manifests/", redirecting(other.url))
        assert await reason_of(registries(), server.image(), login(server.host)) is LookupReason.DENIED
        assert server.authorizations == other.authorizations == [] and lure.requests == []


async def test_a_redirect_within_the_registry_keeps_the_log_in(registries):
    async with Faulty() as server:
        guarded(server)
        server.fault("/v2/team/app/blobs/", redirecting(lambda path: path.replace("/team/app/", "/moved/")))
        assert (await registries().entrypoint(server.image(), Platform(), login(server.host))).entrypoint == ("/app",)
        assert server.authorizations == [BASIC] * 3


async def test_the_token_server_gets_the_log_in_and_the_registry_the_token(registries):
    async with Faulty() as server, Faulty() as issuer:
        guarded(
            server, f'Bearer realm="{issuer.url("/token")}?x=1",service="the service",scope="repository:team/app:pull"', "Bearer abc.def"
        )
        queries = []

        async def issue(request):
            queries.append(dict(request.query))
            return web.json_response({"access_token": "abc.def"})

        issuer.fault("/token", issue)
        await registries().entrypoint(server.image(), Platform(), login(server.host))
        assert set(server.authorizations) == {"Bearer abc.def"} and issuer.authorizations == [BASIC]
        assert queries == [{"x": "1", "service": "the service", "scope": "repository:team/app:pull"}]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        pytest.param(answering(302, Location="https://lure.example/"), LookupReason.MALFORMED, id="redirects"),
        pytest.param(answering(body=b"no json"), LookupReason.MALFORMED, id="not-json"),
        pytest.param(answering(body=b"{}"), LookupReason.MALFORMED, id="no-token"),
        pytest.param(answering(body=b'{"token": "a\\r\\nX: y"}'), LookupReason.MALFORMED, id="a-token-that-smuggles-a-header"),
        pytest.param(answering(body=b" " * 300_000), LookupReason.TOO_LARGE, id="endless"),
        pytest.param(answering(403), LookupReason.DENIED, id="forbidden"),
        pytest.param(answering(429), LookupReason.UNREACHABLE, id="too-many-requests"),
        pytest.param(answering(502), LookupReason.UNREACHABLE, id="down"),
    ],
)
async def test_token_servers_that_misbehave(registries, act, reason):
    """A redirect of one is never followed: it would carry the log-in along."""
    async with Faulty() as server, Faulty() as issuer:
        guarded(server, f'Bearer realm="{issuer.url("/token")}"')
        issuer.fault("/token", act)
        assert await reason_of(registries(), server.image(), login(server.host)) is reason
        assert server.authorizations == []


async def test_a_challenge_that_never_ends(registries):
    """A token that the registry gave itself and does not take is a denial, after one try a log-in."""
    async with Faulty() as server:
        guarded(server, f'Bearer realm="{server.url("/token")}"', "never")
        server.fault("/token", answering(body=b'{"token": "t"}'))
        assert await reason_of(registries(), server.image(), login(server.host)) is LookupReason.DENIED
        assert len(server.calls("/manifests/")) == 2 and len(server.calls("/token")) == 1


async def test_each_log_in_is_tried_and_the_first_that_works_wins(registries):
    async with Faulty() as server:
        guarded(server)
        wrong = [login(server.host, username="puller", password=f"stale-{n}") for n in range(2)]
        credentials = Credentials.joined([*wrong, login(server.host)])
        assert (await registries().entrypoint(server.image(), Platform(), credentials)).entrypoint == ("/app",)
        assert len(set(server.authorizations)) == 3 and server.authorizations[-1] == BASIC


async def test_not_found_with_a_log_in_that_was_let_in_is_told_before_a_denial(registries):
    """It says more about what to mend."""
    async with Faulty() as server:
        guarded(server)
        server.fault("/manifests/", lambda request: _missing(request, BASIC))
        credentials = Credentials.joined([login(server.host), login(server.host, username="puller", password="stale")])
        assert await reason_of(registries(), server.image(), credentials) is LookupReason.NOT_FOUND


async def _missing(request, authorization):
    return web.Response(status=404) if request.headers.get("Authorization") == authorization else None


async def test_a_registry_elsewhere_is_asked_over_tls_alone(registries):
    """Its name leads to a server of plain HTTP, as a person in the middle would have it: nothing is sent in the clear."""
    async with Faulty() as server:
        names = Names({"registry.example": server})
        image = parse_image("registry.example/team/app:1")
        assert await reason_of(registries(names), image, login("registry.example")) is LookupReason.INSECURE
        assert server.requests == []


@pytest.mark.parametrize("where", ["redirect", "realm"])
async def test_a_registry_elsewhere_cannot_send_us_to_our_own_localhost(registries, authority, leaf_tls, where):
    """Plain HTTP on localhost is for registries that are there; others would reach what listens beside the webhook."""
    async with Faulty(tls=leaf_tls("registry.example")) as server, Faulty() as inside:
        target = inside.url("/token")
        act = answering(302, Location=target) if where == "redirect" else answering(401, WWW_Authenticate=f'Bearer realm="{target}"')
        server.fault("/", act)
        registry = registries(Names({"registry.example": server}), ca_file=authority.file)
        image = parse_image("registry.example/team/app:1")
        assert await reason_of(registry, image, login("registry.example")) is LookupReason.INSECURE
        assert inside.requests == []


async def test_a_certificate_for_another_name(registries, authority, leaf_tls):
    async with Faulty(tls=leaf_tls("other.example")) as server:
        registry = registries(Names({"registry.example": server}), ca_file=authority.file)
        assert await reason_of(registry, parse_image("registry.example/team/app:1"), ANONYMOUS) is LookupReason.INSECURE
        assert server.requests == []


@pytest.mark.parametrize("name", ["busybox", "library/busybox", "docker.io/busybox", "index.docker.io/library/busybox:latest"])
@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://docker.io/library"])
async def test_docker_hub(registries, authority, leaf_tls, name, key):
    """In each spelling of its images and of its key in a pull secret."""
    async with Faulty(tls=leaf_tls("registry-1.docker.io")) as server:
        guarded(server)
        registry = registries(Names({"registry-1.docker.io": server}), ca_file=authority.file)
        assert (await registry.entrypoint(parse_image(name), Platform(), login(key))).entrypoint == ("/app",)
        assert server.calls("/v2/library/busybox/manifests/latest")


async def test_a_mirror_is_asked_first_and_gets_its_own_log_in_alone(registries, authority, leaf_tls):
    """It is a registry of its own, so Docker Hub's password is not for it. The URL's path is a prefix of the repository."""
    async with Faulty(tls=leaf_tls("mirror.example")) as mirror, Faulty(tls=leaf_tls("registry-1.docker.io")) as hub:
        guarded(mirror)
        guarded(hub)
        names = Names({"mirror.example": mirror, "registry-1.docker.io": hub})
        registry = registries(names, ca_file=authority.file, mirrors={"docker.io": ("https://mirror.example/cache/hub",)})
        found = await registry.entrypoint(parse_image("busybox"), Platform(), login("mirror.example/cache"))
        assert found.entrypoint == ("/app",) and hub.requests == []
        assert mirror.calls("/v2/cache/hub/library/busybox/manifests/latest")
        mirror.requests.clear()
        hub_login = login("docker.io", username="puller", password="canary-password")
        await registry.entrypoint(parse_image("busybox:2"), Platform(), hub_login)
        assert mirror.authorizations == [] and set(hub.authorizations) == {BASIC}


@pytest.mark.parametrize("fault", ["down", "not-found", "hangs", "drips", "garbage"])
async def test_a_mirror_that_fails_leaves_the_registry(registries, authority, leaf_tls, fault):
    """And time for it."""
    gone = asyncio.Event()

    async def hang(_request):
        await gone.wait()

    async def drip(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while not gone.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    acts = {"down": answering(503), "not-found": answering(404), "hangs": hang, "drips": drip, "garbage": answering(body=b"<html>")}
    async with Faulty(tls=leaf_tls("mirror.example")) as mirror, Faulty(tls=leaf_tls("registry.example")) as origin:
        mirror.fault("/", acts[fault])
        names = Names({"mirror.example": mirror, "registry.example": origin})
        registry = registries(names, ca_file=authority.file, timeout=3, mirrors={"registry.example": ("https://mirror.example",)})
        assert (await registry.entrypoint(parse_image("registry.example/team/app:1"), Platform(), ANONYMOUS)).entrypoint == ("/app",)
        gone.set()


async def test_when_all_sources_fail_each_is_named(registries, authority, leaf_tls):
    async with Faulty(tls=leaf_tls("mirror.example")) as mirror:
        mirror.fault("/", answering(503))
        registry = registries(
            Names({"mirror.example": mirror}), ca_file=authority.file, mirrors={"registry.example": ("https://mirror.example",)}
        )
        with pytest.raises(LookupFailed) as failed:
            await registry.entrypoint(parse_image("registry.example/team/app:1"), Platform(), ANONYMOUS)
        assert failed.value.reason is LookupReason.UNREACHABLE
        assert failed.value.sentence == (
            "'registry.example' cannot be reached (ClientConnectorDNSError); its mirror: registry 'mirror.example' answers 503"
        )


async def test_notes_about_pull_secrets_are_told_with_a_denial(registries):
    """A secret that could not be read is the likeliest cause; an image that anyone may see is found without it."""
    credentials = Credentials(notes=("pull secrets are not read",))
    async with Faulty() as server:
        await registries().entrypoint(server.image(), Platform(), credentials)
        guarded(server)
        with pytest.raises(LookupFailed) as failed:
            await registries().entrypoint(server.image(), Platform(), credentials)
        assert failed.value.sentence.endswith("; pull secrets are not read")
