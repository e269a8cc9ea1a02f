"""Environment variables in mode exec: the same forms as in mode envfile, and the same rules of `$(VAR)`, by the launcher."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e import launched, pods
from tests.e2e.kubectl import Object, dry_run, get
from tests.e2e.launched import LAUNCHER, VARIABLES, executed
from tests.e2e.pods import APPS, container, pod
from tests.e2e.test_variables import EXPECTED, ORDERED
from tests.e2e.values import digest, digest_of, fqn, inside, text

EXPANDED = {
    "DB": fqn("PLAIN"),
    "TEMPLATE": fqn("PARENTHESES"),  # a value that looks like a reference to a variable: secrets are no templates
    "CHAIN": "<$(DB)>",
    "CHAINED": "{$(CHAIN)}",
    "PARTLY": f"$(DB)+{inside('OTHER')}+$$(DB)+$(NOWHERE)",
}
_VALUES = {
    "DB": text("PLAIN"),
    "TEMPLATE": text("PARENTHESES"),
    "CHAIN": f"<{text('PLAIN')}>",
    "CHAINED": f"{{<{text('PLAIN')}>}}",
    "PARTLY": f"{text('PLAIN')}+{text('OTHER')}+$(DB)+$(NOWHERE)",
}
# A word of `args`, and what the app has of it.
_ARGS = {
    "ONE": ("$(DB)", text("PLAIN")),
    "TWO": ("x$(DB)y$(CHAIN)", f"x{text('PLAIN')}y<{text('PLAIN')}>"),
    "ESCAPED": ("$$(DB)", "$(DB)"),
    "UNKNOWN": ("$(NOWHERE)", "$(NOWHERE)"),
    "ONE_PASS": ("$(TEMPLATE)", text("PARENTHESES")),
    "PLAIN_ONE": ("$(WHERE)", "here"),
}
ARGS = {name: digest(value) for name, (_, value) in _ARGS.items()}
CHAINS = {name: digest(value) for name, value in _VALUES.items()}
WORDS = [*(f"env:{name}" for name in EXPANDED), *(f"arg:{name}={word}" for name, (word, _) in _ARGS.items())]


def with_args(name: str) -> Object:
    """The script in `command`, its words in `args`."""
    made = container(env={"WHERE": "here"} | EXPANDED)
    return executed(pod(name, made | {"args": WORDS}))


PODS = {
    thing["metadata"]["name"]: thing
    for thing in (
        executed(pod("x-forms", container(env=ORDERED, report=[f"env:{name}" for name in ORDERED]))),
        with_args("x-args"),
        executed(
            pod(
                "x-optional",
                container(env={"GONE": fqn("NEVER_STORED") + "?optional=true", "DB": fqn("PLAIN")}, report=["env:GONE", "env:DB"]),
            )
        ),
    )
}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    launched.start(PODS)
    yield
    pods.remove(*PODS.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_each_form_of_a_reference_gives_its_value(name: str) -> None:
    """Whole, inside `${...}`, two in one value, bare in text, beside and inside `$(VAR)`, a field, a version; others untouched."""
    assert pods.report_of(PODS["x-forms"])[f"env:{name}"] == EXPECTED[name]


@pytest.mark.parametrize("name", CHAINS)
def test_a_variable_that_names_a_reference_has_its_value(name: str) -> None:
    """Through several, beside a reference; `$$(X)` and unknown names by the kubelet's rules; a value itself is never expanded."""
    assert pods.report_of(PODS["x-args"])[f"env:{name}"] == CHAINS[name]


@pytest.mark.parametrize("name", ARGS)
def test_a_word_of_args_that_names_a_reference_has_its_value(name: str) -> None:
    assert pods.report_of(PODS["x-args"])[f"arg:{name}"] == ARGS[name]


def test_an_optional_secret_that_is_not_there_leaves_the_variable_unset() -> None:
    assert pods.report_of(PODS["x-optional"]) == {"env:GONE": "unset", "env:DB": digest_of("PLAIN")}


def test_the_stored_pod_starts_the_launcher_and_has_names_and_no_value() -> None:
    """Every entry in its place; those of a reference are empty, and the author's command stands behind the launcher."""
    stored = get("pod", "x-forms", APPS)["spec"]["containers"][0]
    assert [entry["name"] for entry in stored["env"]] == list(ORDERED)
    assert not [entry for entry in stored["env"] if "valueFrom" in entry]
    emptied = {entry["name"] for entry in stored["env"] if not entry.get("value")}
    assert emptied == set(ORDERED) - {"FIRST", "ESCAPED", "PLAIN_TEXT"}
    assert stored["command"][:4] == [LAUNCHER, VARIABLES, "sh", "-c"]


def test_an_injected_pod_given_again_stays_as_it_is() -> None:
    """mutate(mutate(p)) = mutate(p) through the real API server: command, probes and hooks are wrapped once."""
    check = {"exec": {"command": ["sh", "-c", "test $(DB)"]}}
    whole = container(env=EXPANDED, report=["arg:ONE=$(DB)"], livenessProbe=check, lifecycle={"preStop": check})
    first = json.loads(dry_run(executed(pod("x-again", whole)), namespace=APPS).out)
    for field in ("uid", "creationTimestamp", "managedFields", "resourceVersion"):
        first["metadata"].pop(field, None)
    second = json.loads(dry_run(first, namespace=APPS).out)
    assert second["spec"] == first["spec"]
    stored = first["spec"]["containers"][0]
    assert stored["livenessProbe"]["exec"]["command"][0] == stored["lifecycle"]["preStop"]["exec"]["command"][0] == LAUNCHER


def test_a_variable_with_a_reference_and_another_value_is_refused() -> None:
    """The kubelet would take the later one, the launcher the reference: the author decides."""
    whole = container(env={"DB": fqn("PLAIN")})
    whole["env"].append({"name": "DB", "value": "later"})
    refused = dry_run(executed(pod("x-twice", whole)), namespace=APPS)
    assert refused.code != 0
    assert "remove one of the two" in refused.err
