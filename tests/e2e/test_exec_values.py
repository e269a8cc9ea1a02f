"""Every byte class that a value can have, in mode exec: any value but NUL arrives exactly, those too that envfile refuses."""

from collections.abc import Iterator

import pytest

from tests.e2e import launched, pods
from tests.e2e.kubectl import Object
from tests.e2e.launched import executed
from tests.e2e.pods import container, pod
from tests.e2e.test_byte_classes import CANNOT_CARRY
from tests.e2e.values import CARRIED, LONGEST, REFUSED, VALUES, digest, digest_of, fqn

CLASSES = [*CARRIED, *(key for key in REFUSED if key != "NUL"), "LONGEST"]
LIMITS = {"NUL": "holds a NUL byte", "TOO_LONG": "longer than 128 KiB with its name"}
EMPTY = f"{fqn('JSON')}#nothing"

PODS = {
    thing["metadata"]["name"]: thing
    for thing in (
        executed(
            pod(
                "x-classes",
                container(env={key: fqn(key) for key in CLASSES} | {"EMPTY": EMPTY}, report=[f"env:{key}" for key in (*CLASSES, "EMPTY")]),
            )
        ),
        executed(
            pod("x-limits", container(env={key: fqn(key) for key in LIMITS} | {"DB": fqn("PLAIN")}, after="\necho the app has started\n"))
        ),
    )
}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    launched.start(PODS)
    yield
    pods.remove(*PODS.values())


@pytest.mark.parametrize("key", CLASSES)
def test_a_variable_has_the_value_byte_for_byte(key: str) -> None:
    assert pods.report_of(PODS["x-classes"])[f"env:{key}"] == digest_of(key)


def test_an_empty_value_is_a_variable_that_is_set_and_empty() -> None:
    assert pods.report_of(PODS["x-classes"])["env:EMPTY"] == digest(b"")


def test_the_longest_of_them_is_as_long_as_linux_passes_on() -> None:
    """`LONGEST=...` and its NUL are 128 KiB."""
    assert len("LONGEST=") + LONGEST + 1 == 128 * 1024
    assert len(VALUES["LONGEST"]) == LONGEST


@pytest.mark.parametrize("key", LIMITS)
def test_a_value_that_no_variable_can_hold_is_refused_with_the_reason(key: str) -> None:
    """Both in one message, each with its container and variable, and with the way out."""
    end = _end_of("x-limits")
    line = next(line for line in end["message"].splitlines() if f"container app, env {key}:" in line)
    assert LIMITS[key] in line
    assert line.endswith("a file carries it")


def test_the_app_of_such_a_value_has_not_started() -> None:
    assert _end_of("x-limits")["exitCode"] == CANNOT_CARRY
    assert pods.ended(pods.when_failed(PODS["x-limits"]), "app") is None


def _end_of(name: str) -> Object:
    end = pods.ended(pods.when_failed(PODS[name]), pods.INIT)
    assert end is not None, "the init container has not ended"
    return end
