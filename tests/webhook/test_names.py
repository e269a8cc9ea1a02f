"""Names that we use and the author's own: collisions are refused with a way out, and long names do not collide."""

import pytest

from contract import keys
from tests.webhook.pods import KEY, Json, app, container, decide, env, injected, pod, refused, skipped
from webhook.injected import LABEL_LENGTH, volume_name
from webhook.planning import Reject

_VOLUME = "spec.volumes[{0}]: found a volume named '{0}' that is not ours; allowed: any other name.\nTo fix: rename the volume."
_CONTAINER = "{0}[tfy-secret-init]: found a container named 'tfy-secret-init' that is not ours; allowed: any other name.\nTo fix: rename the container."


@pytest.mark.parametrize("name", ["tfy-secret-token", "tfy-secrets-app"])
def test_volume_of_our_name(name: str) -> None:
    """Somebody else's volume could hold anything; ours must be a tmpfs of its own."""
    assert refused(pod(container(env=env(A=KEY)), volumes=[{"name": name, "emptyDir": {}}])) == [_VOLUME.format(name)]


def test_volume_of_our_name_in_a_pod_that_wants_nothing() -> None:
    """It is nobody's business then."""
    assert skipped(pod(container(), volumes=[{"name": "tfy-secret-token", "emptyDir": {}}])) == "nothing_to_do"


def test_volumes_that_only_look_like_ours() -> None:
    """A prefix alone is not a collision."""
    volumes = [{"name": name, "emptyDir": {}} for name in ("tfy-secrets-other", "tfy-secrets", "tfy-secret-init", "tfy-secret-tokens")]
    assert injected(pod(container(env=env(A=KEY)), volumes=volumes))["spec"]["volumes"][:4] == volumes


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        pytest.param(pod(container(keys.INIT_CONTAINER), container(env=env(A=KEY))), "spec.containers", id="app-container"),
        pytest.param(
            pod(container(env=env(A=KEY)), initContainers=[container(keys.INIT_CONTAINER)]), "spec.initContainers", id="init-container"
        ),
        pytest.param(
            pod(container(env=env(A=KEY)), ephemeralContainers=[container(keys.INIT_CONTAINER)]),
            "spec.ephemeralContainers",
            id="ephemeral-container",
        ),
        pytest.param(
            pod(container(), initContainers=[container(keys.INIT_CONTAINER, env=env(A=KEY))]), "spec.initContainers", id="with-references"
        ),
        pytest.param(
            pod(container(), initContainers=[container(keys.INIT_CONTAINER, env=env(TFY_SECRET_PLAN="{}"))]),
            "spec.initContainers",
            id="with-something-else-for-a-plan",
        ),
        pytest.param(pod(container(keys.INIT_CONTAINER)), "spec.containers", id="in-a-pod-that-wants-nothing"),
    ],
)
def test_container_of_our_name(manifest: Json, place: str) -> None:
    """A container that is not ours must not pass for the one that delivers."""
    assert refused(manifest) == [_CONTAINER.format(place)]


def test_two_of_ours() -> None:
    """Which of them counts is nobody's guess to make."""
    once = injected(app(A=KEY))
    once["spec"]["initContainers"] *= 2
    assert refused(once) == [_CONTAINER.format("spec.initContainers")]


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        pytest.param(
            [container(env=env(A=KEY)), container(env=env(B=KEY))],
            "spec.containers[app]: found a second container 'app'; allowed: a name of its own for each container.\nTo fix: name the container.",
            id="twice",
        ),
        pytest.param(
            [container(), container(env=env(B=KEY))],
            (
                "spec.containers[app]: found a second container 'app'; allowed: a name of its own for each container.\n"
                "To fix: name the container."
            ),
            id="one-of-them-wants-nothing",
        ),
        pytest.param(
            [container("", env=env(A=KEY))],
            "spec.containers[0]: found a container without a name; allowed: a name of its own for each container.\nTo fix: name the container.",
            id="without-a-name",
        ),
    ],
)
def test_names_that_do_not_tell_containers_apart(containers: list[Json], message: str) -> None:
    """Two containers would share one volume, and with it each other's values."""
    assert refused(pod(*containers)) == [message]


def test_same_name_in_init_and_app() -> None:
    """Kubernetes demands names that are unique among both."""
    manifest = pod(container(env=env(A=KEY)), initContainers=[container(env=env(A=KEY))])
    assert isinstance(decide(manifest), Reject)


def test_volume_names_fit_a_dns_label() -> None:
    """A container's name may have 63 characters, and so may a volume's."""
    short, longest = volume_name("a" * 51), volume_name("a" * 63)
    assert short == "tfy-secrets-" + "a" * 51
    assert (len(short), len(longest)) == (LABEL_LENGTH, LABEL_LENGTH)
    assert volume_name("a" * 53 + "-" * 9 + "b").strip("-") == volume_name("a" * 53 + "-" * 9 + "b")


def test_long_names_with_the_same_beginning() -> None:
    """What is cut off still tells them apart."""
    one, two = "web-" + "a" * 58 + "1", "web-" + "a" * 58 + "2"
    patched = injected(pod(container(one, env=env(A=KEY)), container(two, env=env(A=KEY))))
    names = [volume["name"] for volume in patched["spec"]["volumes"]]
    assert len(set(names)) == 3
    assert all(len(name) <= LABEL_LENGTH for name in names)
    references = [c["env"][0]["valueFrom"]["fileKeyRef"]["volumeName"] for c in patched["spec"]["containers"]]
    assert references == names[1:]


def test_cut_names_stay_the_same() -> None:
    """Reinvocation, and a plan of an older replica, must find the same volume: the name is part of the format."""
    assert volume_name("web-" + "a" * 59) == "tfy-secrets-web-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-fdadd82f"
