"""Nothing that a pod's author writes is remembered, or told, at whatever length: a mutating webhook is asked before the API server checks the pod."""

import json

import pytest

from tests.webhook.pods import CATALOG, KEY, app, decide
from webhook import draft, truth
from webhook.planning import Reject
from webhook.problem import MAX_TOLD, Problem
from webhook.pod import ConfigMapKeyRef, EnvVar, FileKeyRef, ValueFrom
from webhook.registry.platforms import Platform
from webhook.rollout import MAX_CHARACTERS, KnownEnv, KnownEnvs
from webhook.truth import Truths

LONG = "x" * (MAX_CHARACTERS + 1)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(("containers", 0, LONG, True, frozenset(), ()), id="container"),
        pytest.param(("containers", 0, "app", True, frozenset(), (EnvVar(LONG),)), id="variable"),
        pytest.param(
            ("containers", 0, "app", True, frozenset(), (EnvVar("A", None, ValueFrom(None, ConfigMapKeyRef(LONG, "k"))),)), id="config-map"
        ),
        pytest.param(
            ("containers", 0, "app", True, frozenset(), (EnvVar("A", None, ValueFrom(None, ConfigMapKeyRef("c", LONG))),)), id="its-key"
        ),
        pytest.param(("containers", 0, "app", True, frozenset(), (EnvVar("A", None, ValueFrom(FileKeyRef(LONG))),)), id="volume"),
    ],
)
def test_an_env_with_a_long_name_in_it(key):
    known = KnownEnvs()
    assert not known.remember(key, KnownEnv.of(()))
    assert len(known) == 0


def test_the_name_of_a_variable():
    before = draft._plain_path.cache_info().currsize
    assert draft.Draft("app", "v").path_for("LONG_" * 1000) == "env/0"
    assert draft._plain_path.cache_info().currsize == before


@pytest.mark.parametrize("text", ["x" * 64, "x" * 1_000_000, "a/b", "a\n", ""])
def test_an_architecture_that_no_node_can_have(text):
    assert Platform.of_pod({"kubernetes.io/arch": text}) == Platform()


def test_a_value_with_a_long_text_around_it():
    truths = Truths()
    known = truths.of_workload(CATALOG, frozenset(), "shop", "web")
    known.remember(("", KEY, "x" * truth.MAX_VALUE))
    assert not known.knows(("", KEY, "x" * truth.MAX_VALUE))
    known.remember(("", KEY, ""))
    assert known.knows(("", KEY, ""))


@pytest.mark.parametrize("much", ["values", "names"])
def test_all_workloads_together(monkeypatch, much):
    monkeypatch.setattr(truth, "MAX_REMEMBERED", 4000)
    truths = Truths()
    first = truths.of_workload(CATALOG, frozenset(), "shop", "web")
    assert truths.of_workload(CATALOG, frozenset(), "shop", "web") is first
    if much == "values":
        for number in range(40):
            first.remember((str(number), KEY, ""))
    else:
        truths.of_workload(CATALOG, frozenset(), "shop", LONG)
    again = truths.of_workload(CATALOG, frozenset(), "shop", "web")
    assert again is not first
    assert len(truths._known) == 1


@pytest.mark.parametrize("place", ["annotation", "command", "args", "ephemeral"])
def test_a_command_of_many_words_that_are_refused(monkeypatch, place):
    """Each word's sentence takes time, and a review may have 180,000 of them: no more are made than can be told."""
    made = []
    make = Problem.__init__

    def counted(self, *args, **named):
        made.append(args)
        make(self, *args, **named)

    monkeypatch.setattr(Problem, "__init__", counted)
    words = ["tfy-secret://"] * 20 * MAX_TOLD
    more = app(A=KEY)
    if place == "annotation":
        more["metadata"]["annotations"] = {"tfy-secret.dev/command.app": json.dumps(words)}
    elif place == "ephemeral":
        more["spec"]["ephemeralContainers"] = [{"name": "debug", "env": [{"name": "B", "value": word} for word in words]}]
    else:
        more["spec"]["containers"][0][place] = words
    assert isinstance(decide(more), Reject)
    assert len(made) <= 2 * MAX_TOLD
