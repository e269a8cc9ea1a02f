"""Everything that a review asks others for fits together into the 5 seconds that the API server waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import chain, repeat
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.kube import Kube
from tests.webhook.pods import CLUSTER, container, pod
from tests.webhook.reviews import review
from webhook.admission import ANSWER_WITHIN, Admission
from webhook.configmaps import ConfigMaps
from webhook.images import SECONDS, ImageLookup
from webhook.metrics import Metrics
from webhook.pod import POD
from webhook.registry.errors import LookupFailed, LookupReason
from webhook.registry.settings import MAX_TIMEOUT, RegistrySettings
from webhook.target import Findings

MANIFEST = pod(container(envFrom=[{"configMapRef": {"name": "plain"}}]))


@pytest.fixture
async def silent() -> AsyncIterator[TestServer]:
    """Takes requests, and answers none."""
    ended = asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        await ended.wait()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", wait)
    server = TestServer(app)
    await server.start_server()
    yield server
    ended.set()
    await server.close()


async def test_a_look_up_that_may_take_longer_than_is_left(silent: TestServer) -> None:
    """The registry's own time counts from when it is asked; reading pull secrets has used some of the whole by then."""
    image = f"localhost:{silent.port}/team/app:1"
    look_up = ImageLookup(RegistrySettings(timeout=MAX_TIMEOUT), None, within=0.05)
    found = (await look_up(POD.decode(json.dumps(MANIFEST).encode()), "shop", frozenset({image}))).known[image]
    assert isinstance(found, LookupFailed)
    assert (found.reason, found.sentence.partition("' ")[2]) == (
        LookupReason.TIMEOUT,
        "did not answer in the time that was left of 0.1 s",
    )
    await look_up.close()


async def test_a_config_map_that_comes_too_late(silent: TestServer) -> None:
    """It is one that could not be read: a warning."""
    async with Kube(str(silent.make_url(""))) as kube:
        findings = await ConfigMaps(kube).look(POD.decode(json.dumps(MANIFEST).encode()), "shop", CLUSTER, within=0.05)
    assert [warning.partition("; ")[0] for warning in findings.warnings] == [
        "spec.containers[app].envFrom[0]: ConfigMap 'plain' could not be read"
    ]


async def test_config_maps_get_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a look-up of images that took all of its time."""
    left: list[float] = []

    class Looked:
        async def look(self, *_: Any, **__: Any) -> Findings:
            left.append(_[3])
            return Findings()

    clock: Iterator[float] = chain([100.0], repeat(100.0 + SECONDS))
    monkeypatch.setattr("webhook.admission.perf_counter", lambda: next(clock))
    admission = Admission(lambda: CLUSTER, list, Metrics(lambda: None), None, Looked())  # type: ignore[arg-type]
    await admission.review(json.dumps(review(MANIFEST)).encode())
    assert left == [pytest.approx(ANSWER_WITHIN - SECONDS)]
    assert 0 < left[0] < 5 - SECONDS
