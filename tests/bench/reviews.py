"""AdmissionReviews of the sizes that the design names."""

import json
from typing import Any

REFERENCE = "tfy-secret://acme:payments:KEY_{}"


def review(pod: dict[str, Any]) -> bytes:
    """As an API server sends it for the creation of a pod."""
    resource = {"group": "", "version": "v1", "resource": "pods"}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    user = {
        "username": "system:serviceaccount:kube-system:replicaset-controller",
        "groups": ["system:serviceaccounts", "system:authenticated"],
    }
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
    }
    request |= {
        "namespace": "shop",
        "operation": "CREATE",
        "userInfo": user,
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {},
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def pod(references: int, size: int, app: int = 0) -> dict[str, Any]:
    """A pod as a Deployment makes it, filled up with plain variables to about `size` bytes of JSON. Each `app` has its own."""
    managed = [
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-11-24T08:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:app": {}}},
                "f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}}},
            },
        }
    ]
    env: list[dict[str, Any]] = [{"name": f"SECRET_{app}_{i}", "value": REFERENCE.format((app * 3 + i) % 200)} for i in range(references)]
    env.append({"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}})
    probe = {
        "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    mounts = [{"name": "kube-api-access-x2k9q", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]
    container = {
        "name": "web",
        "image": "registry.example/shop/web:1.4.2",
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "env": env,
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "500m", "memory": "256Mi"}},
        "volumeMounts": mounts,
        "livenessProbe": probe,
        "readinessProbe": probe,
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    spec = {
        "volumes": [{"name": "kube-api-access-x2k9q", "projected": {"sources": [token], "defaultMode": 420}}],
        "containers": [container],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "web",
        "serviceAccount": "web",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
    }
    made = {
        "metadata": {
            "generateName": "web-7d4b9c6f5d-",
            "creationTimestamp": None,
            "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5d"},
            "managedFields": managed,
        },
        "spec": spec,
        "status": {},
    }
    while (missing := size - len(json.dumps(made))) > 0:
        env += [
            {"name": f"PLAIN_{len(env) + i}", "value": f"https://service-{app}-{i}.shop.example:8443/path?x={'y' * 40}"}
            for i in range(max(1, missing // 140))
        ]
    return made
