"""`kubectl apply --dry-run=server`: what would be stored, names only; and the tables of other suites, before a real API server."""

import json
from pathlib import Path

import pytest

from tests.e2e.installation import ROOT
from tests.e2e.kubectl import documents, dry_run, find, kubectl, manifest
from tests.e2e.pods import APPS, INIT, container, pod
from tests.e2e.values import MARKERS, fqn
from tests.manifests.cases import CANARY, Case, load

# Golden pods that the planning core's own tests compare with; none yet is no fault of this suite.
GOLDEN = sorted(ROOT.glob("tests/**/golden/**/patched.yaml"))


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


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.parent.name)
def test_the_api_server_takes_every_golden_pod(file: Path) -> None:
    """As the planning core patched it; in a namespace that is not labelled, so that no other groups are needed."""
    (whole,) = documents(file.read_text())
    whole["metadata"] = {"name": "golden"}
    whole["spec"].pop("nodeName", None)
    whole["spec"].pop("serviceAccountName", None)
    done = dry_run(whole, namespace="default")
    assert done.code == 0, done.err


@pytest.mark.parametrize("case", load(), ids=str)
def test_the_crds_take_and_refuse_the_manifests_of_the_table(case: Case) -> None:
    """As a folder of manifests does; and never show what was written where a credential stands."""
    done = kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest(case.manifest), check=False)
    assert done.code == (0 if case.crd is None else 1), done.err
    assert (case.crd or "") in done.err
    assert CANARY not in done.err
