"""What is remembered of a pod changes no answer: siblings get the same, everybody else their own."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from contract.catalog import Catalog
from tests.webhook.pods import (
    API,
    BROKER,
    CATALOG,
    CLUSTER,
    INIT,
    KEY,
    MANIFESTS,
    OWN,
    STRIPE,
    Json,
    app,
    applied,
    cluster,
    container,
    decide,
    env,
    file,
    files,
    plan_of,
)
from tests.webhook.shapes import pods
from webhook import scan
from webhook.assembly import Surroundings
from webhook.planning import Inject, Reject, Skip
from webhook.reference import EnvReference
from webhook.rollout import MAX_CHARACTERS, MAX_KNOWN, KnownEnv, KnownEnvs


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> KnownEnvs:
    known = KnownEnvs()
    monkeypatch.setattr(scan, "_KNOWN", known)
    return known


def pod(*env: tuple[str, str], name: str = "app", **more: object) -> Json:
    return {"spec": {"containers": [{"name": name, "env": [{"name": n, "value": v} for n, v in env], **more}]}}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(pods(careful=True), pods(careful=True))
def test_any_pod_gets_the_answer_that_it_would_get_from_a_webhook_that_knows_nothing(one: Json, two: Json) -> None:
    for pod in (one, two, copy.deepcopy(one)):
        warm = decide(pod)
        scan._KNOWN = KnownEnvs()
        assert decide(pod) == warm


def test_a_sibling_gets_the_same_and_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = decide(pod(("A", KEY), ("PLAIN", "x::y"), ("B", f"a ${{{STRIPE}}} b")))
    monkeypatch.setattr(scan, "_read", lambda *_: pytest.fail("read again"))
    assert decide(pod(("A", KEY), ("PLAIN", "x::y"), ("B", f"a ${{{STRIPE}}} b"))) == first
    assert isinstance(first, Inject)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(pod(("A", STRIPE)), id="another-value"),
        pytest.param(pod(("B", KEY)), id="another-name"),
        pytest.param(pod(("X", "1"), ("A", KEY)), id="another-position"),
        pytest.param(pod(("A", KEY), name="web"), id="another-container"),
        pytest.param({"spec": {"containers": [{"name": "first"}, pod(("A", KEY))["spec"]["containers"][0]]}}, id="another-index"),
        pytest.param({"spec": {"initContainers": pod(("A", KEY))["spec"]["containers"]}}, id="an-init-container"),
    ],
)
def test_what_differs_is_read_for_itself(other: Json) -> None:
    decide(pod(("A", KEY)))
    warm = decide(other)
    scan._KNOWN = KnownEnvs()
    assert warm == decide(other)
    assert warm != decide(pod(("A", KEY)))


def test_a_patch_that_someone_changes_is_nobody_elses() -> None:
    first = decide(pod(("A", KEY)))
    assert isinstance(first, Inject)
    before = json.dumps(first.patch)
    list(first.patch).clear()
    again = decide(pod(("A", KEY)))
    assert isinstance(again, Inject)
    assert json.dumps(again.patch) == before


def test_a_refused_env_is_refused_again() -> None:
    assert decide(pod(("A", "tfy-secret://acme:payments"))) == decide(pod(("A", "tfy-secret://acme:payments")))
    assert isinstance(decide(pod(("A", "tfy-secret://acme:payments"))), Reject)


def test_a_role_that_is_taken_away_acts_on_the_next_pod() -> None:
    catalog = Catalog("acme", MANIFESTS)
    now = cluster(catalog=catalog)
    assert isinstance(decide(pod(("A", KEY)), now), Inject)
    catalog.put(API | {"kind": "SecretGroup", "metadata": {"name": "payments"}, "spec": {"store": "main", "keys": ["DB_PASSWORD"]}})
    assert isinstance(decide(pod(("A", KEY)), now), Reject)
    for manifest in MANIFESTS:
        catalog.put(manifest)
    assert isinstance(decide(pod(("A", KEY)), now), Inject)
    catalog.remove("SecretGroup", "payments")
    assert isinstance(decide(pod(("A", KEY)), now), Reject)


def test_a_store_that_is_new_makes_its_paths_references() -> None:
    """Before that the value is plain text, and a warning says so."""
    catalog = Catalog("acme", [manifest for manifest in MANIFESTS if manifest["metadata"]["name"] != "ssm-prod"])
    now = cluster(catalog=catalog)
    assert isinstance(decide(pod(("A", OWN)), now), Skip)
    for manifest in MANIFESTS:
        catalog.put(manifest)
    assert isinstance(decide(pod(("A", OWN)), now), Inject)


def test_one_workloads_truth_is_not_anothers() -> None:
    now = cluster()
    assert isinstance(decide(pod(("A", KEY)), now, namespace="shop"), Inject)
    assert isinstance(decide(pod(("A", KEY)), now, namespace="search"), Reject)
    assert isinstance(decide(pod(("A", KEY)), now, namespace="shop"), Inject)


def test_memory_is_bounded(nothing_known: KnownEnvs) -> None:
    for number in range(MAX_KNOWN + 10):
        decide(pod((f"A{number}", KEY)))
    assert len(nothing_known) == MAX_KNOWN
    assert isinstance(decide(pod(("BIG", "x" * MAX_CHARACTERS), ("A", KEY))), Inject)
    assert len(nothing_known) == MAX_KNOWN
    assert all(isinstance(entry, EnvReference) for known in nothing_known for entry in known.references)


def test_a_known_env_counts_its_secrets() -> None:
    decided = decide(pod(("A", f"{KEY} and {STRIPE}"), ("B", OWN)))
    assert isinstance(decided, Inject)
    assert decided.references == {"managed": 2, "store": 1}
    assert decide(pod(("A", f"{KEY} and {STRIPE}"), ("B", OWN))) == decided
    assert KnownEnv.of(()).number == 0
    assert CLUSTER.catalog is CATALOG


def test_a_plan_is_remembered_for_its_broker_ca_and_container_alone() -> None:
    """A new CA is in the very next plan; a file, or a second container, makes another plan."""
    one = app(A=KEY)
    first = plan_of(applied(one, decide(one)))
    for around in (Surroundings(BROKER, "NEW CA", INIT), Surroundings("https://other.example", "CA", INIT)):
        plan = plan_of(applied(one, decide(one, replace(CLUSTER, around=around))))
        assert (plan.broker, plan.ca, plan.containers) == (around.broker_url, around.broker_ca, first.containers)
    with_file = {**one, "metadata": {**one["metadata"], "annotations": files(file())}}
    assert len(plan_of(applied(with_file, decide(with_file))).containers[0].files) == 1
    assert plan_of(applied(one, decide(one))) == first
    two = {**one, "spec": {**one["spec"], "containers": [*one["spec"]["containers"], container("other", env=env(B=STRIPE))]}}
    assert [c.name for c in plan_of(applied(two, decide(two))).containers] == ["app", "other"]
    exec_mode = decide(one, cluster(mode="exec"))
    assert "exec" in json.dumps(exec_mode.patch if isinstance(exec_mode, Inject) else [str(p) for p in exec_mode.problems])
    assert plan_of(applied(one, decide(one))) == first
