"""The decision about a pod: skip, refuse or inject, and what each says."""

import pytest

from contract import keys
from tests.webhook.pods import (
    CLUSTER, KEY, OWN, STRIPE, Json, app, container, decide, env, file, files, injected, key_ref, pod, refused, skipped,
)  # fmt: skip
from webhook.planning import Inject, Reject, Skip


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        pytest.param(pod(container()), "nothing_to_do", id="no-env"),
        pytest.param(app(A="plain", B="std::vector", C="2001:db8::1"), "nothing_to_do", id="no-reference"),
        pytest.param({}, "nothing_to_do", id="empty-object"),
        pytest.param({"metadata": None, "spec": None}, "nothing_to_do", id="nulls"),
        pytest.param(pod(), "nothing_to_do", id="no-containers"),
        pytest.param(pod(container(env=env(A=KEY)), labels={keys.INJECT_LABEL: "disabled"}), "opted_out", id="opted-out"),
        pytest.param(
            pod(container(env=env(A="tfy-secret://bad")), labels={keys.INJECT_LABEL: "disabled"}, annotations={keys.PREFIX + "x": "y"}),
            "opted_out",
            id="opted-out-whatever-is-wrong",
        ),
        pytest.param(pod(container(env=env(A={"secretKeyRef": {"name": "s", "key": "k"}}))), "nothing_to_do", id="only-valueFrom"),
        pytest.param(pod(container(), annotations={"tfy-secret.dev/files": "[]"}), "nothing_to_do", id="no-files"),
    ],
)
def test_left_alone(manifest: Json, reason: str) -> None:
    """A pod that wants nothing, or says so, is not touched."""
    assert skipped(manifest) == reason


def test_all_problems_at_once() -> None:
    """The author sees everything in one go, in the pod's order, and what is good does not hide what is bad."""
    manifest = pod(
        container(env=env(GOOD=KEY, A="tfy-secret://acme", B="tfy-secret://acme:nope:X"), args=[KEY]),
        annotations={"tfy-secret.dev/mod": "envfile"},
    )
    places = [message.partition(":")[0] for message in refused(manifest)]
    assert places == [
        "metadata.annotations[tfy-secret.dev/mod]",
        "spec.containers[app].env[A]",
        "spec.containers[app].args",
        "spec.containers[app].env[B]",
    ]


def test_references_are_counted_by_kind() -> None:
    """For the metrics: managed, store and file."""
    manifest = pod(container(env=env(A=KEY, B=f"${{{KEY}}}-${{{OWN}}}", C="plain")), annotations=files(file()))
    decision = decide(manifest)
    assert isinstance(decision, Inject)
    assert decision.references == {"managed": 2, "store": 1, "file": 1}


def test_each_outcome_is_a_type_of_its_own() -> None:
    """Nothing is decided on truthiness."""
    assert [type(decide(app(A=value))) for value in ("x", "tfy-secret://x", KEY)] == [Skip, Reject, Inject]


@pytest.mark.parametrize(
    ("namespace", "outcome"),
    [
        pytest.param("shop", Inject, id="the-requests-namespace"),
        pytest.param("search", Reject, id="another-than-the-pods-own"),
    ],
)
def test_namespace_is_the_requests(namespace: str, outcome: type) -> None:
    """A pod's own namespace may be missing, or a claim; the request's is where it will run."""
    manifest = app(A=KEY)
    manifest["metadata"]["namespace"] = "shop"
    assert type(decide(manifest, CLUSTER, namespace)) is outcome
    del manifest["metadata"]["namespace"]
    assert type(decide(manifest, CLUSTER, namespace)) is outcome


def test_generate_name() -> None:
    """A pod of a ReplicaSet has no name yet; nothing in the plan needs it."""
    manifest = app(A=KEY)
    manifest["metadata"] = {"generateName": "web-"}
    assert injected(manifest)["metadata"] == {"generateName": "web-"}


def test_applied_twice_changes_nothing() -> None:
    """mutate(mutate(p)) = mutate(p)."""
    once = injected(pod(container(env=env(A=KEY, B=f"x ${{{STRIPE}}}")), annotations=files(file())))
    assert skipped(once) == "already_done"


def test_the_designs_example_word_for_word() -> None:
    """The message that the style guide shows."""
    assert refused(app(DB_URL="tfy-secret://acme:payments")) == [
        (
            "spec.containers[app].env[DB_URL]: found 'tfy-secret://acme:payments'; allowed: tfy-secret://<tenant>:<group>:<key>, exactly three parts.\n"
            "To fix: add the key's name, e.g. tfy-secret://acme:payments:DB_PASSWORD."
        )
    ]


def test_the_whole_of_a_small_injection() -> None:
    """What is added, and nothing else: one init container, a token volume, a tmpfs volume, and the entry itself."""
    before = pod(container(env=env(A=KEY)))
    after = injected(before)
    assert after["spec"]["containers"] == [container(env=[key_ref("A")])]
    assert after["spec"]["volumes"] == [
        {
            "name": "tfy-secret-token",
            "projected": {"sources": [{"serviceAccountToken": {"audience": "tfy-secret.dev", "expirationSeconds": 600, "path": "token"}}]},
        },
        {"name": "tfy-secrets-app", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
    ]
    assert set(after["spec"]) - set(before["spec"]) == {"volumes", "initContainers"}
    assert after["metadata"] == before["metadata"]
