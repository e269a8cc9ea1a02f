"""One `kubectl apply -k` installs everything, applied again it changes nothing, and what it installed says how it stands."""

import base64
import json

import pytest

from tests.e2e import people
from tests.e2e.conftest import group, store
from tests.e2e.installation import BROKER, SYSTEM, WEBHOOK, apply_system, difference, is_ready
from tests.e2e.kubectl import apply, every, get, kubectl, until
from tests.e2e.shared import only_here
from tests.e2e.values import GROUP, TENANT, digest, digest_of, fqn

KINDS = (
    "serviceaccounts,services,deployments,poddisruptionbudgets,networkpolicies,roles,rolebindings,clusterroles,clusterrolebindings,"
    "mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings,customresourcedefinitions,namespaces"
)


def test_applying_again_changes_nothing() -> None:
    """Not even after the webhook has set its caBundle and made its Secrets. kubectl calls a PodDisruptionBudget `configured` always."""
    assert difference() == ""
    before = versions()
    words = {line.rsplit(" ", 1)[1] for line in apply_system().text.splitlines() if not line.startswith("poddisruptionbudget")}
    assert words == {"unchanged"}
    assert versions() == before


def versions() -> dict[str, str]:
    """Of every object that is applied: one that was written has another."""
    return {f"{thing['kind']}/{thing['metadata']['name']}": thing["metadata"]["resourceVersion"] for thing in every(KINDS, SYSTEM)}


def test_two_webhooks_and_one_broker_with_the_embedded_store_are_available() -> None:
    counts = {name: get("deployment", name, SYSTEM)["status"]["availableReplicas"] for name in (WEBHOOK, BROKER)}
    assert counts == {WEBHOOK: 2, BROKER: 1}


def test_the_command_line_in_the_brokers_pod_finds_the_embedded_store() -> None:
    """By the cluster's own SecretStores; nothing but names is listed."""
    done = kubectl("-n", SYSTEM, "exec", f"deployment/{BROKER}", "--", "python", "-m", "broker", "secret", "list", GROUP, "--embedded")
    assert fqn("PLAIN") in done.text.splitlines()


def test_no_pod_of_ours_has_restarted() -> None:
    """A first start that crashes until something else is there would alarm whoever installs it."""
    restarts = {c["name"]: c["restartCount"] for pod in every("pods", SYSTEM) for c in pod["status"]["containerStatuses"]}
    assert set(restarts.values()) == {0}, restarts


def test_they_run_in_a_namespace_that_enforces_restricted() -> None:
    assert get("namespace", SYSTEM)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_disruption_budgets_and_network_policies_are_there() -> None:
    budgets = {thing["metadata"]["name"] for thing in every("poddisruptionbudgets", SYSTEM)}
    policies = {thing["metadata"]["name"] for thing in every("networkpolicies", SYSTEM)}
    assert budgets == {WEBHOOK, BROKER}
    assert policies == {WEBHOOK, BROKER, "tfy-secret-default-deny"}


def test_the_api_server_trusts_the_webhook_by_its_ca() -> None:
    configuration = get("mutatingwebhookconfiguration", WEBHOOK)
    bundles = {webhook["clientConfig"]["caBundle"] for webhook in configuration["webhooks"]}
    assert bundles == {get("secret", "tfy-secret-ca", SYSTEM)["data"]["ca.crt"]}
    assert base64.b64decode(bundles.pop()).startswith(b"-----BEGIN CERTIFICATE-----")


def test_a_store_and_a_group_that_work_say_so_in_their_status() -> None:
    for kind, name in (("secretstore", "e2e"), ("secretgroup", GROUP)):
        ready = until(f"{kind} {name} has a condition", lambda kind=kind, name=name: is_ready(kind, name))
        assert (ready["status"], ready["reason"]) == ("True", "Available"), ready


def test_a_group_without_its_store_says_what_is_missing() -> None:
    apply(group("e2e-orphan", store_name="e2e-nowhere"))
    ready = until("the orphan has a condition", lambda: is_ready("secretgroup", "e2e-orphan"))
    kubectl("delete", "secretgroup", "e2e-orphan")
    assert (ready["status"], ready["reason"]) == ("False", "StoreMissing")
    assert "e2e-nowhere" in ready["message"]


def test_kubectl_get_shows_names_and_state_of_stores_and_groups() -> None:
    stores, groups = (kubectl("get", kind).text for kind in ("secretstores", "secretgroups"))
    assert stores.splitlines()[0].split() == ["NAME", "FQN", "READY", "REASON", "SINCE", "AGE"]
    assert f"{TENANT}/embedded/e2e" in stores
    assert groups.splitlines()[0].split() == ["NAME", "STORE", "READY", "REASON", "SINCE", "AGE"]


def test_a_credential_in_a_manifest_is_refused_with_where_it_belongs() -> None:
    generic = {"generic": {"baseUrl": "https://store.example", "token": "not-a-real-one"}}
    manifest = json.dumps(store("e2e-credential", fqn=f"{TENANT}/generic/credential", provider=generic)).encode()
    refused = kubectl("create", "--dry-run=server", "-f", "-", stdin=manifest, check=False)
    assert refused.code != 0
    assert "put it in a file mounted into the broker" in refused.err


def test_a_secret_put_by_the_command_line_comes_back_exactly() -> None:
    """Through a pipe; `get` shows nothing on a terminal."""
    got = digest(people.secret("get", fqn("ALL_BYTES")).out)
    assert got == digest_of("ALL_BYTES")


def test_listing_shows_names_alone() -> None:
    listed = people.secret("list", GROUP).text.split()
    assert fqn("PLAIN") in listed
    assert all(name.startswith(f"tfy-secret://{TENANT}:{GROUP}:") for name in listed)


@only_here
@pytest.mark.parametrize(("token", "code"), [("token-root", 0), ("token-nobody", 1)], ids=["a-tenant-admin-may", "nobody-may-not"])
def test_a_persons_own_token_says_what_they_may(token: str, code: int) -> None:
    """The people of the shared cluster; overlay dev makes the team `tenant-admins` tenant admins."""
    done = people.secret("versions", fqn("PLAIN"), stdin=token.encode(), token_file="/dev/stdin", check=False)
    assert done.code == code, done
