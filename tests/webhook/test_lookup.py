"""Images are looked up within a review: once, for those that need it, and a failure is an answer."""

import asyncio

import pytest

from tests.webhook.pods import KEY, Json, app, applied, cluster, container, env, pod
from tests.webhook.reviews import patch_of, webhook
from webhook.exec import LAUNCH, Images
from webhook.planning import Cluster, Inject
from webhook.pod import Pod
from webhook.registry.entrypoint import Entrypoint
from webhook.registry.errors import LookupFailed, LookupReason

EXEC = cluster(mode="exec")


class Asked:
    """Answers as a registry would, after a turn of the loop, and remembers what it was asked."""

    def __init__(self, answer: Entrypoint | LookupFailed | Exception) -> None:
        self._answer = answer
        self.calls: list[tuple[str | None, str, frozenset[str]]] = []

    async def __call__(self, pod: Pod, namespace: str, images: frozenset[str]) -> Images:
        self.calls.append((pod.metadata and pod.metadata.name, namespace, images))
        await asyncio.sleep(0)
        if not isinstance(self._answer, Entrypoint | LookupFailed):
            raise self._answer
        return Images(dict.fromkeys(images, self._answer), reachable=False)


def _exec() -> Cluster:
    return EXEC


async def test_asked_once_and_decided_again() -> None:
    """A container without a command gets its image's, for the pod's namespace."""
    asked = Asked(Entrypoint(("/entry",), ("serve",)))
    manifest = pod(container(env=env(A=KEY)), container("b", env=env(A=KEY)), container("c", image="other:1"))
    async with webhook(_exec, look_up=asked) as served:
        response = await served.ask(manifest)
    assert asked.calls == [("web", "shop", frozenset({"shop/web:1"}))]
    patched = applied(manifest, Inject(tuple(patch_of(response)), {}))
    assert [c.get("command") for c in patched["spec"]["containers"]] == [[*LAUNCH, "/entry"], [*LAUNCH, "/entry"], None]


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(app(A="plain"), id="nothing-wanted"),
        pytest.param(pod(container(command=["/app"], env=env(A=KEY))), id="a-command-of-its-own"),
        pytest.param(app(A="tfy-secret://acme"), id="refused-anyway"),
        pytest.param(pod(container(env=env(A=KEY)), labels={"tfy-secret.dev/inject": "disabled"}), id="opted-out"),
    ],
)
async def test_not_asked(manifest: Json) -> None:
    """Nobody outside is called where the answer would change nothing."""
    asked = Asked(RuntimeError())
    async with webhook(_exec, look_up=asked) as served:
        await served.ask(manifest)
    assert asked.calls == []


async def test_a_registry_that_does_not_answer() -> None:
    """The pod is refused with the reason and the way out."""
    async with webhook(_exec, look_up=Asked(LookupFailed(LookupReason.UNREACHABLE, "registry down"))) as served:
        response = await served.ask(app(A=KEY))
    assert response["allowed"] is False
    assert "registry down" in response["status"]["message"]
    assert "tfy-secret.dev/command.app" in response["status"]["message"]


async def test_a_look_up_that_crashes() -> None:
    """It is a crash of the review, and denied as one."""
    async with webhook(_exec, look_up=Asked(RuntimeError("x"))) as served:
        response = await served.ask(app(A=KEY))
    assert (response["allowed"], response["status"]["code"]) == (False, 500)


async def test_reviews_do_not_wait_for_each_other() -> None:
    """While one waits for a registry, others are answered."""
    release = asyncio.Event()

    async def wait(_pod: Pod, _namespace: str, images: frozenset[str]) -> Images:
        await release.wait()
        return Images(dict.fromkeys(images, Entrypoint(("/e",), ())), reachable=False)

    async with webhook(_exec, look_up=wait) as served:
        waiting = asyncio.create_task(served.ask(app(A=KEY)))
        assert (await served.ask(app(A="plain")))["allowed"] is True
        assert not waiting.done()
        release.set()
        assert (await waiting)["allowed"] is True
