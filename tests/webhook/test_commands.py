"""The annotation `tfy-secret.dev/command.<container>`: its words are the author's, as those of `command` are."""

import json

import pytest

from contract import keys
from tests.webhook.pods import KEY, Json, applied, cluster, container, decide, env, injected, pod, refused, warned
from webhook.exec import LAUNCH

EXEC = cluster(mode="exec")


def said(*words: str, **fields: object) -> Json:
    """A pod whose container gets A and starts these words."""
    return pod(container(**({"env": env(A=KEY, PLAIN="p")} | fields)), annotations={keys.COMMAND_OF + "app": json.dumps(words)})


def test_variables_in_it() -> None:
    """The kubelet would put the empty value in, as in `command`; what is plain, escaped or unknown stays the kubelet's."""
    changed = injected(said("/app", "--key=$(A)", "$$(A)", "$(PLAIN)", "$(NOBODY)"), EXEC)["spec"]["containers"][0]
    assert changed["command"] == [*LAUNCH, "/app", "--key=$$(tfy-secret:A)", "$$(A)", "$(PLAIN)", "$(NOBODY)"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(("/app", f"--key={KEY}"), "allowed: no reference in a command line", id="a-reference"),
        pytest.param(("/app", "$(tfy-secret:A)"), "allowed: words without our own mark", id="our-mark"),
        pytest.param(("/app", "a\0b"), "found a word with NUL or half of a surrogate pair", id="nul"),
        pytest.param(("/app", "\ud800"), "found a word with NUL or half of a surrogate pair", id="half-a-surrogate-pair"),
    ],
)
def test_words_that_no_process_should_get(words: tuple[str, ...], message: str) -> None:
    (told,) = refused(said(*words), EXEC)
    assert told.startswith("metadata.annotations[tfy-secret.dev/command.app]: ")
    assert message in told


def test_a_whole_surrogate_pair_is_a_letter() -> None:
    """JSON writes what is beyond the first plane as two escapes."""
    changed = injected(said("/app", "\U0001f511"), EXEC)["spec"]["containers"][0]
    assert changed["command"][-1] == "\U0001f511"


def test_beside_a_command() -> None:
    """The command wins, and the author is told; only once, since after that the command is ours."""
    manifest = said("/other", command=["/app"])
    assert injected(manifest, EXEC)["spec"]["containers"][0]["command"] == [*LAUNCH, "/app"]
    told = "metadata.annotations[tfy-secret.dev/command.app]: not used, since spec.containers[app].command says what is started"
    assert warned(manifest, EXEC) == (f"{told}; remove one of the two",)
    for first in (manifest, said("/app")):
        assert warned(applied(first, decide(first, EXEC)), EXEC) == ()
