"""Pods as strict or as lax as a cluster allows: our init container fits in, and keeps what the pod was promised."""

from collections.abc import Iterator

import pytest

from tests.e2e import pods
from tests.e2e.conftest import QUOTA, STRICT
from tests.e2e.kubectl import Object, apply, dry_run, get, kubectl
from tests.e2e.pods import container, pod
from tests.e2e.values import digest_of, fqn, text

DB = {"DB": fqn("PLAIN")}
REPORT = ["env:DB", "user"]
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
AMOUNTS = {"cpu": "100m", "memory": "64Mi"}
EXACT: Object = {"resources": {"requests": AMOUNTS, "limits": AMOUNTS}}

PODS = {
    thing["metadata"]["name"]: thing
    for thing in (
        pod(
            "restricted",
            container(env=DB, report=REPORT, securityContext=RESTRICTED),
            namespace=STRICT,
            securityContext={"runAsUser": 1000},
        ),
        pod("as-root", container(env=DB, report=REPORT), securityContext={"runAsUser": 0, "runAsGroup": 0}),
        pod("as-user", container(env=DB, report=REPORT), securityContext={"runAsUser": 4242, "fsGroup": 4243, "supplementalGroups": [7]}),
        pod("guaranteed", container(env=DB, report=["env:DB"], **EXACT)),
        pod("within-quota", container(env=DB, report=["env:DB"], **EXACT), namespace=QUOTA),
    )
}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    hard = {"requests.cpu": "1", "limits.cpu": "1", "requests.memory": "1Gi", "limits.memory": "1Gi", "pods": "5"}
    apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "all", "namespace": QUOTA}, "spec": {"hard": hard}})
    pods.start(PODS)
    yield
    pods.remove(*PODS.values())


def test_a_namespace_that_enforces_restricted_takes_the_pod() -> None:
    """Non-root, read-only root file system, no capability: for the app and for our init container."""
    assert pods.report_of(PODS["restricted"]) == {"env:DB": digest_of("PLAIN"), "user": "1000"}


def test_that_namespace_does_refuse_what_is_not_restricted() -> None:
    """Or the test above would prove nothing."""
    refused = dry_run(pod("lax", container(env=DB), namespace=STRICT), namespace=STRICT)
    assert refused.code != 0
    assert "violates PodSecurity" in refused.err
    assert pods.INIT not in refused.err


def test_a_pod_that_runs_as_root_has_its_value() -> None:
    """The pod says user 0 for all its containers; ours stays non-root."""
    assert pods.report_of(PODS["as-root"]) == {"env:DB": digest_of("PLAIN"), "user": "0"}
    ours = get("pod", "as-root", pods.APPS)["spec"]["initContainers"][0]["securityContext"]
    assert (ours["runAsNonRoot"], ours["runAsUser"]) == (True, 65532)


def test_a_pod_of_a_given_user_and_group_has_its_value() -> None:
    assert pods.report_of(PODS["as-user"]) == {"env:DB": digest_of("PLAIN"), "user": "4242"}


def test_a_guaranteed_pod_stays_guaranteed() -> None:
    assert pods.report_of(PODS["guaranteed"])["env:DB"] == digest_of("PLAIN")
    assert get("pod", "guaranteed", pods.APPS)["status"]["qosClass"] == "Guaranteed"


def test_a_quota_that_demands_limits_takes_the_pod() -> None:
    assert pods.report_of(PODS["within-quota"])["env:DB"] == digest_of("PLAIN")


def test_that_quota_does_refuse_a_container_without_limits() -> None:
    refused = dry_run(pod("unlimited", container(env=DB), namespace=QUOTA), namespace=QUOTA)
    assert refused.code != 0
    assert "must specify limits" in refused.err
    assert pods.INIT not in refused.err


def test_the_value_is_in_no_place_that_the_api_shows() -> None:
    """The whole pod as stored, by every name that it has there."""
    stored = kubectl("-n", pods.APPS, "get", "pod", "guaranteed", "-o", "yaml").text
    leaked = text("PLAIN") in stored
    assert not leaked
    assert fqn("PLAIN").removeprefix("tfy-secret://") in stored
