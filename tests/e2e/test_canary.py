"""The promise: no secret value ever passes through the API server. After everything, every value is looked for everywhere."""

import base64
import json
import secrets

from tests.e2e.installation import BROKER, SYSTEM, WEBHOOK, pods_of
from tests.e2e.kubectl import apply, kubectl
from tests.e2e.pods import LOGS
from tests.e2e.shared import canary, only_here
from tests.e2e.values import MARKERS, fqn


def spellings(value: str) -> list[bytes]:
    """As it is, in hexadecimal, and in the three alignments of base64."""
    raw = value.encode()
    encoded = [base64.b64encode(b"\0" * shift + raw)[first:-4] for shift, first in ((0, 0), (1, 2), (2, 3))]
    return [raw, raw.hex().encode(), *encoded]


def leaks(content: bytes, values: list[str]) -> list[int]:
    """The numbers of the values that are in the content. Assert on a name that holds them: a failed call would show its arguments."""
    return [number for number, value in enumerate(values) if any(spelling in content for spelling in spellings(value))]


def kept_logs() -> bytes:
    """Of all pods that are gone, and of webhook and broker as they are."""
    names = [thing["metadata"]["name"] for name in (WEBHOOK, BROKER) for thing in pods_of(name)]
    return b"\n".join([*LOGS, *(kubectl("-n", SYSTEM, "logs", name).out for name in names)])


def test_no_value_is_in_any_event_or_pod() -> None:
    found = leaks(kubectl("get", "events,pods", "-A", "-o", "json").out, MARKERS)
    assert found == []


def test_no_value_is_in_any_object_that_is_stored() -> None:
    """Secrets too: a value that lands in one has passed through the API server."""
    kinds = "secrets,configmaps,deployments,replicasets,statefulsets,daemonsets,jobs,cronjobs,secretstores,secretgroups"
    found = leaks(kubectl("get", kinds, "-A", "-o", "json").out, MARKERS)
    assert found == []


def test_that_search_can_find_a_value() -> None:
    """In each spelling; or the two tests above could not fail."""
    control = f"e2e{secrets.token_hex(12)}"
    for content in (control.encode(), control.encode().hex().encode(), base64.b64encode(f"x{control}yz".encode())):
        found = leaks(b"{" + content + b"}", [*MARKERS, control])
        assert found == [len(MARKERS)]


def test_no_value_is_in_any_log_of_ours() -> None:
    """Init containers, webhook and broker, those that are gone included."""
    found = leaks(kept_logs(), MARKERS)
    assert found == []


def test_those_logs_are_the_ones_that_would_tell() -> None:
    """The audit lines of deliveries and the init containers' own are among them."""
    lines = [json.loads(line) for line in kept_logs().splitlines() if line.startswith(b"{") and line.endswith(b"}")]
    assert any(line.get("fqn") == fqn("PLAIN") and line.get("decision") == "allow" for line in lines)
    assert any(line.get("event") == "delivered" for line in lines)


@only_here
def test_no_value_is_in_etcd_the_audit_log_or_any_component_log() -> None:
    """Every revision that was ever written, every request and response body, every component's log; in many spellings."""
    code, said = canary(*MARKERS)
    assert code == 0, said


@only_here
def test_the_canary_finds_a_value_that_is_in_a_config_map() -> None:
    """Or the test above could not fail: put there the way a leak would come about."""
    control = f"e2e{secrets.token_hex(12)}"
    encoded = base64.b64encode(f"password={control}".encode()).decode()
    apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tfy-e2e-control", "namespace": "default"}, "data": {"x": encoded}}
    )
    kubectl("-n", "default", "delete", "configmap", "tfy-e2e-control")
    code, said = canary(control)
    assert code == 1
    assert "audit.log" in said
    assert "etcd" in said
