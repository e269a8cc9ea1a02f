"""An old node joins after a pod was admitted for envfile, and the pod lands on it: the app does not start with an empty variable.

The old node is taken away and comes back, by the scripts of the shared cluster: in between all nodes are new.
"""

from collections.abc import Iterator

import pytest

from tests.e2e import launched, pods
from tests.e2e.kubectl import Object, apply, condition, dry_run, every, find, get, kubectl, until
from tests.e2e.launched import LAUNCHER, on_node
from tests.e2e.pods import APPS, STAY, container, pod, told
from tests.e2e.shared import component, only_here
from tests.e2e.test_exec_mixed import NODE_TOO_OLD
from tests.e2e.values import digest_of, fqn

pytestmark = only_here
NAME = "m-joining"
DB = {"DB": fqn("PLAIN")}


@pytest.fixture(scope="module")
def old() -> Iterator[str]:
    """The name of the old node. It is away, and a Deployment for it was admitted, when the first test begins."""
    node, _ = launched.mixed()
    component("stop", f"kubelet-{node}")
    kubectl("delete", "node", node)
    try:
        until("new pods get envfile", lambda: None if LAUNCHER in _shown() else True)
        apply(_deployment(node))
        until("its pod is there", lambda: next(iter(_pods()), None))
    finally:
        component("start", f"kubelet-{node}")
    until(f"{node} is ready again", lambda: _is_ready(node), pods.READY_SECONDS)
    yield node
    pods.remove(_deployment(node))


def _shown() -> str:
    return dry_run(pod("m-shown", container(env=DB)), namespace=APPS).text


def _is_ready(node: str) -> bool | None:
    return True if condition(find("node", node) or {}, "Ready").get("status") == "True" else None


def _deployment(node: str) -> Object:
    whole = on_node(pod(NAME, container(env=DB, report=["env:DB"], after=STAY), restartPolicy="Always"), node)
    template = {"metadata": {"labels": {"e2e": NAME}}, "spec": whole["spec"]}
    spec = {"selector": {"matchLabels": {"e2e": NAME}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME, "namespace": APPS}, "spec": spec}


def _pods() -> list[Object]:
    return every("pods", APPS, "-l", f"e2e={NAME}")


def test_the_pod_that_was_admitted_before_is_refused_on_the_old_node(old: str) -> None:
    """Mode auto chose envfile for it, and rightly so at that time; the broker knows where it landed."""
    found = pods.until_pod(_deployment(old), "refused", lambda: next((p for p in _pods() if pods.ended(p, pods.INIT)), None))
    assert "fileKeyRef" in found["spec"]["containers"][0]["env"][0]["valueFrom"]
    assert found["spec"]["nodeName"] == old
    end = pods.ended(found, pods.INIT)
    assert end is not None
    assert end["exitCode"] == NODE_TOO_OLD
    assert f"node {old} has kubelet" in end["message"]
    assert pods.status_of(found, "app")["restartCount"] == 0
    assert "running" not in pods.status_of(found, "app")["state"]


def test_a_pod_that_replaces_it_is_admitted_for_exec_and_has_its_value(old: str) -> None:
    """As its message says: delete the pod. Its controller makes another, on the same node."""
    before = {thing["metadata"]["uid"] for thing in _pods()}
    kubectl("-n", APPS, "delete", "pod", "-l", f"e2e={NAME}")
    until("the Deployment is available", lambda: get("deployment", NAME, APPS)["status"].get("availableReplicas"), pods.READY_SECONDS)
    (found,) = (thing for thing in _pods() if thing["metadata"]["uid"] not in before)
    assert found["spec"]["containers"][0]["command"][0] == LAUNCHER
    assert found["spec"]["nodeName"] == old
    assert told(APPS, found["metadata"]["name"])["env:DB"] == digest_of("PLAIN")
