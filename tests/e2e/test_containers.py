"""Containers of every kind: init containers, native sidecars, an image without a shell, two that must not know of each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import pods, scratch
from tests.e2e.kubectl import get, kubectl
from tests.e2e.pods import STAY, container, pod, told
from tests.e2e.shared import load_image, only_here
from tests.e2e.values import digest_of, fqn, text

SCRATCH_IMAGE = "localhost/tfy-e2e-scratch:1"
DB = {"DB": fqn("PLAIN")}
OTHER = {"OTHER": fqn("OTHER")}

SIDECAR = container("sidecar", env=OTHER, report=["env:OTHER"], after=STAY, restartPolicy="Always")
PODS = {
    thing["metadata"]["name"]: thing
    for thing in (
        pod(
            "kinds",
            container(report=["env:DB", "env:OTHER", "mounts"]),
            initContainers=[container("prepare", env=DB, report=["env:DB"]), SIDECAR],
        ),
        pod(
            "apart",
            container("one", env=DB, report=["env:DB", "env:OTHER", "mounts", "tokens"]),
            container("two", env=OTHER, report=["env:DB", "env:OTHER", "mounts", "tokens"]),
            automountServiceAccountToken=False,
        ),
        pod("service-token", container(env=DB, report=["env:DB", "tokens"])),
    )
}
# The container says neither command nor args: the entrypoint is the image's.
SCRATCH = pod(
    "scratch", {"name": "app", "image": SCRATCH_IMAGE, "imagePullPolicy": "Never", "env": [{"name": "DB", "value": fqn("PLAIN")}]}
)


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    pods.start(PODS)
    yield
    pods.remove(*PODS.values())


def test_an_init_container_has_its_value() -> None:
    assert pods.report_of(PODS["kinds"], "prepare")["env:DB"] == digest_of("PLAIN")


def test_a_native_sidecar_has_its_value() -> None:
    assert pods.report_of(PODS["kinds"], "sidecar")["env:OTHER"] == digest_of("OTHER")


def test_a_container_without_references_is_left_alone() -> None:
    """Not one of the others' variables, and none of our volumes."""
    assert pods.report_of(PODS["kinds"]) == {"env:DB": "unset", "env:OTHER": "unset", "mounts": "0"}


def test_exactly_one_init_container_is_added_and_it_is_the_first() -> None:
    names = [c["name"] for c in get("pod", "kinds", pods.APPS)["spec"]["initContainers"]]
    assert names == [pods.INIT, "prepare", "sidecar"]


def test_two_containers_cannot_see_each_others_values() -> None:
    """Neither the variable, nor the volume that it came from, nor the token that it was fetched with."""
    one, two = (pods.report_of(PODS["apart"], name) for name in ("one", "two"))
    assert one == {"env:DB": digest_of("PLAIN"), "env:OTHER": "unset", "mounts": "0", "tokens": "0"}
    assert two == {"env:DB": "unset", "env:OTHER": digest_of("OTHER"), "mounts": "0", "tokens": "0"}


def test_each_container_has_a_volume_in_memory_of_its_own_that_only_our_container_mounts() -> None:
    spec = get("pod", "apart", pods.APPS)["spec"]
    volumes = {volume["name"]: volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume}
    assert {name: source["medium"] for name, source in volumes.items()} == {"tfy-secrets-one": "Memory", "tfy-secrets-two": "Memory"}
    assert all("sizeLimit" in source for source in volumes.values())
    assert [mount["name"] for c in spec["containers"] for mount in c.get("volumeMounts", [])] == []


def test_automount_service_account_token_false_is_respected_and_no_obstacle() -> None:
    assert pods.report_of(PODS["apart"], "one")["tokens"] == "0"
    assert pods.report_of(PODS["apart"], "one")["env:DB"] == digest_of("PLAIN")


def test_the_report_on_tokens_can_find_one() -> None:
    """Without this the two tests above could not fail."""
    assert pods.report_of(PODS["service-token"]) == {"env:DB": digest_of("PLAIN"), "tokens": "1"}


@only_here
def test_an_image_of_one_static_binary_without_a_command_has_its_value(tmp_path: Path) -> None:
    """FROM scratch: no shell, no libc, nothing to wrap; the entrypoint is the image's own."""
    load_image(SCRATCH_IMAGE, scratch.program(tmp_path), [scratch.ENTRYPOINT])
    pods.start({"scratch": SCRATCH})
    pods.when_done(SCRATCH)
    report = told(pods.APPS, "scratch")
    kubectl("-n", pods.APPS, "delete", "pod", "scratch", "--wait=false")
    wanted = scratch.digest_of_text(text("PLAIN"))
    assert report["env:DB"] == wanted
