"""A cluster in the middle of an upgrade: nodes older than 1.35 beside newer ones. No app ever starts with an empty variable.

Here a pod asks for envfile by annotation and is sent to the old node. `test_exec_joining` has the pod that was admitted for
envfile while there was no old node.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.e2e import launched, pods
from tests.e2e.kubectl import Object, apply, dry_run, get, kubectl
from tests.e2e.launched import LAUNCHER, on_node
from tests.e2e.pods import APPS, container, pod
from tests.e2e.test_files import file
from tests.e2e.values import digest_of, fqn

NODE_TOO_OLD = 18  # initcontainer.exits
DB = {"DB": fqn("PLAIN")}
STARTED = "\necho the app has started\n"


class World(NamedTuple):
    """The two nodes, and the pods by name."""

    old: str
    new: str
    pods: dict[str, Object]


def by_envfile(thing: Object) -> Object:
    thing["metadata"].setdefault("annotations", {})["tfy-secret.dev/mode"] = "envfile"
    return thing


def reporting(name: str) -> Object:
    return pod(name, container(env=DB, report=["env:DB"], after=STARTED))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    old, new = launched.mixed()
    made = [
        on_node(reporting("m-auto-old"), old),
        on_node(reporting("m-auto-new"), new),
        by_envfile(on_node(reporting("m-envfile-old"), old)),
        by_envfile(on_node(reporting("m-envfile-new"), new)),
        by_envfile(on_node(pod("m-restarting", container(env=DB, after=STARTED), restartPolicy="Always"), old)),
        on_node(pod("m-files", container(report=["file:/key"]), files=[file("/key", "PLAIN")]), old),
        by_envfile(on_node(pod("m-files-envfile", container(report=["file:/key"]), files=[file("/key", "PLAIN")]), old)),
        _of_both_modes(old),
    ]
    found = {thing["metadata"]["name"]: thing for thing in made}
    pods.start(found)
    yield World(old, new, found)
    pods.remove(*made)


def _of_both_modes(node: str) -> Object:
    """One container of it could start, and must not: its pod has another that could not."""
    thing = on_node(pod("m-both", container("by-exec", env=DB, after=STARTED), container("by-envfile", env=DB, after=STARTED)), node)
    thing["metadata"]["annotations"] = {"tfy-secret.dev/mode.by-exec": "exec", "tfy-secret.dev/mode.by-envfile": "envfile"}
    return thing


def test_auto_takes_exec_and_says_which_node_keeps_it_there(world: World) -> None:
    done = dry_run(reporting("m-shown"), namespace=APPS)
    assert done.code == 0
    assert f"mode exec is used: node {world.old} has kubelet {_shown(world.old)}, and envfile needs 1.35" in done.err
    assert LAUNCHER in done.text


@pytest.mark.parametrize("name", ["m-auto-old", "m-auto-new"])
def test_such_a_pod_has_its_value_on_an_old_and_on_a_new_node(world: World, name: str) -> None:
    assert pods.report_of(world.pods[name])["env:DB"] == digest_of("PLAIN")
    stored = get("pod", name, APPS)["spec"]
    assert stored["containers"][0]["command"][0] == LAUNCHER
    assert stored["nodeName"] == (world.old if name == "m-auto-old" else world.new)


def test_envfile_by_annotation_is_admitted_with_a_warning_that_names_the_node(world: World) -> None:
    done = dry_run(by_envfile(reporting("m-shown")), namespace=APPS)
    assert done.code == 0
    assert f"node {world.old} has kubelet" in done.err
    assert "keep it away from there (nodeSelector), or use auto or exec" in done.err


def test_such_a_pod_on_the_old_node_is_given_no_value_and_its_app_never_starts(world: World) -> None:
    """Whatever the kubelet would have made of the missing value: an old one sets the variable to the empty string."""
    found = pods.when_failed(world.pods["m-envfile-old"])
    assert found["spec"]["nodeName"] == world.old
    end = pods.ended(found, pods.INIT)
    assert end is not None
    assert end["exitCode"] == NODE_TOO_OLD
    assert _never_started(found, "app")


def test_its_message_names_the_node_and_the_way_out(world: World) -> None:
    """In `kubectl describe pod`."""
    pods.when_failed(world.pods["m-envfile-old"])
    described = kubectl("-n", APPS, "describe", "pod", "m-envfile-old").text
    assert f"node {world.old} has kubelet {_shown(world.old)}" in described
    assert "mode envfile needs 1.35 or newer. To fix: delete the pod" in described


def test_the_same_pod_on_the_new_node_has_its_value(world: World) -> None:
    assert pods.report_of(world.pods["m-envfile-new"])["env:DB"] == digest_of("PLAIN")
    assert "fileKeyRef" in get("pod", "m-envfile-new", APPS)["spec"]["containers"][0]["env"][0]["valueFrom"]


def test_a_pod_that_may_restart_tries_again_and_never_starts_its_app(world: World) -> None:
    """The refusal holds as long as the pod is there: its init container runs again, the app does not."""
    thing = world.pods["m-restarting"]

    def again() -> Object | None:
        found = pods.find_pod(thing)
        return found if found and pods.status_of(found, pods.INIT).get("restartCount", 0) >= 1 else None

    found = pods.until_pod(thing, "tried again", again)
    end = pods.ended(found, pods.INIT)
    assert end is not None
    assert end["exitCode"] == NODE_TOO_OLD
    assert _never_started(found, "app")


def test_no_container_of_a_pod_starts_where_one_would_be_empty(world: World) -> None:
    found = pods.when_failed(world.pods["m-both"])
    assert [_never_started(found, name) for name in ("by-exec", "by-envfile")] == [True, True]


@pytest.mark.parametrize("name", ["m-files", "m-files-envfile"])
def test_a_pod_with_files_alone_works_on_the_old_node(world: World, name: str) -> None:
    """Any kubelet mounts files, whatever mode is asked for variables."""
    assert pods.report_of(world.pods[name])["file:/key"] == digest_of("PLAIN")


def test_a_person_mends_it_by_moving_the_pod(world: World) -> None:
    """A Deployment whose pods are refused, and then kept off the old node."""
    template = {"metadata": {"labels": {"e2e": "m-moved"}}, "spec": _staying(world.old)}
    template["metadata"]["annotations"] = {"tfy-secret.dev/mode": "envfile"}
    spec = {"selector": {"matchLabels": {"e2e": "m-moved"}}, "template": template}
    moved: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m-moved", "namespace": APPS}, "spec": spec}
    apply(moved)
    pods.until_pod(moved, "refused", lambda: next((p for p in _of("m-moved") if _exit_code(p) == NODE_TOO_OLD), None))
    template["spec"] = _staying(world.new)
    apply(moved)
    pods.until_pod(moved, "available", lambda: get("deployment", "m-moved", APPS)["status"].get("availableReplicas"))
    name = next(p["metadata"]["name"] for p in _of("m-moved") if p["spec"]["nodeName"] == world.new)
    report = pods.told(APPS, name)
    pods.remove(moved)
    assert report["env:DB"] == digest_of("PLAIN")


def _staying(node: str) -> Object:
    whole = pod("m-moved", container(env=DB, report=["env:DB"], after=pods.STAY), restartPolicy="Always")
    return {**on_node(whole, node)["spec"]}


def _of(name: str) -> list[Object]:
    return pods.every("pods", APPS, "-l", f"e2e={name}")


def _exit_code(thing: Object) -> int | None:
    end = pods.ended(thing, pods.INIT)
    return None if end is None else int(end["exitCode"])


def _never_started(found: Object, name: str) -> bool:
    status = pods.status_of(found, name)
    return pods.ended(found, name) is None and "running" not in status["state"] and status["restartCount"] == 0


def _shown(node: str) -> str:
    return ".".join(map(str, launched.nodes()[node]))
