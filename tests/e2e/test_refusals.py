"""What cannot be had is refused where its author sees it: at `kubectl apply`, else in `kubectl describe pod`, with what to do."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e import pods
from tests.e2e.conftest import STRANGER
from tests.e2e.kubectl import apply, dry_run, kubectl
from tests.e2e.pods import APPS, container, pod
from tests.e2e.values import GROUP, TENANT, fqn

NOT_FOUND = 12  # initcontainer.exits
MISSING = pod("missing", container(env={"DB": fqn("NEVER_STORED")}, after="\necho the app has started\n"))


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    pods.start({"missing": MISSING})
    yield
    pods.remove(MISSING)


def refusal(value: str, namespace: str = APPS, **more: object) -> str:
    """What `kubectl apply` prints for a pod with DB of this value, which has to be refused."""
    thing = pod("refused", container(env={"DB": value}), namespace=namespace)
    thing["metadata"] |= more
    done = dry_run(thing, namespace=namespace)
    assert done.code != 0, "the pod was admitted"
    return done.err


@pytest.mark.parametrize(
    ("value", "sentences"),
    [
        pytest.param(f"tfy-secret://{TENANT}:{GROUP}", ["exactly three parts", "To fix: add the key's name"], id="two-parts-of-three"),
        pytest.param(fqn("PLAIN") + "?colour=red", ["unknown parameter 'colour'"], id="an-unknown-parameter"),
        pytest.param("x ${" + fqn("PLAIN"), ["closed by '}'"], id="an-open-brace"),
        pytest.param(fqn("PLAINN"), ["the unknown key 'PLAINN'", "did you mean PLAIN?"], id="a-misspelt-key"),
        pytest.param(fqn("PLAIN", "e2f"), ["the unknown group 'e2f'", f"did you mean {fqn('PLAIN')}?"], id="a-misspelt-group"),
        pytest.param(f"tfy-secret://globex:{GROUP}:PLAIN", [f"the tenant '{TENANT}'", fqn("PLAIN")], id="another-tenant"),
    ],
)
def test_a_reference_that_cannot_be_meant_is_refused_with_place_and_fix(value: str, sentences: list[str]) -> None:
    message = refusal(value)
    assert "spec.containers[app].env[DB]: found" in message
    for sentence in sentences:
        assert sentence in message


def test_a_service_account_without_a_role_is_denied_and_told_whom_to_ask() -> None:
    message = refusal(fqn("PLAIN"), STRANGER)
    assert f"denied for service account {STRANGER}/default" in message
    assert f"namespace:{STRANGER}" in message


def test_a_denial_says_nothing_about_whether_the_secret_exists() -> None:
    """The same words for a key that is there and one that is not."""
    there, not_there = (refusal(fqn(key), STRANGER).replace(key, "KEY") for key in ("PLAIN", "NO_SUCH_KEY"))
    assert there == not_there


def test_all_problems_of_a_pod_are_told_at_once() -> None:
    env = {"ONE": "tfy-secret://x", "TWO": fqn("NO_SUCH"), "THREE": fqn("PLAIN")}
    message = dry_run(pod("several", container(env=env)), namespace=APPS).err
    assert "2 problems." in message
    assert "env[ONE]" in message
    assert "env[TWO]" in message
    assert "env[THREE]" not in message


def test_a_misspelt_annotation_is_told() -> None:
    message = refusal("plain", annotations={"tfy-secret.dev/file": "[]"})
    assert "did you mean tfy-secret.dev/files?" in message


def test_a_reference_in_args_is_refused_with_where_it_can_stand() -> None:
    message = dry_run(pod("in-args", container(args=[fqn("PLAIN")])), namespace=APPS).err
    assert "put the reference in an env variable and write $(NAME) here" in message


def test_a_reference_in_a_config_map_is_refused_and_plain_ones_are_not_touched() -> None:
    """By envFrom and by key: the app would find a name. The webhook has the right to look, and no warning says otherwise."""
    apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": APPS}, "data": {"DB": fqn("PLAIN"), "A": "1"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plain", "namespace": APPS}, "data": {"A": "1"}},
    )
    whole = dry_run(pod("takes-all", container(envFrom=[{"configMapRef": {"name": "held"}}])), namespace=APPS).err
    assert "envFrom[0]: found a reference in key 'DB' of ConfigMap 'held'" in whole
    for name, key in (("plain", "A"), ("held", "A")):
        source = {"configMapKeyRef": {"name": name, "key": key}}
        done = dry_run(pod("takes-one", container() | {"env": [{"name": "V", "valueFrom": source}]}), namespace=APPS)
        assert (done.code, "Warning" in done.err) == (0, False)
        assert "initContainers" not in json.loads(done.out)["spec"]


def test_an_optional_key_that_the_group_does_not_list_is_a_warning() -> None:
    done = dry_run(pod("optional", container(env={"DB": fqn("NOT_LISTED") + "?optional=true"})), namespace=APPS)
    assert done.code == 0
    assert "Warning: spec.containers[app].env[DB]" in done.err
    assert "lists no key 'NOT_LISTED'" in done.err


def test_a_secret_that_was_never_stored_fails_the_pod_and_not_the_app() -> None:
    found = pods.when_failed(MISSING)
    end = pods.ended(found, pods.INIT)
    assert end is not None
    assert end["exitCode"] == NOT_FOUND
    assert pods.ended(found, "app") is None


def test_kubectl_describe_pod_says_why_it_failed_and_what_to_do() -> None:
    pods.when_failed(MISSING)
    described = kubectl("-n", APPS, "describe", "pod", "missing").text
    assert f"container app, env DB: {fqn('NEVER_STORED')}: not_found" in described
    assert "To fix: Create it, correct the name, or add ?optional=true" in described
