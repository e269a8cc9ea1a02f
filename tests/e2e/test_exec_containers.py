"""Containers of every kind in mode exec: init containers, native sidecars, scratch images, users and groups, two apart from each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import launched, pods, scratch
from tests.e2e.conftest import STRICT
from tests.e2e.early import template
from tests.e2e.kubectl import Object, condition, every, get, kubectl, until
from tests.e2e.launched import VARIABLES, digest_of_file, executed
from tests.e2e.pods import APPS, STAY, container, picture, pod, told
from tests.e2e.shared import load_image, only_here
from tests.e2e.test_files import file
from tests.e2e.test_security import EXACT, RESTRICTED
from tests.e2e.values import digest_of, fqn, text

SCRATCH_IMAGE = "localhost/tfy-e2e-scratch-exec:1"
DB = {"DB": fqn("PLAIN")}
OTHER = {"OTHER": fqn("OTHER")}
BOTH = ["env:DB", "env:OTHER", f"file:{VARIABLES}", "mounts", "tokens"]
USER = ["env:DB", "user", f"mode:{VARIABLES}"]

SIDECAR = container("sidecar", env=OTHER, report=["env:OTHER"], after=STAY, restartPolicy="Always")
PODS = {
    thing["metadata"]["name"]: executed(thing)
    for thing in (
        pod(
            "x-kinds",
            container(report=["env:DB", "env:OTHER", "mounts"]),
            initContainers=[container("prepare", env=DB, report=["env:DB"]), SIDECAR],
        ),
        pod(
            "x-apart",
            container("one", env=DB, report=BOTH),
            container("two", env=OTHER, report=BOTH),
            automountServiceAccountToken=False,
        ),
        pod(
            "x-restricted",
            container(env=DB, report=USER, securityContext=RESTRICTED),
            namespace=STRICT,
            securityContext={"runAsUser": 1000},
        ),
        pod("x-as-root", container(env=DB, report=USER), securityContext={"runAsUser": 0, "runAsGroup": 0}),
        pod(
            "x-as-user", container(env=DB, report=USER), securityContext={"runAsUser": 4242, "runAsGroup": 4242, "supplementalGroups": [7]}
        ),
        pod("x-of-group", container(env=DB, report=USER), securityContext={"runAsUser": 4242, "fsGroup": 4243}),
        pod("x-guaranteed", container(env=DB, report=["env:DB"], **EXACT)),
        pod(
            "x-files",
            container(env=DB, report=["env:DB", "file:/etc/app/key", "file:/etc/app/bytes", "kept:/etc/passwd"]),
            files=[file("/etc/app/key", "PEM"), file("/etc/app/bytes", "ALL_BYTES")],
        ),
    )
}
# The container says neither command nor args, and no registry knows the image: the annotation says what it runs.
SCRATCH: Object = {"name": "app", "image": SCRATCH_IMAGE, "imagePullPolicy": "Never", "env": [{"name": "DB", "value": fqn("PLAIN")}]}
BARE = executed(pod("x-scratch", SCRATCH), command_app='["/report", "two words"]')
TEMPLATE = executed(template("x-job"))
JOB: Object = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "x-job", "namespace": APPS},
    "spec": {"template": TEMPLATE, "backoffLimit": 0},
}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    launched.start(PODS | {"x-job": JOB})
    yield
    pods.remove(*PODS.values(), JOB)


def test_an_init_container_has_its_value() -> None:
    assert pods.report_of(PODS["x-kinds"], "prepare")["env:DB"] == digest_of("PLAIN")


def test_a_native_sidecar_has_its_value() -> None:
    assert pods.report_of(PODS["x-kinds"], "sidecar")["env:OTHER"] == digest_of("OTHER")


def test_a_container_without_references_is_left_alone() -> None:
    assert pods.report_of(PODS["x-kinds"]) == {"env:DB": "unset", "env:OTHER": "unset", "mounts": "0"}
    assert get("pod", "x-kinds", APPS)["spec"]["containers"][0]["command"][0] == "sh"


def test_two_containers_cannot_see_each_others_values() -> None:
    """Each has one mount of ours, with a file of its own variables and no other, and neither has a token."""
    files = {"one": digest_of_file(DB=text("PLAIN")), "two": digest_of_file(OTHER=text("OTHER"))}
    one, two = (pods.report_of(PODS["x-apart"], name) for name in ("one", "two"))
    alike = {"mounts": "1", "tokens": "0"}
    assert one == alike | {"env:DB": digest_of("PLAIN"), "env:OTHER": "unset", f"file:{VARIABLES}": files["one"]}
    assert two == alike | {"env:DB": "unset", "env:OTHER": digest_of("OTHER"), f"file:{VARIABLES}": files["two"]}


def test_each_container_mounts_its_own_volume_alone_and_read_only() -> None:
    spec = get("pod", "x-apart", APPS)["spec"]
    mounts = {c["name"]: [(mount["name"], mount["readOnly"]) for mount in c["volumeMounts"]] for c in spec["containers"]}
    assert mounts == {"one": [("tfy-secrets-one", True)], "two": [("tfy-secrets-two", True)]}
    assert {volume["emptyDir"]["medium"] for volume in spec["volumes"] if "emptyDir" in volume} == {"Memory"}


def test_a_namespace_that_enforces_restricted_takes_the_pod() -> None:
    """Non-root, read-only root file system, no capability: the launcher needs nothing of the image and nothing to write."""
    assert pods.report_of(PODS["x-restricted"]) == {"env:DB": digest_of("PLAIN"), "user": "1000", f"mode:{VARIABLES}": "444"}


@pytest.mark.parametrize(("name", "user"), [("x-as-root", "0"), ("x-as-user", "4242"), ("x-of-group", "4242")])
def test_whatever_user_and_group_the_app_has_it_reads_its_variables(name: str, user: str) -> None:
    report = pods.report_of(PODS[name])
    assert (report["env:DB"], report["user"]) == (digest_of("PLAIN"), user)


def test_a_guaranteed_pod_stays_guaranteed() -> None:
    assert pods.report_of(PODS["x-guaranteed"])["env:DB"] == digest_of("PLAIN")
    assert get("pod", "x-guaranteed", APPS)["status"]["qosClass"] == "Guaranteed"


def test_files_come_beside_the_variables() -> None:
    report = pods.report_of(PODS["x-files"])
    assert report == {
        "env:DB": digest_of("PLAIN"),
        "file:/etc/app/key": digest_of("PEM"),
        "file:/etc/app/bytes": digest_of("ALL_BYTES"),
        "kept:/etc/passwd": "yes",
    }


def test_a_job_completes_and_has_its_value() -> None:
    until(
        "the job is complete",
        lambda: True if condition(get("job", "x-job", APPS), "Complete").get("status") == "True" else None,
        pods.READY_SECONDS,
        lambda: picture(APPS),
    )
    (found,) = every("pods", APPS, "-l", "batch.kubernetes.io/job-name=x-job")
    assert told(APPS, found["metadata"]["name"])["env:DB"] == digest_of("PLAIN")


@only_here
def test_an_image_of_one_static_binary_has_its_value_by_the_annotation(tmp_path: Path) -> None:
    """FROM scratch, without a command: `tfy-secret.dev/command.<container>` says it, and no registry is asked."""
    load_image(SCRATCH_IMAGE, scratch.program(tmp_path), [scratch.ENTRYPOINT])
    launched.start({"x-scratch": BARE})
    pods.when_done(BARE)
    report = told(APPS, "x-scratch")
    kubectl("-n", APPS, "delete", "pod", "x-scratch", "--wait=false")
    wanted = scratch.digest_of_text(text("PLAIN"))
    assert report["env:DB"] == wanted
    assert report["word:1"] == scratch.digest_of_text("two words")
