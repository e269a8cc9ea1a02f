"""AdmissionReview in, AdmissionReview out, over HTTP: what is answered, what is echoed, and which reviews are none of ours."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.webhook.pods import KEY, Json, app, applied, container, decide, env, files, file, pod
from tests.webhook.reviews import UID, Webhook, patch_of, review, webhook
from webhook.planning import Inject

BAD = app(A="tfy-secret://acme")
DENIED = app(A="tfy-secret://acme:search:INDEX_KEY")


@pytest.fixture
async def served() -> AsyncIterator[Webhook]:
    async with webhook() as started:
        yield started


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_injected(served: Webhook, version: str) -> None:
    """uid and apiVersion are echoed; the patch is base64 of a JSON Patch that makes the pod what planning says."""
    response = await served.ask(app(A=KEY), version)
    assert set(response) == {"uid", "allowed", "patchType", "patch"}
    assert (response["uid"], response["allowed"], response["patchType"]) == (UID, True, "JSONPatch")
    decision = Inject(tuple(patch_of(response)), {})
    assert applied(app(A=KEY), decision) == applied(app(A=KEY), decide(app(A=KEY)))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_nothing_to_do(served: Webhook, version: str) -> None:
    """Allowed, and nothing else in it."""
    assert await served.ask(app(A="plain"), version) == {"uid": UID, "allowed": True}


@pytest.mark.parametrize(
    ("manifest", "code", "reason"),
    [
        pytest.param(BAD, 422, "Invalid", id="malformed"),
        pytest.param(DENIED, 403, "Forbidden", id="denied"),
        pytest.param(app(A="tfy-secret://acme:paymnts:X"), 422, "Invalid", id="unknown-group"),
    ],
)
async def test_refused(served: Webhook, manifest: Json, code: int, reason: str) -> None:
    """A refused pod is a 200 review with a status that `kubectl` shows."""
    response = await served.ask(manifest)
    assert (response["uid"], response["allowed"]) == (UID, False)
    assert (response["status"]["code"], response["status"]["reason"]) == (code, reason)
    assert response["status"]["message"].startswith("spec.containers[app].env[A]: found ")
    assert "patch" not in response


async def test_all_problems_in_one_message(served: Webhook) -> None:
    """Numbered, in the pod's order."""
    message = (await served.ask(app(A="tfy-secret://x", B="tfy-secret://y")))["status"]["message"]
    assert message.startswith("2 problems.\n(1) spec.containers[app].env[A]: ")
    assert "\n(2) spec.containers[app].env[B]: " in message


async def test_warnings(served: Webhook) -> None:
    """Doubts that stop nobody go into `warnings`, with or without a patch, twenty at most."""
    response = await served.ask(app(A="tfy-secret://acme:payments:NEW?optional=true"))
    assert response["warnings"] == [
        "spec.containers[app].env[A]: group 'payments' lists no key 'NEW'; the reference is optional, so the variable is left unset"
    ]
    many = await served.ask(app(**{f"V{n}": f"acme/aws/nobody{n}::/x" for n in range(60)}))
    assert (many["allowed"], len(many["warnings"])) == (True, 20)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"operation": "UPDATE"}, id="update"),
        pytest.param({"operation": "DELETE", "object": None}, id="delete"),
        pytest.param({"operation": "CONNECT"}, id="connect"),
        pytest.param({"subResource": "ephemeralcontainers"}, id="ephemeral-containers"),
        pytest.param({"subResource": "binding"}, id="binding"),
        pytest.param({"resource": {"group": "apps", "version": "v1", "resource": "deployments"}}, id="deployments"),
        pytest.param(
            {"resource": {"group": "x", "version": "v1", "resource": "y"}, "object": {"spec": {"containers": "z"}}}, id="of-another-shape"
        ),
    ],
)
async def test_not_ours(served: Webhook, change: Json) -> None:
    """Only the creation of pods is; everything else is allowed as it is, whatever stands in it."""
    assert await served.ask(BAD, **change) == {"uid": UID, "allowed": True}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"object": None}, "request.object: found nothing; allowed: a v1 Pod.\nTo fix: send the pod.", id="no-pod"),
        pytest.param(
            {"object": {"spec": {"containers": "x"}}},
            "Expected `array | null`, got `str` - at `the pod.spec.containers`",
            id="text-for-a-list",
        ),
        pytest.param({"object": []}, "Expected `object | null`, got `array` - at `the pod`", id="list-for-a-pod"),
        pytest.param(
            {"object": pod(container(env=[{"name": "A", "value": 5}]))},
            "Expected `str | null`, got `int` - at `the pod.spec.containers[0].env[0].value`",
            id="number-for-a-value",
        ),
    ],
)
async def test_a_pod_that_cannot_be_read(served: Webhook, change: Json, sentence: str) -> None:
    """The API server would have refused it; here it is refused with the place, and the uid is echoed."""
    response = await served.ask(None, **change)
    assert (response["uid"], response["allowed"], response["status"]["code"]) == (UID, False, 422)
    assert response["status"]["message"].startswith("request.object: found ")
    assert sentence in response["status"]["message"]


async def test_deep_inside_the_pod(served: Webhook) -> None:
    """Nested a hundred thousand deep in a field that nobody reads: no reader can tell where the uid's object ends."""
    body = json.dumps(review(app(A=KEY))).replace('"shop/web:1"', "[" * 100_000 + "]" * 100_000).encode()
    status, answer = await served.post(body)
    assert (status, answer["message"]) == (400, "the body is not an AdmissionReview with apiVersion, kind and request.uid")


@pytest.mark.parametrize("value", [True, False, None])
async def test_dry_run(served: Webhook, value: bool | None) -> None:
    """There are no side effects, so a dry run gets the same answer."""
    assert await served.ask(app(A=KEY), dryRun=value) == await served.ask(app(A=KEY))


@pytest.mark.parametrize(
    ("namespace", "own", "allowed"),
    [
        pytest.param("shop", None, True, id="the-requests"),
        pytest.param("search", "shop", False, id="the-requests-over-the-pods"),
        pytest.param(None, "shop", True, id="the-pods-where-the-request-has-none"),
        pytest.param("", "shop", True, id="the-pods-where-the-requests-is-empty"),
        pytest.param(None, None, False, id="default-where-nobody-says"),
    ],
)
async def test_namespace(served: Webhook, namespace: str | None, own: str | None, allowed: bool) -> None:
    """Who may is decided for the namespace in which the pod will run."""
    manifest = app(A=KEY)
    manifest["metadata"] = {"generateName": "web-", "namespace": own}
    assert (await served.ask(manifest, namespace=namespace))["allowed"] is allowed


@pytest.mark.parametrize("drop", ["resource", "operation", "kind", "userInfo", "options", "dryRun", "oldObject", "namespace"])
async def test_fields_that_may_be_missing(served: Webhook, drop: str) -> None:
    """Only uid and object are needed; a request without the rest is taken for a pod's creation."""
    body = review(app(A=KEY) | {"metadata": {"namespace": "shop"}})
    del body["request"][drop]
    status, answer = await served.post(body)
    assert (status, "patch" in answer["response"]) == (200, True)


async def test_unknown_fields_of_a_review(served: Webhook) -> None:
    """A newer API server may say more."""
    body: Any = review(app(A=KEY), newField={"a": [1]})
    body["newer"] = [None]
    status, answer = await served.post(body)
    assert (status, answer["response"]["allowed"]) == (200, True)


async def test_not_ready(served: Webhook) -> None:
    """Pods with references wait until the truth is known; pods without do not notice."""
    served.ready[:] = ["catalog: not read yet", "nodes: not known yet"]
    refused = await served.ask(app(A=KEY))
    assert (refused["allowed"], refused["status"]["code"], refused["status"]["reason"]) == (False, 503, "ServiceUnavailable")
    assert refused["status"]["message"] == (
        "spec: found a reference before the webhook is ready; allowed: references once it is.\n"
        "To fix: try again in a moment (catalog: not read yet; nodes: not known yet)."
    )
    assert (await served.ask(app(A="plain")))["allowed"] is True
    assert (await served.ask(pod(container(), annotations=files(file()))))["allowed"] is False
    # A store's path is known as a reference only once its store is; so is one that only looks like it.
    assert (await served.ask(app(A="acme/aws/unread::/x")))["status"]["code"] == 503
    served.ready[:] = []
    assert (await served.ask(app(A=KEY)))["allowed"] is True


async def test_no_reproach_before_the_truth_is_known(served: Webhook) -> None:
    """That a group, a key or a role is not known yet is not its author's fault; what is wrong in any case is told beside it."""
    served.ready[:] = ["catalog: not read yet"]
    waiting = (
        "spec: found a reference before the webhook is ready; allowed: references once it is.\n"
        "To fix: try again in a moment (catalog: not read yet)."
    )
    for value in ("tfy-secret://acme:nobody:A", "tfy-secret://acme:payments:NOPE", "tfy-secret://acme:search:INDEX_KEY"):
        assert (await served.ask(app(A=value)))["status"]["message"] == waiting
    both = await served.ask(app(A="tfy-secret://acme:nobody:A", B="tfy-secret://x"))
    assert both["status"]["message"].startswith("2 problems.\n(1) spec.containers[app].env[B]: found 'tfy-secret://x'")
    assert both["status"]["message"].endswith(f"\n(2) {waiting}")
    served.ready[:] = []
    assert "unknown group" in (await served.ask(app(A="tfy-secret://acme:nobody:A")))["status"]["message"]


async def test_an_injected_pod_needs_no_readiness(served: Webhook) -> None:
    """Reinvocation of what is done already asks nothing."""
    done = applied(app(A=KEY), decide(app(A=KEY)))
    served.ready[:] = ["catalog: not read yet"]
    assert await served.ask(done) == {"uid": UID, "allowed": True}


async def test_counted(served: Webhook) -> None:
    """By outcome and reason; references by kind; how long each took."""
    for manifest in (app(A=KEY), app(A=KEY, B="acme/aws/ssm-prod::/own/shop/x"), app(A="x"), BAD, BAD, DENIED):
        await served.ask(manifest)
    await served.ask(BAD, operation="UPDATE")
    await served.ask(pod(container(env=env(A=KEY)), labels={"tfy-secret.dev/inject": "disabled"}))
    await served.ask(applied(app(A=KEY), decide(app(A=KEY))))
    await served.post(b"{")
    expected = {
        ("injected", ""): 2,
        ("skipped", "nothing_to_do"): 1,
        ("skipped", "opted_out"): 1,
        ("skipped", "already_done"): 1,
        ("skipped", "not_a_new_pod"): 1,
        ("refused", "malformed_reference"): 2,
        ("refused", "denied"): 1,
        ("broken", ""): 1,
    }
    assert {labels: served.counted("reviews_total", outcome=labels[0], reason=labels[1]) for labels in expected} == expected
    assert served.counted("reviews_total") == sum(expected.values())
    assert [served.counted("references_total", kind=kind) for kind in ("managed", "store", "file")] == [2, 1, 0]
    assert served.counted("review_seconds_count") == 8
