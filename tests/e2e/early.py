"""What takes its time by itself, so that it is begun before the first test and looked at by a later one.

- the webhook's certificate is taken away: the webhook looks after it once a minute;
- a CronJob is applied: Kubernetes runs it at the next full minute.
"""

from tests.e2e.installation import SYSTEM
from tests.e2e.kubectl import Object, apply, get, kubectl
from tests.e2e.pods import APPS, container, pod
from tests.e2e.values import fqn

CERTIFICATE = "tfy-secret-webhook-tls"
CRON_JOB = "every-minute"

deleted: dict[str, str] = {}  # Secret -> uid of the one that was deleted


def begin() -> None:
    deleted[CERTIFICATE] = get("secret", CERTIFICATE, SYSTEM)["metadata"]["uid"]
    kubectl("-n", SYSTEM, "delete", "secret", CERTIFICATE)
    apply(cron_job())


def template(name: str, **spec: object) -> Object:
    """A pod template that reports on DB and ends."""
    whole = pod(name, container(env={"DB": fqn("PLAIN")}, report=["env:DB"]), **spec)
    return {"metadata": {"labels": {"e2e": name}}, "spec": whole["spec"]}


def cron_job() -> Object:
    job = {"template": template(CRON_JOB), "backoffLimit": 0}
    spec = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job}, "successfulJobsHistoryLimit": 1}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": CRON_JOB, "namespace": APPS}, "spec": spec}
