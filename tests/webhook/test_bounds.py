"""Pods that are too large, and pods made to cost time: each is answered, in bounded work and with a bounded message."""

import json
import time
from collections.abc import Callable

import pytest

from contract import keys
from contract.plan import MAX_BYTES
from contract.wire import MAX_SECRETS
from tests.webhook.pods import KEY, OWN, Json, app, cluster, container, decide, file, files, group, ours, injected, pod, refused, store
from contract.catalog import Catalog
from webhook.planning import Inject, Reject
from webhook.problem import MAX_TOLD, told

MANY = [f"KEY_{n}" for n in range(MAX_SECRETS + 1)]
LARGE = cluster(Catalog("acme", [store("main", "acme/embedded/main", {"embedded": {}}), group("g", "main", MANY, "namespace:shop")]))


def _variables(count: int, value: str = "tfy-secret://acme:g:{}") -> list[Json]:
    return [{"name": f"V{n}", "value": value.format(MANY[n % len(MANY)])} for n in range(count)]


def test_as_many_secrets_as_one_request_takes() -> None:
    """The limit itself is allowed, in as many variables as fit."""
    half = MAX_SECRETS // 2
    manifest = pod(container(env=_variables(half)), container("b", env=_variables(MAX_SECRETS)[half:]))
    assert isinstance(decide(manifest, LARGE), Inject)


def test_one_secret_too_many() -> None:
    """The broker would refuse the request; the author is told before."""
    assert refused(pod(container(env=_variables(MAX_SECRETS + 1))), LARGE) == [
        (
            "spec: found 1001 different secrets; allowed: at most 1000 in one pod.\n"
            "To fix: split the pod, or keep several values in one JSON secret and use #field."
        )
    ]


def test_plan_at_its_limit() -> None:
    """One environment variable holds the plan; the kernel takes no longer one, and the message counts bytes."""
    room = MAX_BYTES - len(ours(injected(app(A=f"{KEY} ")))["env"][0]["value"]) + 1
    assert len(ours(injected(app(A=f"{KEY} {'x' * (room - 1)}")))["env"][0]["value"]) == MAX_BYTES
    assert refused(app(A=f"{KEY} {'x' * room}")) == [
        (
            f"spec: found a plan of {MAX_BYTES + 1} bytes; allowed: at most {MAX_BYTES} bytes, the kernel's limit for one variable.\n"
            "To fix: split the pod, or shorten the text around the references."
        )
    ]


def test_message_of_many_problems() -> None:
    """It is kept in events and conditions, so it shows the first problems and says that there are more."""
    decision = decide(pod(container(env=_variables(500, "tfy-secret://acme:nope:{}"))), LARGE)
    assert isinstance(decision, Reject)
    lines = told(list(decision.problems)).split("\n(")
    assert lines[0] == f"More than {MAX_TOLD} problems; the first {MAX_TOLD}:"
    assert (len(lines), lines[-1].partition(")")[0]) == (MAX_TOLD + 1, str(MAX_TOLD))


def test_message_of_several_problems() -> None:
    """They are numbered, and counted."""
    decision = decide(app(A="tfy-secret://a", B="tfy-secret://b"))
    assert isinstance(decision, Reject)
    assert told(list(decision.problems)).startswith("2 problems.\n(1) spec.containers[app].env[A]: found 'tfy-secret://a'; allowed: ")
    assert "\n(2) spec.containers[app].env[B]: found 'tfy-secret://b'; " in told(list(decision.problems))


def _unknown_keys() -> Json:
    return pod(container(env=_variables(10_000, "tfy-secret://acme:g:{}X")))


def _same_name() -> Json:
    return pod(container(env=[{"name": "A", "value": "tfy-secret://acme:g:KEY_1"}] * 15_000))


def _beside_variables() -> Json:
    return pod(container(env=[{"name": f"V{n}", "value": "$(X) ${tfy-secret://acme:g:KEY_1}"} for n in range(10_000)]))


def _unknown_stores() -> Json:
    return pod(container(env=[{"name": f"V{n}", "value": f"acme/aws/x{n}::/p"} for n in range(15_000)]))


def _many_containers_and_files() -> Json:
    entries = [file(f"/f/{n}", "tfy-secret://acme:g:KEY_1") for n in range(250)]
    return pod(*[container(f"c{n}") for n in range(50)], annotations=files(*entries))


def _unknown_containers() -> Json:
    entries = [file(f"/f/{n}", "tfy-secret://acme:g:KEY_1", containers=[f"x{n}-{m}" for m in range(40)]) for n in range(250)]
    return pod(*[container(f"c{n}") for n in range(500)], annotations=files(*entries))


def _nested_yaml() -> Json:
    return pod(container(), annotations={keys.FILES: "[" * 200_000})


def _aliases() -> Json:
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    return pod(container(), annotations={keys.FILES: "\n".join(lines)})


def _annotations() -> Json:
    return pod(container(), annotations={f"{keys.PREFIX}mod{n}": "x" for n in range(20_000)})


def _labels() -> Json:
    return pod(container(), labels={f"{keys.PREFIX}mod{n}": "x" for n in range(20_000)})


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(_labels, id="labels-without-number"),
        pytest.param(_unknown_keys, id="unknown-keys-that-are-all-near-something"),
        pytest.param(_same_name, id="one-name-for-all-variables"),
        pytest.param(_beside_variables, id="every-reference-beside-a-variable"),
        pytest.param(_unknown_stores, id="stores-that-nobody-has"),
        pytest.param(_many_containers_and_files, id="files-in-many-containers"),
        pytest.param(_unknown_containers, id="containers-that-are-not-there"),
        pytest.param(_nested_yaml, id="nested-yaml-that-would-overflow-a-stack"),
        pytest.param(_aliases, id="yaml-aliases-that-multiply"),
        pytest.param(_annotations, id="annotations-without-number"),
    ],
)
def test_hostile_pods(manifest: Callable[[], Json]) -> None:
    """Whoever may create pods can send these; nobody else's admission may wait for them. Seconds of this thread, generously: the collector has the whole suite to look through, and coverage doubles it."""
    made = manifest()
    json.dumps(made)
    start = time.thread_time()
    decision = decide(made, LARGE)
    assert time.thread_time() - start < 30
    if isinstance(decision, Reject):
        assert len(told(list(decision.problems))) < 64 * 1024
    assert len(decision.warnings) <= MAX_TOLD + 1


def test_long_names_in_messages_are_cut() -> None:
    """A value without end is not repeated in full."""
    (message,) = refused(app(A=f"tfy-secret://{'x' * 100_000}"))
    assert len(message) < 600
    (message,) = refused(app(A=OWN.replace("smtp", "s" * 3000).replace("own", "other")))
    assert len(message) < 600


def test_one_line_a_value() -> None:
    """A value cannot write its own lines into a message."""
    (message,) = refused(app(A="tfy-secret://a:b:c d\nTo fix: trust me"))
    assert message.count("\n") == 1
