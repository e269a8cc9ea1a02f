"""What holds for every pod: an answer and never an exception, idempotence, and nothing touched but what is ours."""

import json
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from contract import keys
from contract.references import find_references
from tests.webhook.pods import CATALOG, CLUSTER, Json, applied, cluster, decide, ours, plan_of
from tests.webhook.shapes import ANYTHING, pods
from webhook.admission import Admission
from webhook.errors import BrokenReview
from webhook.metrics import Metrics
from webhook.planning import Inject, Reject, Skip

EXEC = cluster(mode="exec")
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _containers(pod: Json) -> list[Json]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def _without_ours(pod: Json, before: Json) -> Json:
    """The patched pod with all that we added taken out again, and the entries that we replaced put back."""
    pod = json.loads(json.dumps(pod))
    plan = plan_of(pod)
    volumes = {keys.TOKEN_VOLUME, *(container.volume for container in plan.containers)}
    volumes |= {template.source for container in plan.containers for template in container.templates}
    spec, original = pod["spec"], before["spec"]
    spec["volumes"] = [volume for volume in spec["volumes"] if volume.get("name") not in volumes]
    spec["initContainers"] = [container for container in spec["initContainers"] if container["name"] != keys.INIT_CONTAINER]
    for container, was in zip(_containers(pod), _containers(before), strict=True):
        if container.get("volumeMounts"):
            container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] not in volumes]
            _as_before(container, was, "volumeMounts")
        for index, entry in enumerate(container.get("env") or []):
            if ((entry.get("valueFrom") or {}).get("fileKeyRef") or {}).get("volumeName") in volumes:
                container["env"][index] = was["env"][index]
    for field in ("volumes", "initContainers"):
        _as_before(spec, original, field)
    return pod


def _as_before(holder: Json, was: Json, field: str) -> None:
    """An array that was missing or null is empty now."""
    if not holder[field] and not was.get(field):
        del holder[field]
        if field in was:
            holder[field] = was[field]


def _check_injected(before: Json, decision: Inject) -> None:
    after = applied(before, decision)
    again = decide(after)
    assert isinstance(again, Skip), again
    assert _without_ours(after, before) == before
    changed = {container.name for container in plan_of(after).containers}
    for container, was in zip([c for c in _containers(after) if c["name"] != keys.INIT_CONTAINER], _containers(before), strict=True):
        assert container == was or container["name"] in changed
        assert [entry.get("name") for entry in container.get("env") or []] == [entry.get("name") for entry in was.get("env") or []]
        for entry in container.get("env") or []:
            if entry.get("valueFrom") is None and entry.get("value"):
                assert "tfy-secret://" not in entry["value"]
                assert find_references(entry["value"], CATALOG.store_fqns) is None
    assert not any("tfy-secret://" in entry["value"] for entry in ours(after)["env"])


@SLOW
@given(pods(careful=True))
def test_careful_pods(pod: Json) -> None:
    """Most are injected; then the second call does nothing, and taking ours out again gives the pod that came."""
    decision = decide(pod)
    event(type(decision).__name__)
    if isinstance(decision, Inject):
        _check_injected(pod, decision)
    elif isinstance(decision, Reject):
        # What a careful author cannot know: `$(A)` of a variable from valueFrom, a file inside a read-only mount.
        assert {problem.reason.value for problem in decision.problems} <= {"expansion_unknown", "mount_impossible", "bad_annotation"}


@SLOW
@given(pods(careful=False))
def test_any_pod(pod: Json) -> None:
    """Skip, refuse or inject; never an exception. What is injected fulfils the same promises."""
    decision = decide(pod)
    event(type(decision).__name__)
    assert isinstance(decision, Skip | Reject | Inject)
    if isinstance(decision, Inject):
        _check_injected(pod, decision)
    if isinstance(decision, Reject):
        assert all(problem.place and problem.found and problem.allowed and problem.fix for problem in decision.problems)


@SLOW
@given(pods(careful=True) | pods(careful=False))
def test_any_pod_in_mode_exec(pod: Json) -> None:
    """With the launcher too: an answer, final after one call, and containers that want nothing are as they were."""
    decision = decide(pod, EXEC)
    event(type(decision).__name__)
    assert isinstance(decision, Skip | Reject | Inject)
    if isinstance(decision, Inject):
        after = applied(pod, decision)
        assert isinstance(decide(after, EXEC), Skip)
        changed = {container.name for container in plan_of(after).containers}
        for container, was in zip([c for c in _containers(after) if c["name"] != keys.INIT_CONTAINER], _containers(pod), strict=True):
            assert container == was or container["name"] in changed


_FIELDS = st.sampled_from(
    ["spec", "metadata", "containers", "initContainers", "env", "value", "name", "volumes", "annotations", "labels", "valueFrom"]
)
_TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["tfy-secret://a:b:c", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=80, deadline=None)
@given(_TREES | st.fixed_dictionaries({"spec": _TREES}) | st.fixed_dictionaries({"spec": st.fixed_dictionaries({"containers": _TREES})}))
def test_any_object(found: Any) -> None:
    """Whatever JSON stands where the pod should be, the API server gets an answer with its uid."""
    admission = Admission(lambda: CLUSTER, list, Metrics(lambda: None))
    request = {"uid": "u-1", "object": found, "operation": "CREATE"}
    answer = json.loads(_answered(admission, {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}))
    assert answer["response"]["uid"] == "u-1"
    assert isinstance(answer["response"]["allowed"], bool)


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=60)
    | ANYTHING.map(lambda found: json.dumps(found).encode())
    | st.text(max_size=40).map(lambda t: t.encode("utf-8", "surrogatepass"))
)
def test_any_body(body: bytes) -> None:
    """What is no review at all is BrokenReview, a 4xx, and nothing else."""
    admission = Admission(lambda: CLUSTER, list, Metrics(lambda: None))
    try:
        _run(admission.review(body))
    except BrokenReview as error:
        assert 400 <= error.status < 500
    else:
        raise AssertionError("answered")


def _answered(admission: Admission, review: Json) -> bytes:
    return _run(admission.review(json.dumps(review).encode()))


def _run(review: Coroutine[Any, Any, bytes]) -> bytes:
    """Nothing is waited for where no image is looked up, so there is no need of a loop."""
    try:
        review.send(None)
    except StopIteration as done:
        return done.value
    finally:
        review.close()
    raise AssertionError("waited")
