"""Every byte class that a value can have: an environment variable has it exactly, or the pod fails and says why."""

from collections.abc import Iterator

import pytest

from tests.e2e import pods
from tests.e2e.kubectl import Object, kubectl
from tests.e2e.pods import container, pod
from tests.e2e.values import CARRIED, MARKERS, REFUSED, digest_of, fqn

CANNOT_CARRY = 13  # initcontainer.exits
EMPTY = {"EMPTY": f"{fqn('JSON')}#nothing"}

PODS = {
    thing["metadata"]["name"]: thing
    for thing in (
        pod("carried", container(env={key: fqn(key) for key in CARRIED}, report=[f"env:{key}" for key in CARRIED])),
        pod("refused", container(env={key: fqn(key) for key in REFUSED} | EMPTY)),
        pod("one-refused", container(env={"GOOD": fqn("PLAIN"), "BAD": fqn("SINGLE_QUOTE")}, after="\necho the app has started\n")),
    )
}
REASONS = {key: word for key, (_, word) in REFUSED.items()} | {"EMPTY": "the value is empty"}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    pods.start(PODS)
    yield
    pods.remove(*PODS.values())


@pytest.mark.parametrize("key", CARRIED)
def test_a_variable_has_the_value_byte_for_byte(key: str) -> None:
    assert pods.report_of(PODS["carried"])[f"env:{key}"] == digest_of(key)


@pytest.mark.parametrize("key", REASONS)
def test_a_value_that_a_variable_cannot_carry_is_refused_with_the_reason(key: str) -> None:
    """All of them at once in `kubectl describe pod`, each with its container and variable."""
    end = _end_of("refused")
    line = next(line for line in end["message"].splitlines() if f"env {key}:" in line)
    assert REASONS[key] in line
    assert line.endswith("carries it")


def test_the_refusal_has_an_exit_code_of_its_own() -> None:
    assert _end_of("refused")["exitCode"] == CANNOT_CARRY


def test_an_app_does_not_start_with_one_value_missing() -> None:
    assert _end_of("one-refused")["exitCode"] == CANNOT_CARRY
    assert pods.ended(pods.when_failed(PODS["one-refused"]), "app") is None


def test_what_kubectl_describe_says_holds_no_value() -> None:
    pods.when_failed(PODS["refused"])
    described = kubectl("-n", pods.APPS, "describe", "pod", "refused").text
    assert "single quote" in described
    assert not any(marker in described for marker in MARKERS)


def _end_of(name: str) -> Object:
    end = pods.ended(pods.when_failed(PODS[name]), pods.INIT)
    assert end is not None, "the init container has not ended"
    return end
