"""Environment variables: what a developer writes where a value belongs, and what the process then has."""

from collections.abc import Iterator

import pytest

from tests.e2e import pods
from tests.e2e.kubectl import Object, get
from tests.e2e.pods import container, pod
from tests.e2e.values import DOCUMENT, digest, digest_of, fqn, inside, text

ORDERED = {
    "FIRST": "1",
    "WHOLE": fqn("PLAIN"),
    "INLINE": f"postgres://app:{inside('PLAIN')}@db/app",
    "TWICE": f"{inside('PLAIN')}:{inside('OTHER')}",
    "BARE": f"Bearer {fqn('OTHER')}",
    "LATER": "[$(WHOLE)]",
    "BESIDE": f"$(FIRST)-{inside('OTHER')}-$(FIRST)",
    "ESCAPED": "$$(WHOLE)",
    "FIELD": fqn("JSON") + "#password",
    "NUMBER_FIELD": fqn("JSON") + "#port",
    "VERSION": fqn("PLAIN") + "?version=1",
    "PLAIN_TEXT": "arn:aws:iam::123456789012:role/x",
}
_VALUES = {
    "FIRST": "1",
    "WHOLE": text("PLAIN"),
    "INLINE": f"postgres://app:{text('PLAIN')}@db/app",
    "TWICE": f"{text('PLAIN')}:{text('OTHER')}",
    "BARE": f"Bearer {text('OTHER')}",
    "LATER": f"[{text('PLAIN')}]",
    "BESIDE": f"1-{text('OTHER')}-1",
    "ESCAPED": "$(WHOLE)",
    "FIELD": str(DOCUMENT["password"]),
    "NUMBER_FIELD": str(DOCUMENT["port"]),
    "VERSION": text("PLAIN"),
    "PLAIN_TEXT": "arn:aws:iam::123456789012:role/x",
}
EXPECTED = {name: digest(value) for name, value in _VALUES.items()}  # here, since a failed assertion shows what it called
PODS = {
    thing["metadata"]["name"]: thing
    for thing in (
        pod("forms", container(env=ORDERED, report=[f"env:{name}" for name in ORDERED])),
        pod("in-args", container(env={"DB": fqn("PLAIN")}, report=["env:DB", "arg:ONE=$(DB)", "arg:TWO=x$(DB)y"])),
        pod("optional", container(env={"GONE": fqn("NEVER_STORED") + "?optional=true", "DB": fqn("PLAIN")}, report=["env:GONE", "env:DB"])),
        pod("unlisted", container(env={"GONE": fqn("NOT_LISTED") + "?optional=true", "DB": fqn("PLAIN")}, report=["env:GONE", "env:DB"])),
    )
}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    pods.start(PODS)
    yield
    pods.remove(*PODS.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_each_form_of_a_reference_gives_its_value(name: str) -> None:
    """Whole, inside `${...}`, two in one value, bare in text, beside and inside `$(VAR)`, a field, a version; others untouched."""
    assert pods.report_of(PODS["forms"])[f"env:{name}"] == EXPECTED[name]


def test_variables_keep_their_order_in_the_pod() -> None:
    """`$(VAR)` sees only what stands before it."""
    assert [entry["name"] for entry in _admitted("forms")["env"]] == list(ORDERED)


def test_the_stored_pod_has_names_and_no_value() -> None:
    entries = {entry["name"]: entry for entry in _admitted("forms")["env"]}
    injected = {name for name, entry in entries.items() if "fileKeyRef" in entry.get("valueFrom", {})}
    assert injected == set(ORDERED) - {"FIRST", "LATER", "ESCAPED", "PLAIN_TEXT"}


def test_a_value_reaches_the_command_line_through_args() -> None:
    report = pods.report_of(PODS["in-args"])
    assert report["arg:ONE"] == report["env:DB"] == digest_of("PLAIN")
    between = digest(f"x{text('PLAIN')}y")
    assert report["arg:TWO"] == between


@pytest.mark.parametrize("name", ["optional", "unlisted"])
def test_an_optional_secret_that_is_not_there_leaves_the_variable_unset(name: str) -> None:
    """Listed without a value, or not listed at all; the pod's other variables have theirs."""
    report = pods.report_of(PODS[name])
    assert report == {"env:GONE": "unset", "env:DB": digest_of("PLAIN")}


def _admitted(name: str) -> Object:
    first: Object = get("pod", name, pods.APPS)["spec"]["containers"][0]
    return first
