"""What others change after us: another admission plugin, or whoever copies a pod. Ours is first again, and no app starts with empty variables."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e import pods
from tests.e2e.kubectl import Object, apply, dry_run, kubectl, until
from tests.e2e.launched import executed
from tests.e2e.pods import APPS, INIT, SHELL_IMAGE, container, pod
from tests.e2e.values import digest_of, fqn

API = "/apis/admissionregistration.k8s.io/v1"
NAME = "tfy-e2e-mesh"
LAUNCH = ["/tfy-secret/run/launcher", "/tfy-secret/run/env"]

# As a service mesh does it. A policy is asked before webhooks, and again after them only if it had something to do: hence the label.
OBJECT = f"Object.spec.initContainers{{name: 'mesh', image: '{SHELL_IMAGE}', imagePullPolicy: 'IfNotPresent', command: ['true']}}"
POLICY: list[Object] = [
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": APPS}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            },
            "matchConditions": [
                {
                    "name": "ours",
                    "expression": "object.metadata.?labels['e2e'].orValue('') == 'meshed'"
                    " && !object.spec.?initContainers.orValue([]).exists(c, c.name == 'mesh')",
                }
            ],
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": f"object.spec.?initContainers.orValue([]).exists(c, c.name == '{INIT}')"
                        f" ? [JSONPatch{{op: 'add', path: '/spec/initContainers/0', value: {OBJECT}}}]"
                        " : [JSONPatch{op: 'add', path: '/metadata/labels/seen', value: 'once'}]"
                    },
                }
            ],
        },
    },
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME},
    },
]
MESHED = pod("meshed", container(env={"DB": fqn("PLAIN")}, report=["env:DB"]))


@pytest.fixture
def mesh() -> Iterator[None]:
    served = json.loads(kubectl("get", "--raw", API).out)["resources"]
    if not any(resource["name"] == "mutatingadmissionpolicies" for resource in served):
        pytest.skip("this API server has no MutatingAdmissionPolicy v1")
    apply(*POLICY)
    try:
        until("the policy acts", lambda: True if "mesh" in _order(dry_run(MESHED, namespace=APPS).out) else None)
        yield
    finally:
        for kind in ("mutatingadmissionpolicybinding", "mutatingadmissionpolicy"):
            kubectl("delete", kind, NAME)


def _order(answer: bytes) -> list[str]:
    return [found["name"] for found in json.loads(answer)["spec"].get("initContainers", [])] if answer else []


@pytest.mark.usefixtures("mesh")
def test_ours_is_first_again_after_another_put_its_init_container_first() -> None:
    """A pod without any annotation of ours: after our own patch nothing but our init container says that it holds references."""
    assert _order(dry_run(MESHED, namespace=APPS).out) == [INIT, "mesh"]
    apply(MESHED)
    report = pods.report_of(MESHED)
    pods.remove(MESHED)
    assert report["env:DB"] == digest_of("PLAIN")


def test_a_copy_with_another_command_gets_the_launcher_again() -> None:
    """As `kubectl debug --copy-to` makes one: the annotations are gone, and the command is another."""
    original = executed(pod("copied", container(env={"DB": fqn("PLAIN")}, report=["env:DB"])))
    made: Object = json.loads(dry_run(original, namespace=APPS).out)
    copy: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "copy", "namespace": APPS}, "spec": made["spec"]}
    copy["spec"]["containers"][0]["command"] = ["sh", "-c", "sleep 1"]
    admitted = dry_run(copy, namespace=APPS)
    assert admitted.code == 0, admitted.err
    assert json.loads(admitted.out)["spec"]["containers"][0]["command"] == [*LAUNCH, "sh", "-c", "sleep 1"]
