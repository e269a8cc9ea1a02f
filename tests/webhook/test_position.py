"""Where our init container stands, and which containers may use secrets because of it."""

import pytest

from contract import keys
from tests.webhook.pods import KEY, Json, container, env, file, files, injected, pod, refused, skipped


def _pod(position: str | None, *init: Json, **app: str) -> Json:
    annotations = {} if position is None else {keys.INIT_POSITION: position}
    return pod(container(env=env(**(app or {"A": KEY}))), annotations=annotations, initContainers=list(init))


@pytest.mark.parametrize(
    ("position", "order"),
    [
        pytest.param(None, ["tfy-secret-init", "one", "two"], id="first-by-default"),
        pytest.param("first", ["tfy-secret-init", "one", "two"], id="first"),
        pytest.param("last", ["one", "two", "tfy-secret-init"], id="last"),
        pytest.param("after:one", ["one", "tfy-secret-init", "two"], id="after-one"),
        pytest.param("after:two", ["one", "two", "tfy-secret-init"], id="after-the-last"),
    ],
)
def test_position(position: str | None, order: list[str]) -> None:
    """As the annotation says; the others keep their order."""
    patched = injected(_pod(position, container("one"), container("two")))
    assert [found["name"] for found in patched["spec"]["initContainers"]] == order


def test_last_of_none() -> None:
    """Without other init containers all places are one."""
    assert len(injected(_pod("last"))["spec"]["initContainers"]) == 1


@pytest.mark.parametrize(
    ("position", "allowed", "fix"),
    [
        pytest.param("after:ones", "one", "did you mean after:one?", id="near"),
        pytest.param("after:zzz", "one", "name one of the pod's init containers.", id="far"),
        pytest.param("after:app", "one", "name one of the pod's init containers.", id="app-container"),
        pytest.param("after:tfy-secret-init", "one", "name one of the pod's init containers.", id="itself"),
    ],
)
def test_after_what_is_not_there(position: str, allowed: str, fix: str) -> None:
    """A place that does not exist is told with what does."""
    found = position.partition(":")[2]
    assert refused(_pod(position, container("one"))) == [
        f"metadata.annotations[{keys.INIT_POSITION}]: found the unknown init container '{found}'; allowed: {allowed}.\nTo fix: {fix}"
    ]


def test_after_something_where_there_is_nothing() -> None:
    """The list of what is allowed is then empty, and says so."""
    (message,) = refused(_pod("after:x"))
    assert "allowed: none." in message


@pytest.mark.parametrize("position", ["last", "after:one"])
def test_secrets_before_ours(position: str) -> None:
    """A container that starts before the files are written would wait for them for ever."""
    assert refused(_pod(position, container("one", env=env(B=KEY)))) == [
        (
            "spec.initContainers[one]: found an init container that uses secrets and starts before tfy-secret-init; "
            f"allowed: secrets in containers that start after it.\nTo fix: remove {keys.INIT_POSITION}, or place tfy-secret-init before 'one'."
        )
    ]


def test_files_before_ours() -> None:
    """Files count as secrets do."""
    manifest = pod(
        container(), annotations=files(file(containers=["one"]), **{keys.INIT_POSITION: "last"}), initContainers=[container("one")]
    )
    (message,) = refused(manifest)
    assert message.startswith("spec.initContainers[one]: found an init container that uses secrets and starts before tfy-secret-init")


def test_secrets_after_ours() -> None:
    """The ones behind may."""
    patched = injected(_pod("after:one", container("one"), container("two", env=env(B=KEY))))
    assert [found["name"] for found in patched["spec"]["initContainers"]] == ["one", "tfy-secret-init", "two"]


def test_place_does_not_matter_to_a_pod_that_wants_nothing() -> None:
    """There is nothing to place."""
    assert skipped(_pod("after:nobody", A="plain")) == "nothing_to_do"


def test_a_served_container_that_came_before_ours() -> None:
    """Another webhook moved a container with secrets to the front of a wished place: the pod could not start."""
    once = injected(_pod("after:one", container("one"), container("two", env=env(B=KEY))))
    init = once["spec"]["initContainers"]
    once["spec"]["initContainers"] = [init[2], init[0], init[1]]
    (message,) = refused(once)
    assert message.startswith("spec.initContainers[two]: found an init container that uses secrets and starts before tfy-secret-init")
