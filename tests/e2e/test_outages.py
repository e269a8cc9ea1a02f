"""A part is away: pods that do not need it start all the same, pods that do are refused or wait, and what waits goes on by itself."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e import people, pods
from tests.e2e.conftest import group
from tests.e2e.installation import BROKER, WEBHOOK, pods_of, scale
from tests.e2e.kubectl import apply, dry_run, kubectl, until
from tests.e2e.pods import APPS, INIT, container, picture, pod
from tests.e2e.shared import component, only_here
from tests.e2e.values import VALUES, digest, digest_of, fqn

# OnFailure: the broker may be back before its store has the value, and then the init container runs again.
WAITING = pod("waiting", container(env={"DB": fqn("PLAIN")}, report=["env:DB"]), restartPolicy="OnFailure")
PLAIN = pod("no-references", container(env={"DB": "plain"}, report=["env:DB"]))


@pytest.fixture
def without_webhook() -> Iterator[None]:
    scale(WEBHOOK, 0)
    try:
        yield
    finally:
        scale(WEBHOOK, 2)


def test_a_pod_waits_while_the_broker_is_away_and_goes_on_when_it_is_back() -> None:
    scale(BROKER, 0)
    try:
        apply(WAITING)
        until("the init container tries again", _tries_again, 60, lambda: picture(APPS, "waiting"))
    finally:
        scale(BROKER, 1)
    people.put("PLAIN", VALUES["PLAIN"])  # overlay dev keeps the store for as long as the broker's pod
    report = pods.report_of(WAITING)
    pods.remove(WAITING)
    assert report["env:DB"] == digest_of("PLAIN")


def _tries_again() -> bool | None:
    log = kubectl("-n", APPS, "logs", "waiting", "-c", INIT, check=False).out.decode(errors="replace")
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return True if any(event.get("event") == "retry" for event in events) else None


@pytest.mark.usefixtures("without_webhook")
def test_while_the_webhook_is_away_only_pods_with_references_are_refused() -> None:
    """They are refused, not started without their secrets; a pod without references starts."""
    pods.start({"no-references": PLAIN})
    refused = dry_run(pod("references", container(env={"DB": fqn("PLAIN")})), namespace=APPS)
    assert refused.code != 0
    assert "failed calling webhook" in refused.err
    assert pods.report_of(PLAIN)["env:DB"] == digest("plain")
    pods.remove(PLAIN)


def test_after_that_pods_with_references_are_admitted_again() -> None:
    done = dry_run(pod("references", container(env={"DB": fqn("PLAIN")})), namespace=APPS)
    assert done.code == 0, done.err


@only_here
def test_after_the_api_server_was_away_edits_act_again() -> None:
    """Webhook and broker watch stores and groups; a watch that broke off is taken up by itself, without a restart."""
    before = restarts()
    component("kill", "apiserver")
    until("its port is free", lambda: "was refused" in kubectl("get", "--raw", "/readyz", check=False).err or None)
    component("start", "apiserver")
    until("the API server answers", lambda: kubectl("get", "--raw", "/readyz", check=False).code == 0 or None)
    apply(group("e2e-later", keys=("LATER",), consumers=(f"namespace:{APPS}",)))
    later = fqn("LATER", "e2e-later")
    until("the webhook knows the new group", lambda: dry_run(pod("later", container(env={"DB": later})), namespace=APPS).code == 0 or None)
    until("the broker knows the new group", lambda: people.ask(later)["answers"] == ["not_found"] or None)
    kubectl("delete", "secretgroup", "e2e-later")
    assert restarts() == before


def restarts() -> dict[str, int]:
    listed = [thing for name in (WEBHOOK, BROKER) for thing in pods_of(name)]
    return {thing["metadata"]["name"]: c["restartCount"] for thing in listed for c in thing["status"]["containerStatuses"]}
