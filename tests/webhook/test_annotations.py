"""What a pod's author says under our prefix, read strictly: a misspelt name or value is told, never passed over."""

import pytest

from contract import keys
from tests.webhook.pods import KEY, Json, container, env, injected, ours, pod, refused, skipped

KNOWN = ", ".join(keys.ANNOTATIONS)
_A, _L = "metadata.annotations[{}]: ", "metadata.labels[{}]: "


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        pytest.param(
            {"tfy-secret.dev/mdoe": "envfile"},
            f"{_A.format('tfy-secret.dev/mdoe')}found the unknown name 'tfy-secret.dev/mdoe'; allowed: {KNOWN}.\n"
            "To fix: did you mean tfy-secret.dev/mode? Correct it, or remove it.",
            id="misspelt-mode",
        ),
        pytest.param(
            {"tfy-secret.dev/file": "[]"},
            f"{_A.format('tfy-secret.dev/file')}found the unknown name 'tfy-secret.dev/file'; allowed: {KNOWN}.\n"
            "To fix: did you mean tfy-secret.dev/files? Correct it, or remove it.",
            id="misspelt-files",
        ),
        pytest.param(
            {"tfy-secret.dev/initposition": "last"},
            f"{_A.format('tfy-secret.dev/initposition')}found the unknown name 'tfy-secret.dev/initposition'; allowed: {KNOWN}.\n"
            "To fix: did you mean tfy-secret.dev/init-position? Correct it, or remove it.",
            id="misspelt-position",
        ),
        pytest.param(
            {"tfy-secret.dev/inject": "disabled"},
            f"{_A.format('tfy-secret.dev/inject')}found an annotation; allowed: a label of this name.\nTo fix: move it to metadata.labels.",
            id="annotation-for-a-label",
        ),
        pytest.param(
            {keys.MODE: "envfiles"},
            None,
            id="unknown-mode",
        ),
        pytest.param({keys.MODE: ""}, None, id="empty-mode"),
        pytest.param({keys.MODE: None}, None, id="null-mode"),
        pytest.param({keys.MODE: "Envfile"}, None, id="mode-in-capitals"),
        pytest.param(
            {keys.INIT_POSITION: "frist"},
            f"{_A.format(keys.INIT_POSITION)}found 'frist'; allowed: first, last or after:<init container>.\n"
            "To fix: correct the position, or remove the annotation for first.",
            id="unknown-position",
        ),
        pytest.param(
            {keys.INIT_POSITION: "after:"},
            f"{_A.format(keys.INIT_POSITION)}found 'after:'; allowed: first, last or after:<init container>.\n"
            "To fix: correct the position, or remove the annotation for first.",
            id="after-nothing",
        ),
        pytest.param(
            {keys.INIT_POSITION: "before:x"},
            f"{_A.format(keys.INIT_POSITION)}found 'before:x'; allowed: first, last or after:<init container>.\n"
            "To fix: correct the position, or remove the annotation for first.",
            id="before-is-not-a-word",
        ),
    ],
)
def test_bad_annotation(annotations: Json, message: str | None) -> None:
    """The pod is refused with the annotation's name, also when it holds no reference at all."""
    for manifest in (pod(container(env=env(A=KEY)), annotations=annotations), pod(container(), annotations=annotations)):
        (found,) = refused(manifest)
        if message is None:
            place, value = f"metadata.annotations[{keys.MODE}]", annotations[keys.MODE] or ""
            assert found.startswith(f"{place}: found '{value}'; allowed: auto, envfile")
            assert found.endswith("To fix: correct the mode, or remove the annotation for auto.")
        else:
            assert found == message


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param(
            {keys.INJECT_LABEL: "false"},
            f"{_L.format(keys.INJECT_LABEL)}found 'false'; allowed: disabled, or enabled, which is what the namespace says.\n"
            "To fix: correct the label, or remove it.",
            id="false-is-not-disabled",
        ),
        pytest.param(
            {keys.INJECT_LABEL: "Disabled"},
            f"{_L.format(keys.INJECT_LABEL)}found 'Disabled'; allowed: disabled, or enabled, which is what the namespace says.\n"
            "To fix: correct the label, or remove it.",
            id="capital",
        ),
        pytest.param(
            {"tfy-secret.dev/injct": "disabled"},
            f"{_L.format('tfy-secret.dev/injct')}found the unknown name 'tfy-secret.dev/injct'; allowed: tfy-secret.dev/inject.\n"
            "To fix: did you mean tfy-secret.dev/inject? Correct it, or remove it.",
            id="misspelt",
        ),
        pytest.param(
            {"tfy-secret.dev/zzzzzzzzzzzzzzzzzzzzzz": "envfile"},
            f"{_L.format('tfy-secret.dev/zzzzzzzzzzzzzzzzzzzzzz')}found the unknown name 'tfy-secret.dev/zzzzzzzzzzzzzzzzzzzzzz'; "
            "allowed: tfy-secret.dev/inject.\nTo fix: did you mean tfy-secret.dev/inject? Correct it, or remove it.",
            id="nothing-like-it",
        ),
    ],
)
def test_bad_label(labels: Json, message: str) -> None:
    """A label that is meant to turn injection off and does not would be noticed too late."""
    assert refused(pod(container(env=env(A=KEY)), labels=labels)) == [message]


@pytest.mark.parametrize(
    ("annotations", "labels"),
    [
        pytest.param({keys.MODE: "auto"}, {}, id="auto"),
        pytest.param({keys.MODE: "envfile"}, {}, id="envfile"),
        pytest.param({keys.INIT_POSITION: "first"}, {}, id="first"),
        pytest.param({}, {keys.INJECT_LABEL: "enabled"}, id="enabled-as-the-namespace-says"),
        pytest.param({"other.example/mode": "x"}, {"app": "web"}, id="other-prefixes"),
        pytest.param({"tfy-secret.dev.example/x": "y"}, {"tfy-secret.devx/y": "z"}, id="a-prefix-that-only-begins-like-ours"),
    ],
)
def test_good(annotations: Json, labels: Json) -> None:
    """What is spelled right is taken; what is not ours is left."""
    assert ours(injected(pod(container(env=env(A=KEY)), annotations=annotations, labels=labels)))


def test_opt_out_is_a_label() -> None:
    """Only the label turns it off, as the webhook's objectSelector can see it."""
    assert skipped(pod(container(env=env(A=KEY)), labels={keys.INJECT_LABEL: "disabled"})) == "opted_out"
