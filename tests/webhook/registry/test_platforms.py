import pytest

from webhook.registry.documents import Descriptor, PlatformEntry
from webhook.registry.platforms import Platform, choose, names


def entries(*platforms):
    """`os/architecture/variant`; "" for an entry without a platform."""
    found = []
    for text in platforms:
        os, architecture, variant = (text.split("/") + ["", ""])[:3]
        found.append(Descriptor(digest=text, platform=PlatformEntry(architecture, os, variant or None) if text else None))
    return found


@pytest.mark.parametrize(
    ("platforms", "wanted", "chosen"),
    [
        pytest.param(["linux/arm64", "linux/amd64"], Platform(), "linux/amd64", id="amd64-by-default"),
        pytest.param(["linux/arm64"], Platform(), "linux/arm64", id="else-what-there-is"),
        pytest.param(["windows/amd64", "linux/s390x", "linux/arm64"], Platform(), "linux/s390x", id="never-another-system"),
        pytest.param(["linux/arm64"], Platform("amd64", determined=True), None, id="unless-the-pod-says"),
        pytest.param(["windows/amd64"], Platform(), None, id="windows-alone"),
        pytest.param(["linux/amd64/v3", "linux/amd64/v2"], Platform(), "linux/amd64/v2", id="what-most-nodes-can"),
        pytest.param(["linux/amd64/v3", "linux/amd64"], Platform("amd64", "v2"), "linux/amd64", id="no-newer-variant-than-asked"),
        pytest.param(["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"], Platform("amd64", "v2"), "linux/amd64/v2", id="the-best-variant"),
        pytest.param(["linux/arm64/v8"], Platform("arm64", determined=True), "linux/arm64/v8", id="arm64-is-v8"),
        pytest.param(["linux/arm64"], Platform("arm64", "v8", determined=True), "linux/arm64", id="v8-is-arm64"),
        pytest.param(["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], Platform("arm", determined=True), "linux/arm/v7", id="arm-is-v7"),
        pytest.param(["linux/arm/v5", "linux/arm/v7"], Platform("arm", "v6", determined=True), "linux/arm/v5", id="armv6-cannot-run-v7"),
        pytest.param(["linux/riscv64"], Platform("riscv64", determined=True), "linux/riscv64", id="any-architecture"),
        pytest.param(["", "linux/amd64"], Platform(), "linux/amd64", id="an-entry-without-a-platform-is-last"),
        pytest.param([""], Platform("arm64", determined=True), "", id="but-it-will-do"),
        pytest.param(["unknown/unknown"], Platform(), None, id="unknown-is-never-run"),
        pytest.param([], Platform(), None, id="empty"),
    ],
)
def test_choosing(platforms, wanted, chosen):
    found = choose(entries(*platforms), wanted)
    assert (found.digest if found else None) == chosen


def test_attestations_are_skipped_by_their_annotation_too():
    """Some tools give them the platform of the image that they are about."""
    about, real = entries("linux/amd64", "linux/arm64")
    about.annotations = {"vnd.docker.reference.type": "attestation-manifest"}
    assert choose([about, real], Platform()) is real and choose([about], Platform()) is None


@pytest.mark.parametrize(
    ("selector", "platform"),
    [
        (None, Platform()),
        ({"disk": "ssd"}, Platform()),
        ({"kubernetes.io/arch": "arm64"}, Platform("arm64", determined=True)),
        ({"beta.kubernetes.io/arch": "arm64"}, Platform("arm64", determined=True)),
        ({"kubernetes.io/arch": None}, Platform()),
    ],
)
def test_the_pods_word(selector, platform):
    assert Platform.of_pod(selector) == platform


def test_names_for_a_message():
    assert names(entries("linux/arm64/v8", "unknown/unknown", "", "windows/amd64")) == ["linux/arm64/v8", "windows/amd64"]
