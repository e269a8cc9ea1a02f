"""Workloads of every kind: what their controllers make are pods like any other."""

from collections.abc import Iterator

import pytest

from tests.e2e import early, pods
from tests.e2e.early import template
from tests.e2e.kubectl import Object, apply, condition, every, find, get, kubectl, until
from tests.e2e.pods import APPS, STAY, container, picture, pod, told
from tests.e2e.values import digest_of, fqn

JOB_SECONDS = 90.0  # a CronJob runs at the full minute


def staying(name: str) -> Object:
    whole = pod(name, container(env={"DB": fqn("PLAIN")}, report=["env:DB"], after=STAY), restartPolicy="Always")
    return {"metadata": {"labels": {"e2e": name}}, "spec": whole["spec"]}


def workload(kind: str, name: str, **spec: object) -> Object:
    group = "batch/v1" if kind == "Job" else "apps/v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": APPS}, "spec": spec}


def chosen(name: str, **spec: object) -> Object:
    return {"selector": {"matchLabels": {"e2e": name}}, "template": staying(name), **spec}


STAYING = {
    "deployment": workload("Deployment", "deployment", **chosen("deployment", replicas=2)),
    "statefulset": workload(
        "StatefulSet", "statefulset", **chosen("statefulset", replicas=2, podManagementPolicy="Parallel", serviceName="x")
    ),
    "daemonset": workload("DaemonSet", "daemonset", **chosen("daemonset")),
}
JOB = workload("Job", "job", template=template("job"), backoffLimit=0)


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    apply(*STAYING.values(), JOB)
    yield
    pods.remove(*STAYING.values(), JOB)


@pytest.mark.parametrize("kind", STAYING)
def test_every_replica_has_its_value(kind: str) -> None:
    until(f"{kind} is complete", lambda: _complete(kind), pods.READY_SECONDS, lambda: picture(APPS))
    names = [thing["metadata"]["name"] for thing in every("pods", APPS, "-l", f"e2e={kind}")]
    assert names
    assert {told(APPS, name)["env:DB"] for name in names} == {digest_of("PLAIN")}


def test_a_job_completes_and_has_its_value() -> None:
    """Our init container ends and no sidecar of ours keeps the pod alive."""
    until("the job is complete", lambda: _done(get("job", "job", APPS)), JOB_SECONDS, lambda: picture(APPS))
    assert _told_by_job("job") == digest_of("PLAIN")


def test_a_cron_job_makes_jobs_that_complete() -> None:
    """Applied before the first test; by now its minute has come, or is near."""

    def look() -> str | None:
        owned = [job for job in every("jobs", APPS) if _is_ours(job) and _done(job)]
        return owned[0]["metadata"]["name"] if owned else None

    name = until("a job of the cron job is complete", look, JOB_SECONDS, lambda: picture(APPS))
    assert _told_by_job(name) == digest_of("PLAIN")
    kubectl("-n", APPS, "delete", "cronjob", early.CRON_JOB, "--wait=false")


def _complete(kind: str) -> bool | None:
    status = (find(kind, kind, APPS) or {}).get("status", {})
    wanted = status.get("desiredNumberScheduled") or status.get("replicas")
    ready = status.get("numberReady") or status.get("readyReplicas")
    return True if wanted and wanted == ready and wanted == STAYING[kind]["spec"].get("replicas", wanted) else None


def _done(job: Object) -> bool | None:
    return True if condition(job, "Complete").get("status") == "True" else None


def _is_ours(job: Object) -> bool:
    return any(owner["name"] == early.CRON_JOB for owner in job["metadata"].get("ownerReferences", []))


def _told_by_job(name: str) -> str:
    (found,) = every("pods", APPS, "-l", f"batch.kubernetes.io/job-name={name}")
    return told(APPS, found["metadata"]["name"])["env:DB"]
