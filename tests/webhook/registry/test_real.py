"""Against Debian's docker-registry: what a real registry does, with each of its ways to log in."""

import pytest

from tests.webhook.registry.conftest import IDENTITY, PASSWORD
from tests.webhook.registry.faulty import secret
from tests.webhook.registry.images import basic
from webhook.registry.credentials import ANONYMOUS, Credentials
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.image import parse_image
from webhook.registry.platforms import Platform

ANY = Platform()


def logins(host, *passwords, **entry):
    auths = [{host: {"username": "puller", "password": password}} for password in passwords] or [{host: entry}]
    return Credentials.of_secrets(*(secret({"auths": each}, f"pull-{number}") for number, each in enumerate(auths)))


@pytest.mark.parametrize(
    ("repository", "platform", "runs"),
    [
        pytest.param("team/single", ANY, ("/app", "--serve"), id="one-manifest"),
        pytest.param("team/docker", ANY, ("/docker",), id="docker-media-types"),
        pytest.param("team/index", ANY, ("/app-amd64", "serve"), id="amd64-where-the-pod-does-not-say"),
        pytest.param("team/index", Platform("arm64", determined=True), ("/app-arm64", "serve"), id="the-pods-own-architecture"),
        pytest.param("team/list", Platform("arm64", determined=True), ("/app-arm64", "serve"), id="docker-manifest-list"),
        pytest.param("team/arm", ANY, ("/arm",), id="arm64-only"),
        pytest.param("team/armindex", ANY, ("/app-arm64", "serve"), id="an-index-of-arm64-alone"),
    ],
)
async def test_entrypoints(plain, registries, repository, platform, runs):
    """Of each shape of image; an attestation, first in its index, is never taken for the image."""
    found = await registries().entrypoint(parse_image(f"{plain}/{repository}:1"), platform, ANONYMOUS)
    assert (*found.entrypoint, *found.cmd) == runs


async def test_an_index_without_the_pods_platform(plain, registries):
    """The platforms that there are are named, without attestations."""
    with pytest.raises(LookupFailed) as failed:
        await registries().entrypoint(parse_image(f"{plain}/team/index:1"), Platform("s390x", determined=True), ANONYMOUS)
    assert failed.value.reason is LookupReason.NO_PLATFORM
    assert failed.value.sentence == "the image is not made for linux/s390x; it has: linux/arm64/v8, linux/amd64"


async def test_a_digest_wins_over_the_tag_beside_it(plain, registries, built):
    """`repo:tag@digest`, where the tag need not even exist."""
    image = parse_image(f"{plain}/team/index:gone@{built['team/index', '1'].digest}")
    assert (await registries().entrypoint(image, ANY, ANONYMOUS)).entrypoint == ("/app-amd64",)


@pytest.mark.parametrize("name", ["team/single:2", "team/none:1", f"team/single@sha256:{'0' * 64}"])
async def test_what_is_not_there(plain, registries, name):
    with pytest.raises(LookupFailed) as failed:
        await registries().entrypoint(parse_image(f"{plain}/{name}"), ANY, ANONYMOUS)
    assert failed.value.reason is LookupReason.NOT_FOUND


@pytest.mark.parametrize(
    ("make", "accepted"),
    [
        pytest.param(lambda host: logins(host, PASSWORD), True, id="the-right-one"),
        pytest.param(lambda host: logins(host, "stale", PASSWORD), True, id="a-stale-secret-before-it"),
        pytest.param(lambda host: logins(host, auth=basic("puller", PASSWORD).removeprefix("Basic ")), True, id="auth-alone"),
        pytest.param(lambda host: logins(f"https://{host}/v2/", PASSWORD), True, id="a-url-as-its-key"),
        pytest.param(lambda host: logins(f"{host}/team", PASSWORD), True, id="a-path-as-its-key"),
        pytest.param(lambda host: logins(f"{host}/other", PASSWORD), False, id="another-path"),
        pytest.param(lambda host: logins(host, "stale"), False, id="a-stale-one"),
        pytest.param(lambda _host: ANONYMOUS, False, id="nobody"),
        pytest.param(
            lambda host: Credentials.of_secrets(secret({host: {"username": "puller", "password": PASSWORD}}, key=".dockercfg")),
            True,
            id="dockercfg",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["private", "tokens"])
async def test_logging_in(request, registries, authority, kind, make, accepted):
    """With Basic and with Bearer tokens, the kubelet's rules decide which log-ins are tried."""
    found = request.getfixturevalue(kind)
    host = found if isinstance(found, str) else found.host
    registry, image = registries(ca_file=authority.file), parse_image(f"{host}/team/index:1")
    if accepted:
        assert (await registry.entrypoint(image, ANY, make(host))).entrypoint == ("/app-amd64",)
        return
    with pytest.raises(LookupFailed) as failed:
        await registry.entrypoint(image, ANY, make(host))
    assert failed.value.reason is LookupReason.DENIED and "imagePullSecrets" in failed.value.fix


async def test_a_public_image_behind_a_token_server(tokens, registries, authority):
    """Nobody's token, as Docker Hub gives it."""
    found = await registries(ca_file=authority.file).entrypoint(parse_image(f"{tokens.host}/team/single:1"), ANY, ANONYMOUS)
    assert found.entrypoint == ("/app",) and tokens.server.requests[-1] == ("GET", "")


async def test_an_identity_token(tokens, registries, authority):
    """Is exchanged by the OAuth2 form."""
    credentials = logins(tokens.host, identitytoken=IDENTITY)
    found = await registries(ca_file=authority.file).entrypoint(parse_image(f"{tokens.host}/team/arm:1"), ANY, credentials)
    assert found.entrypoint == ("/arm",) and tokens.server.requests[-1] == ("POST", "identity")


async def test_a_wrong_identity_token(tokens, registries, authority):
    with pytest.raises(LookupFailed) as failed:
        credentials = logins(tokens.host, identitytoken="stale")
        await registries(ca_file=authority.file).entrypoint(parse_image(f"{tokens.host}/team/arm:1"), ANY, credentials)
    assert failed.value.reason is LookupReason.DENIED


async def test_an_unknown_authority(tokens, registries):
    """On localhost too: what speaks TLS must have a certificate that is trusted. The setting that mends it is named."""
    with pytest.raises(LookupFailed) as failed:
        await registries().entrypoint(parse_image(f"{tokens.host}/team/single:1"), ANY, ANONYMOUS)
    assert failed.value.reason is LookupReason.INSECURE and "TFY_SECRET_REGISTRY_CA_FILE" in failed.value.fix


async def test_tags_and_digests_are_answered_from_memory(private, registries, clock, built):
    """For those who were let in; when a tag's time is over the registry has the last word again."""
    registry = registries()
    image, allowed = parse_image(f"{private}/team/single:1"), logins(private, PASSWORD)
    first = await registry.entrypoint(image, ANY, allowed)
    clock.time += 11
    assert await registry.entrypoint(image, ANY, allowed) is first
    for denied in (ANONYMOUS, logins(private, "stale")):
        with pytest.raises(LookupFailed) as failed:
            await registry.entrypoint(image, ANY, denied)
        assert failed.value.reason is LookupReason.DENIED
