import asyncio
from contextlib import asynccontextmanager

import pytest

from service.kube import Kube
from tests.service.apiserver import ApiServer
from tests.webhook.registry.faulty import secret
from webhook.registry.image import parse_image
from webhook.registry.pull_secrets import NOT_ALLOWED, PullSecrets

SECRETS, ACCOUNTS = "/api/v1/namespaces/shop/secrets", "/api/v1/namespaces/shop/serviceaccounts"
IMAGE = parse_image("r.example/app")


def pull_secret(name, user=None):
    return secret({"auths": {"r.example": {"username": user or name, "password": "canary-password"}}}, name)


@asynccontextmanager
async def cluster(clock, *secrets, account=()):
    async with ApiServer() as api, Kube(api.url) as kube:
        api.objects |= {SECRETS: {}, ACCOUNTS: {}}
        for each in secrets:
            api.put(SECRETS, each)
        api.put(ACCOUNTS, {"metadata": {"name": "web"}, "imagePullSecrets": [{"name": name} for name in account]})
        pulls = PullSecrets(kube, clock)
        yield api, pulls
        await pulls.close()


def users(credentials):
    return [login.username for login in credentials.for_image(IMAGE)]


async def test_the_pods_and_then_its_service_accounts(clock):
    """Each once, in the order in which they are named."""
    async with cluster(clock, *map(pull_secret, "abc"), account="cab") as (api, pulls):
        found = await pulls.read("shop", ["b", "b"], "web")
        assert users(found) == ["b", "c", "a"] and found.notes == ()
        assert sorted(api.calls("GET", "/secrets/")) == [f"{SECRETS}/{name}" for name in "abc"]


async def test_reads_are_shared_and_kept_for_seconds(clock):
    """A Deployment's hundred pods are one read; a corrected secret acts after five seconds."""
    async with cluster(clock, pull_secret("a"), account="a") as (api, pulls):
        await asyncio.gather(*(pulls.read("shop", ["a"], "web") for _ in range(100)))
        clock.time += 4.9
        await pulls.read("shop", ["a"], "web")
        assert len(api.requests) == 2
        api.put(SECRETS, pull_secret("a", "corrected"))
        clock.time += 0.2
        assert users(await pulls.read("shop", ["a"], "web")) == ["corrected"]


async def test_without_the_right_to_read_secrets(clock):
    """Off by default: the note, once, names the overlay that turns it on."""
    async with cluster(clock, *map(pull_secret, "ab")) as (api, pulls):
        api.refuse("GET", "/secrets/", 403, "secrets is forbidden: canary", times=2)
        api.refuse("GET", "/serviceaccounts/", 403, times=1)
        found = await pulls.read("shop", ["a", "b"], "web")
        assert users(found) == [] and found.notes == (NOT_ALLOWED,) and "manifests/overlays/registry-secrets" in NOT_ALLOWED
        clock.time += 2.1
        assert users(await pulls.read("shop", ["a", "b"], "web")) == ["a", "b"]


async def test_what_is_missing_or_broken_leaves_the_others(clock):
    async with cluster(clock, pull_secret("good"), {"metadata": {"name": "opaque"}, "data": {}}) as (api, pulls):
        api.refuse("GET", "/secrets/down", 500)
        found = await pulls.read("shop", ["gone", "opaque", "down", "good"], "absent")
        assert users(found) == ["good"]
        assert [note.partition(":")[0] for note in found.notes] == [
            "pull secret 'gone'",
            "pull secret 'opaque'",
            "pull secret 'down'",
            "service account 'absent'",
        ]


@pytest.mark.parametrize("name", ["../../kube-system/secrets/admin", "a/b", "a?b", "", "A", ".", "x" * 300])
async def test_names_are_checked_before_they_go_into_a_path(clock, name):
    """The API server checks a pod only after its webhooks; a name must not reach another namespace."""
    async with cluster(clock, pull_secret("a"), account=[name]) as (api, pulls):
        for found in (await pulls.read("shop", [name], "web"), await pulls.read("shop", [], name or "/")):
            assert users(found) == [] and len(found.notes) == 1
        assert set(api.calls("GET", "/")) <= {f"{ACCOUNTS}/web"}


@pytest.mark.parametrize("namespace", ["shop/secrets/a?", "../x", "", "Shop"])
async def test_a_namespace_that_cannot_be_one_is_not_asked(clock, namespace):
    """A made-up review names any; in a path it would lead elsewhere."""
    async with cluster(clock, pull_secret("a")) as (api, pulls):
        found = await pulls.read(namespace, ["a"], "web")
        assert users(found) == [] and len(found.notes) == 1
        assert list(api.calls("GET", "/")) == []


async def test_the_default_service_account(clock):
    async with cluster(clock) as (api, pulls):
        await pulls.read("shop", [], "")
        assert api.calls("GET", "/") == [f"{ACCOUNTS}/default"]


async def test_no_more_than_twenty(clock):
    """Each is a call on the way of an admission."""
    async with cluster(clock, *(pull_secret(f"s{n:02}") for n in range(25))) as (api, pulls):
        found = await pulls.read("shop", [f"s{n:02}" for n in range(25)], "web")
        assert len(users(found)) == 20 and found.notes == ("only the first 20 of 25 pull secrets were read",)


async def test_the_api_server_is_away(clock):
    """A note, within the time that the webhook has."""
    async with Kube("http://127.0.0.1:9") as kube:
        pulls = PullSecrets(kube, clock)
        found = await pulls.read("shop", ["a"], "web")
        assert users(found) == [] and all("could not be read" in note for note in found.notes) and len(found.notes) == 2
        await pulls.close()


async def test_nothing_of_a_secret_is_told(clock):
    async with cluster(clock, pull_secret("a", "canary-user"), secret({"auths": {"r.example": {"auth": "canary"}}}, "b")) as (_, pulls):
        found = await pulls.read("shop", ["a", "b"], "web")
        assert "canary" not in repr(found) + str(found.notes)
