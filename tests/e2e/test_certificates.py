"""The webhook keeps its own certificates: what someone deletes is there again, and meanwhile pods are admitted."""

import base64
import hashlib

from tests.e2e import early, people
from tests.e2e.installation import BROKER, SYSTEM, WEBHOOK, pods_of
from tests.e2e.kubectl import Object, dry_run, find, get, kubectl, until
from tests.e2e.pods import APPS, container, pod
from tests.e2e.values import fqn

HEALS_SECONDS = 90.0  # the webhook looks once a minute


def test_a_deleted_certificate_is_made_again_without_a_restart() -> None:
    """It was deleted before the first test."""

    def look() -> Object | None:
        found = find("secret", early.CERTIFICATE, SYSTEM)
        return found if found and found["metadata"]["uid"] != early.deleted[early.CERTIFICATE] else None

    healed = until("the Secret is there again", look, HEALS_SECONDS)
    assert set(healed["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert {c["restartCount"] for thing in pods_of(WEBHOOK) for c in thing["status"]["containerStatuses"]} == {0}


def test_webhook_and_broker_have_keys_of_their_own_under_one_ca() -> None:
    names = ("tfy-secret-ca", f"{BROKER}-tls", f"{WEBHOOK}-tls")
    contents = [get("secret", name, SYSTEM)["data"] for name in names]
    assert len({hashlib.sha256(data["tls.key"].encode()).hexdigest() for data in contents}) == 3
    assert len({data["ca.crt"] for data in contents}) == 1


def test_pods_are_admitted_under_the_new_certificate() -> None:
    done = dry_run(pod("after", container(env={"DB": fqn("PLAIN")})), namespace=APPS)
    assert done.code == 0, done.err


def test_the_broker_serves_under_the_ca_that_pods_are_given() -> None:
    """keeper verifies with that CA and nothing else."""
    trusted = base64.b64decode(get("secret", f"{BROKER}-tls", SYSTEM)["data"]["ca.crt"]).decode()
    assert get("configmap", "tfy-e2e-ca", people.ADMIN)["data"]["ca.crt"] == trusted
    assert people.secret("versions", fqn("PLAIN")).code == 0


def test_the_webhook_may_touch_its_own_secrets_and_no_other() -> None:
    """Least privilege, as the API server decides it."""
    webhook = f"--as=system:serviceaccount:{SYSTEM}:{WEBHOOK}"
    may = {name: _can(webhook, "get", f"secret/{name}") for name in (early.CERTIFICATE, "someone-elses")}
    assert may == {early.CERTIFICATE: "yes", "someone-elses": "no"}
    broker = f"--as=system:serviceaccount:{SYSTEM}:{BROKER}"
    assert _can(broker, "get", f"secret/{early.CERTIFICATE}") == "no"


def _can(who: str, verb: str, what: str) -> str:
    return kubectl("-n", SYSTEM, "auth", "can-i", verb, what, who, check=False).text.strip()
