"""`kubectl apply --dry-run=server`: what would be stored, names only; and the tables of other suites, before a real API server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import ROOT
from tests.e2e.kubectl import Object, apply, documents, dry_run, find, kubectl, manifest
from tests.e2e.pods import APPS, INIT, container, pod
from tests.e2e.values import MARKERS, fqn
from tests.manifests.cases import CANARY, Case, load
from tests.webhook.pods import MANIFESTS

FOLDER = ROOT / "tests/golden"
# `between.yaml` stands for another webhook, which is not here.
GOLDEN = sorted(file.parent.name for file in FOLDER.glob("*/pod.yaml") if not (file.parent / "between.yaml").exists())
UNUSABLE = {"broken", "invalid"}  # the CRDs refuse them


def test_a_dry_run_shows_names_only_and_makes_nothing() -> None:
    done = dry_run(pod("only-shown", container(env={"DB": fqn("PLAIN")})), namespace=APPS)
    assert done.code == 0
    shown = json.loads(done.out)
    assert shown["spec"]["initContainers"][0]["name"] == INIT
    assert "fileKeyRef" in shown["spec"]["containers"][0]["env"][0]["valueFrom"]
    assert not any(marker in done.text for marker in MARKERS)
    assert find("pod", "only-shown", APPS) is None


def test_apply_says_so_for_a_manifest_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pod.json"
    file.write_text(json.dumps(pod("only-shown", container(env={"DB": fqn("PLAIN")}))))
    done = kubectl("apply", "--dry-run=server", "-f", str(file), "-o", "yaml")
    assert fqn("PLAIN").removeprefix("tfy-secret://") in done.text
    assert not any(marker in done.text for marker in MARKERS)


def test_an_injected_pod_given_again_stays_as_it_is() -> None:
    """What `webhook inject` printed, or a backup: mutate(mutate(p)) = mutate(p), through the real API server."""
    first = json.loads(dry_run(pod("again", container(env={"DB": fqn("PLAIN")})), namespace=APPS).out)
    for field in ("uid", "creationTimestamp", "managedFields", "resourceVersion"):
        first["metadata"].pop(field, None)
    second = json.loads(dry_run(first, namespace=APPS).out)
    assert second["spec"] == first["spec"]


@pytest.fixture(scope="module")
def golden_world() -> Iterator[None]:
    """The stores and groups that the golden pods speak of; their namespace `shop` is ours here, so that no real one is touched."""
    known = [thing for thing in json.loads(_moved(json.dumps(MANIFESTS))) if thing["metadata"]["name"] not in UNUSABLE]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": APPS}}
    apply(account, *known)
    yield
    kubectl("delete", *(f"{thing['kind'].lower()}/{thing['metadata']['name']}" for thing in known))


def _moved(text: str) -> str:
    return text.replace("namespace:shop", f"namespace:{APPS}").replace("serviceaccount:shop/", f"serviceaccount:{APPS}/")


@pytest.mark.usefixtures("golden_world")
@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_pod_is_taken_as_its_pair_says(name: str) -> None:
    """By the real API server and the real webhook: the same containers in the same order, the same volumes."""
    (whole,) = documents((FOLDER / name / "pod.yaml").read_text())
    (pair,) = documents((FOLDER / name / "patched.yaml").read_text())
    whole["metadata"] = whole["metadata"] | {"namespace": APPS}
    done = dry_run(whole, namespace=APPS)
    assert done.code == 0, done.err
    stored = json.loads(done.out)["spec"]
    assert _names(stored, "initContainers") == _names(pair["spec"], "initContainers")
    assert _names(stored, "volumes") == _names(pair["spec"], "volumes")


def _names(spec: Object, field: str) -> list[str]:
    """But for the volume of the service account's token, which the API server names at random."""
    return [item["name"] for item in spec.get(field) or [] if not item["name"].startswith("kube-api-access-")]


@pytest.mark.parametrize("case", load(), ids=str)
def test_the_crds_take_and_refuse_the_manifests_of_the_table(case: Case) -> None:
    """As a folder of manifests does; and never show what was written where a credential stands."""
    done = kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest(case.manifest), check=False)
    assert done.code == (0 if case.crd is None else 1), done.err
    assert (case.crd or "") in done.err
    assert CANARY not in done.err
