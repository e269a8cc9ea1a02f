"""Secrets as files: any bytes, exactly, where Kubernetes can mount them, readable by whom the pod says."""

from collections.abc import Iterator

import pytest

from tests.e2e import pods
from tests.e2e.kubectl import Object, dry_run
from tests.e2e.pods import container, pod
from tests.e2e.values import CARRIED, REFUSED, digest, digest_of, fqn


def file(path: str, key: str, **more: object) -> Object:
    return {"mount_path": path, "secret_fqn": fqn(key), **more}


WORK: Object = {"volumeMounts": [{"name": "work", "mountPath": "/scratch"}]}
EMPTY = {"name": "work", "emptyDir": {}}
CLASSES = (*CARRIED, *REFUSED, "ALL_BYTES")

PODS = {
    thing["metadata"]["name"]: thing
    for thing in (
        pod(
            "folder",
            container(
                env={"DB": fqn("OTHER")},
                report=[
                    *("file:/etc/app/one", "file:/etc/app/two", "file:/etc/app/deep/three", "file:/etc/secret"),
                    *("mode:/etc/app/one", "mode:/etc/app/two", "kept:/etc/passwd", "env:DB"),
                ],
            ),
            files=[
                file("/etc/app/one", "PLAIN"),
                file("/etc/app/two", "OTHER", mode="0555"),
                file("/etc/app/deep/three", "PEM"),
                file("/etc/secret", "PLAIN"),
            ],
        ),
        pod(
            "in-a-volume",
            container(report=["file:/scratch/inside/key", "kept:/scratch/mine"], **WORK),
            files=[file("/scratch/inside/key", "PLAIN")],
            initContainers=[container("writer", after="\necho mine >/scratch/mine\n", **WORK)],
            volumes=[EMPTY],
        ),
        pod(
            "own-user",
            container(report=["file:/key", "mode:/key", "user"]),
            files=[file("/key", "PLAIN", mode="0400")],
            securityContext={"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": True},
        ),
        pod(
            "own-group",
            container(report=["file:/key", "mode:/key", "user"]),
            files=[file("/key", "PLAIN", mode="0440")],
            securityContext={"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000, "runAsNonRoot": True},
        ),
        pod(
            "one-of-two",
            container("with", report=["file:/key", "mounts"]),
            container("without", report=["file:/key", "mounts"]),
            files=[file("/key", "PLAIN", containers=["with"])],
        ),
        pod(
            "absent",
            container(report=["file:/maybe", "file:/key"]),
            files=[{"mount_path": "/maybe", "secret_fqn": fqn("NEVER_STORED") + "?optional=true"}, file("/key", "PLAIN")],
        ),
        pod(
            "classes",
            container(report=[f"file:/s/{key}" for key in CLASSES]),
            files=[file(f"/s/{key}", key) for key in CLASSES],
        ),
    )
}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    pods.start(PODS)
    yield
    pods.remove(*PODS.values())


def test_several_files_under_one_folder_and_beside_variables() -> None:
    report = pods.report_of(PODS["folder"])
    assert report["file:/etc/app/one"] == digest_of("PLAIN")
    assert report["file:/etc/app/two"] == digest_of("OTHER")
    assert report["file:/etc/app/deep/three"] == digest_of("PEM")
    assert report["env:DB"] == digest_of("OTHER")


def test_a_folder_of_the_image_keeps_its_content() -> None:
    report = pods.report_of(PODS["folder"])
    assert (report["file:/etc/secret"], report["kept:/etc/passwd"]) == (digest_of("PLAIN"), "yes")


def test_a_file_has_the_mode_that_was_asked_for() -> None:
    report = pods.report_of(PODS["folder"])
    assert (report["mode:/etc/app/one"], report["mode:/etc/app/two"]) == ("444", "555")


def test_a_file_inside_an_emptydir_leaves_the_rest_of_it_alone() -> None:
    assert pods.report_of(PODS["in-a-volume"]) == {"file:/scratch/inside/key": digest_of("PLAIN"), "kept:/scratch/mine": "yes"}


def test_a_file_for_its_owner_alone_is_readable_by_the_user_of_the_pod() -> None:
    assert pods.report_of(PODS["own-user"]) == {"file:/key": digest_of("PLAIN"), "mode:/key": "400", "user": "1000"}


def test_a_file_for_a_group_is_readable_through_fsgroup() -> None:
    report = pods.report_of(PODS["own-group"])
    assert (report["file:/key"], report["user"]) == (digest_of("PLAIN"), "1000")
    assert report["mode:/key"][-1] == "0", "others may read it"


def test_a_file_for_one_container_is_not_in_another() -> None:
    assert pods.report_of(PODS["one-of-two"], "with")["file:/key"] == digest_of("PLAIN")
    assert pods.report_of(PODS["one-of-two"], "without") == {"file:/key": "missing", "mounts": "0"}


def test_an_optional_file_that_is_not_there_is_empty_and_the_pod_starts() -> None:
    assert pods.report_of(PODS["absent"]) == {"file:/maybe": digest(b""), "file:/key": digest_of("PLAIN")}


@pytest.mark.parametrize("key", CLASSES)
def test_every_class_of_bytes_arrives_exactly_as_a_file(key: str) -> None:
    """Those too that no environment variable can carry."""
    assert pods.report_of(PODS["classes"])[f"file:/s/{key}"] == digest_of(key)


def test_a_file_inside_a_read_only_volume_is_refused_with_the_reason() -> None:
    config = {"name": "work", "configMap": {"name": "kube-root-ca.crt"}}
    refused = dry_run(pod("read-only", container(**WORK), files=[file("/scratch/key", "PLAIN")], volumes=[config]), namespace=pods.APPS)
    assert refused.code != 0
    assert "inside the read-only mount '/scratch'" in refused.err
