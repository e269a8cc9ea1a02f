"""Pods, a catalog and clusters for the webhook's tests, and what a decision makes of a pod.

One tenant, `acme`. The pod's namespace is `shop`, its service account `web`. It may use the groups payments and mcp, and in the
store acme/aws/ssm-prod the path /own/shop/; it has no role in search.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

import jsonpatch

from contract import keys
from contract.catalog import Catalog
from contract.plan import ContainerPlan, Plan, decode_plan
from webhook.assembly import Surroundings
from service.nodes import FixedNodes
from webhook.planning import Cluster, Decision, Inject, Reject, Skip, plan_injection
from webhook.pod import POD
from webhook.settings import InitSettings

Json = dict[str, Any]
API = {"apiVersion": "tfy-secret.dev/v1alpha1"}
KEY = "tfy-secret://acme:payments:DB_PASSWORD"
STRIPE = "tfy-secret://acme:payments:STRIPE_KEY"
TOKEN = "tfy-secret://acme:mcp:TOKEN"
OWN = "acme/aws/ssm-prod::/own/shop/smtp"
BROKER = "https://tfy-secret-broker.tfy-secret.svc:8443"
INIT = InitSettings("registry.example/tfy-secret-init:1", "IfNotPresent", "100m", "64Mi", 65532, 65532, "RuntimeDefault", "16Mi")


def store(name: str, fqn: str, provider: Json, **spec: Any) -> Json:
    return API | {"kind": "SecretStore", "metadata": {"name": name}, "spec": {"fqn": fqn, "provider": provider, **spec}}


def group(name: str, store: str, keys: list[str], *subjects: str) -> Json:
    collaborators = [{"role": "secret-group-consumer", "subject": subject} for subject in subjects]
    return API | {"kind": "SecretGroup", "metadata": {"name": name}, "spec": {"store": store, "keys": keys, "collaborators": collaborators}}


MANIFESTS = [
    store("main", "acme/embedded/main", {"embedded": {}}),
    store(
        "ssm-prod",
        "acme/aws/ssm-prod",
        {"awsParameterStore": {"region": "eu-west-1"}},
        allow=[{"subjects": ["namespace:shop"], "paths": ["/own/shop/"]}],
    ),
    store("broken", "acme/vault/broken", {"vault": {}}),
    group("payments", "main", ["DB_PASSWORD", "STRIPE_KEY", "TLS_KEY"], "namespace:shop", "namespace:jobs"),
    group("mcp", "ssm-prod", ["TOKEN"], "serviceaccount:shop/web"),
    group("search", "main", ["INDEX_KEY"], "namespace:search"),
    group("orphan", "gone", ["A"], "namespace:shop"),
    group("invalid", "main", ["not a key"], "namespace:shop"),
]
CATALOG = Catalog("acme", MANIFESTS)


@dataclass
class Versions:
    """A cluster's versions, as the watch tells them."""

    server: tuple[int, int] | None = (1, 36)
    lowest: tuple[int, int] | None = (1, 36)
    lowest_node: str | None = None


def cluster(
    catalog: Catalog = CATALOG, versions: Any = None, mode: str = "auto", admins: frozenset[str] = frozenset(), **init: Any
) -> Cluster:
    around = Surroundings(BROKER, "CA", replace(INIT, **init))
    return Cluster(catalog, versions or FixedNodes("1.36"), around, mode, admins)


CLUSTER = cluster()


def env(**values: Any) -> list[Json]:
    """Variables: text is a value, an object is a valueFrom."""
    return [{"name": name} | ({"value": found} if isinstance(found, str) else {"valueFrom": found}) for name, found in values.items()]


def container(name: str = "app", *, image: str = "shop/web:1", **fields: Any) -> Json:
    return {"name": name, "image": image, **fields}


def pod(*containers: Json, annotations: Json | None = None, labels: Json | None = None, **spec: Any) -> Json:
    metadata: Json = {"name": "web", "namespace": "shop"}
    if annotations is not None:
        metadata["annotations"] = annotations
    if labels is not None:
        metadata["labels"] = labels
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"serviceAccountName": "web", "containers": list(containers), **spec},
    }


def app(**variables: Any) -> Json:
    """A pod of one container with these variables."""
    return pod(container(env=env(**variables)))


def files(*entries: Json, **metadata: Any) -> Json:
    """The annotation for these files."""
    return {keys.FILES: json.dumps(list(entries)), **metadata}


def file(mount_path: str = "/etc/app/tls.key", secret_fqn: str = "tfy-secret://acme:payments:TLS_KEY", **fields: Any) -> Json:
    return {"mount_path": mount_path, "secret_fqn": secret_fqn, **fields}


def templates(*entries: Json, **metadata: Any) -> Json:
    """The annotation for these config files."""
    return {keys.TEMPLATES: json.dumps(list(entries)), **metadata}


def template(mount_path: str = "/etc/app/config.yaml", **fields: Any) -> Json:
    return {"config_map": "gateway", "key": "config.yaml", "mount_path": mount_path, "format": "yaml", **fields}


def decide(pod: Json, where: Cluster = CLUSTER, namespace: str = "shop") -> Decision:
    return plan_injection(POD.decode(json.dumps(pod).encode()), namespace, where)


def applied(pod: Json, decision: Decision) -> Json:
    """The pod as the API server would have it afterwards."""
    if not isinstance(decision, Inject):
        return pod
    patched: Json = jsonpatch.apply_patch(json.loads(json.dumps(pod)), list(decision.patch))
    return patched


def injected(pod: Json, where: Cluster = CLUSTER, namespace: str = "shop") -> Json:
    """The changed pod; fails with the messages where there is none."""
    decision = decide(pod, where, namespace)
    assert isinstance(decision, Inject), getattr(decision, "problems", decision)
    return applied(pod, decision)


def refused(pod: Json, where: Cluster = CLUSTER, namespace: str = "shop") -> list[str]:
    """The messages of a refusal."""
    decision = decide(pod, where, namespace)
    assert isinstance(decision, Reject), decision
    return [str(problem) for problem in decision.problems]


def skipped(pod: Json, where: Cluster = CLUSTER, namespace: str = "shop") -> str:
    """Why a pod stays as it is."""
    decision = decide(pod, where, namespace)
    assert isinstance(decision, Skip), decision
    return decision.reason.value


def warned(pod: Json, where: Cluster = CLUSTER, namespace: str = "shop") -> tuple[str, ...]:
    return decide(pod, where, namespace).warnings


def ours(patched: Json) -> Json:
    """The init container that we added; there is exactly one."""
    (found,) = [c for c in patched["spec"]["initContainers"] if c["name"] == keys.INIT_CONTAINER]
    return found


def plan_of(patched: Json) -> Plan:
    return decode_plan(ours(patched)["env"][0]["value"])


def planned(patched: Json, name: str = "app") -> ContainerPlan:
    """The plan of one container."""
    return next(found for found in plan_of(patched).containers if found.name == name)


def key_ref(variable: str, name: str = "app", **more: Any) -> Json:
    """What a reference's entry becomes."""
    source = {"volumeName": f"{keys.VOLUME_PREFIX}{name}", "path": f"env/{variable}", "key": "VALUE", **more}
    return {"name": variable, "valueFrom": {"fileKeyRef": source}}
