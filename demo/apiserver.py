"""The API server's part: it makes the pod of a Deployment, asks the webhook about it, and would store the patched pod.

Decides nothing that Kubernetes does not: the shape of the review is admission.k8s.io/v1's, the patch is applied by `jsonpatch`.
"""

import binascii
import json
import ssl
import uuid
from copy import deepcopy
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import jsonpatch

from demo.errors import DemoError
from demo.scenery import HOST

Pod = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the webhook said, with the bytes that went there and back. `pod` is None where it refused."""

    pod: Pod | None
    message: str
    sent: bytes
    received: bytes
    patch: bytes


class ApiServer:
    """Talks to one webhook over HTTPS, which it verifies with the CA (in a cluster: `caBundle`)."""

    def __init__(self, port: int, ca: Path) -> None:
        self._port, self._tls = port, ssl.create_default_context(cafile=str(ca))

    def admit(self, pod: Pod, namespace: str) -> Outcome:
        sent = json.dumps(review_of(pod, namespace)).encode()
        received = self._post(sent)
        response = json.loads(received)["response"]
        if not response["allowed"]:
            return Outcome(None, response["status"]["message"], sent, received, b"")
        patch = binascii.a2b_base64(response.get("patch", ""))
        if not patch:
            raise DemoError("The webhook allowed the pod and changed nothing, though it has references")
        return Outcome(jsonpatch.apply_patch(pod, json.loads(patch)), "", sent, received, patch)

    def _post(self, body: bytes) -> bytes:
        connection = HTTPSConnection(HOST, self._port, context=self._tls, timeout=10)
        try:
            connection.request("POST", "/mutate?timeout=5s", body, {"Content-Type": "application/json", "Accept": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise DemoError(f"The webhook at {HOST}:{self._port} does not answer ({error})") from None
        finally:
            connection.close()
        if answer.status != 200:
            raise DemoError(f"The webhook answered with HTTP status {answer.status}: {content[:500].decode(errors='replace')}")
        return content


def pod_of(deployment: dict[str, Any]) -> Pod:
    """The pod as the ReplicaSet controller creates it and admission sees it: named by the API server later."""
    template = deepcopy(deployment["spec"]["template"])
    name = f"{deployment['metadata']['name']}-6c9d8f7b5b"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": str(uuid.uuid4()), "controller": True}
    metadata = template["metadata"] | {"generateName": f"{name}-", "ownerReferences": [owner]}
    spec = template["spec"] | {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def review_of(pod: Pod, namespace: str) -> dict[str, Any]:
    """An AdmissionReview as kube-apiserver sends it."""
    kind, resource = {"group": "", "version": "v1", "kind": "Pod"}, {"group": "", "version": "v1", "resource": "pods"}
    request = {
        "uid": str(uuid.uuid4()),
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {
            "username": "system:serviceaccount:kube-system:replicaset-controller",
            "groups": ["system:serviceaccounts", "system:authenticated"],
        },
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
