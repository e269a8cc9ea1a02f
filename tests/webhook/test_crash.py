"""A crash becomes a denial that echoes the uid, and says nothing of what crashed it."""

import io
import logging
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from service.logs import configure_logs
from tests.webhook.pods import CLUSTER, KEY, app
from tests.webhook.reviews import UID, Webhook, webhook
from webhook.planning import Cluster, Inject

CANARY = "canary-in-a-message-8d1f"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that the program would write to standard error, at the most talkative level."""
    stream, root = io.StringIO(), logging.getLogger()
    before = list(root.handlers), root.level
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs("debug")
    structlog.configure(cache_logger_on_first_use=False)  # else every later test would log to this stream
    yield stream
    structlog.reset_defaults()
    root.handlers[:], root.level = before


@pytest.fixture
async def served() -> AsyncIterator[Webhook]:
    async with webhook() as started:
        yield started


async def _crash(served: Webhook, logged: io.StringIO) -> None:
    response = await served.ask(app(A=KEY))
    assert (response["uid"], response["allowed"]) == (UID, False)
    assert response["status"] == {
        "code": 500,
        "reason": "InternalError",
        "message": "request.object: found an internal error; allowed: none.\nTo fix: see the webhook's log (event review_crashed).",
    }
    assert '"event": "review_crashed"' in logged.getvalue()
    assert (CANARY in logged.getvalue(), CANARY in str(response)) == (False, False)
    assert served.counted("reviews_total", outcome="refused", reason="crash") == 1


async def test_planning_crashes(served: Webhook, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod must not start with names in place of values; the log has type and place, and no message, which could quote the pod."""

    def fail(*_: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr("webhook.admission.plan_injection", fail)
    await _crash(served, logged)
    assert '"error": "ValueError"' in logged.getvalue()
    assert "test_crash.py" in logged.getvalue()


@pytest.mark.parametrize("error", [KeyError(CANARY), RecursionError(CANARY), MemoryError(CANARY), AssertionError(CANARY)])
async def test_what_is_known_crashes(logged: io.StringIO, error: Exception) -> None:
    """Also while it is put together what is known of the cluster."""

    def fail() -> Cluster:
        raise error

    async with webhook(fail) as served:
        await _crash(served, logged)


async def test_readiness_crashes(served: Webhook, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while it is asked whether anything is missing."""

    def fail() -> list[str]:
        raise OSError(CANARY)

    monkeypatch.setattr(served.admission, "_missing", fail)
    await _crash(served, logged)


async def test_an_answer_that_cannot_be_written(served: Webhook, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the patch is no JSON: half of a surrogate pair is text to Python alone."""
    patch = ({"op": "add", "path": f"/{CANARY}", "value": "\ud800"},)
    monkeypatch.setattr("webhook.admission.plan_injection", lambda *_: Inject(patch, {}))
    await _crash(served, logged)


async def test_after_a_crash(served: Webhook, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next review is answered as if nothing had been."""
    with monkeypatch.context() as patched:
        patched.setattr("webhook.admission.plan_injection", lambda *_: 1 / 0)
        await _crash(served, logged)
    assert (await served.ask(app(A=KEY)))["allowed"] is True


async def test_no_pod_in_the_log(served: Webhook, logged: io.StringIO) -> None:
    """Whatever comes in, the log names pods and reasons and never what stands in a pod, at any level."""
    for value in (KEY, f"{CANARY} {KEY}", f"tfy-secret://{CANARY}", "plain", f"acme/aws/{CANARY}::/x"):
        await served.ask(app(A=value, **{CANARY: "x"}))
    await served.post(f'{{"apiVersion": "{CANARY}", "kind": "x", "request": {{"uid": "{CANARY}"}}}}'.encode())
    await served.post(CANARY.encode())
    assert '"event": "pod_injected"' in logged.getvalue()
    assert '"event": "pod_refused"' in logged.getvalue()
    assert '"event": "review_broken"' in logged.getvalue()
    assert CANARY not in logged.getvalue()
    assert CLUSTER.around.broker_ca == "CA"
