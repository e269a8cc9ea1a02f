"""A container without a command in mode exec: what its image starts comes from the registry, or its annotation, or it is refused.

The nodes have the image already, by the registry's name for it: this is about the webhook's look-up, not about pulling.
"""

from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import trustme

from tests.e2e import launched, pods, registry, scratch
from tests.e2e.installation import ROOT
from tests.e2e.kubectl import Object, apply, dry_run, kubectl, until
from tests.e2e.launched import executed
from tests.e2e.pods import APPS, pod, told
from tests.e2e.shared import load_archive, only_here
from tests.e2e.values import fqn, text

pytestmark = only_here
IMAGE = f"{registry.HOST}/team/report:1"
ENTRYPOINT, CMD = [scratch.ENTRYPOINT, "$(DB) stays"], ["of", "the image"]
OVERLAY = str(ROOT / "manifests/overlays/registry-secrets")
RIGHT, WRONG = "tfy-e2e-right", "tfy-e2e-wrong"
SECRETS = [registry.pull_secret(WRONG, "wrong"), registry.pull_secret(RIGHT)]


def bare(name: str, *secrets: str, **more: Any) -> Object:
    app = {"name": "app", "image": IMAGE, "imagePullPolicy": "Never", "env": [{"name": "DB", "value": fqn("PLAIN")}]}
    return executed(pod(name, app | more, imagePullSecrets=[{"name": secret} for secret in secrets]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Popen[bytes]]:
    """The registry with the image, nodes that have it, and a webhook that trusts the registry's CA."""
    folder: Path = tmp_path_factory.mktemp("registry")
    authority = trustme.CA()
    archive = scratch.archive(folder, IMAGE, ENTRYPOINT, CMD)
    with registry.running(folder, authority) as process:
        registry.push(folder, archive, IMAGE)
        load_archive(archive)
        with registry.trusted(authority):
            apply(*SECRETS)
            yield process
    kubectl("-n", APPS, "delete", "secret", RIGHT, WRONG)


def refusal(*secrets: str) -> str:
    done = dry_run(bare("x-refused", *secrets), namespace=APPS)
    assert done.code != 0, "the pod was admitted"
    return done.err


@pytest.mark.usefixtures("server")
def test_without_the_right_to_read_pull_secrets_a_private_image_is_refused_with_both_ways_out() -> None:
    """The annotation, and the overlay that gives the right."""
    message = refusal(RIGHT)
    assert "spec.containers[app]" in message
    assert "the annotation tfy-secret.dev/command.app" in message
    assert "manifests/overlays/registry-secrets" in message


@pytest.fixture(scope="module")
def allowed(server: Popen[bytes]) -> Iterator[Popen[bytes]]:
    """The overlay is applied, and the webhook has seen it: a refusal is remembered for two seconds."""
    kubectl("apply", "-k", OVERLAY)
    until("the webhook may read pull secrets", lambda: dry_run(bare("x-asked", RIGHT), namespace=APPS).code == 0 or None, 20.0)
    yield server
    kubectl("delete", "-k", OVERLAY)


@pytest.mark.usefixtures("allowed")
def test_with_it_entrypoint_and_cmd_of_the_image_run_and_have_the_value() -> None:
    """Two secrets for one registry, the first of them wrong, as the kubelet tries them. `$(DB)` of an image is no reference."""
    report = _run(bare("x-image", WRONG, RIGHT))
    assert report["env:DB"] == scratch.digest_of_text(text("PLAIN"))
    assert [report[f"word:{number}"] for number in range(4)] == [scratch.digest_of_text(word) for word in (*ENTRYPOINT, *CMD)]


@pytest.mark.usefixtures("allowed")
def test_args_of_the_pod_take_the_place_of_cmd() -> None:
    """By Kubernetes' rules; and `$(DB)` in them is the value."""
    report = _run(bare("x-image-args", RIGHT, args=["$(DB)"]))
    wanted = scratch.digest_of_text(text("PLAIN"))
    assert report["word:2"] == wanted
    assert "word:3" not in report


@pytest.mark.usefixtures("allowed")
def test_a_wrong_log_in_is_a_refusal_that_names_the_registry_and_shows_no_password() -> None:
    message = refusal(WRONG)
    assert registry.HOST in message
    assert registry.PASSWORD not in message


def test_a_registry_that_is_down_is_a_refusal_that_names_the_annotation(allowed: Popen[bytes]) -> None:
    """With another tag, of which nothing is remembered. A pod with the annotation needs no registry."""
    allowed.terminate()
    allowed.wait(10)
    unknown = bare("x-down", RIGHT, image=f"{registry.HOST}/team/report:2")
    done = dry_run(unknown, namespace=APPS)
    assert done.code != 0
    assert registry.HOST in done.err
    assert "the annotation tfy-secret.dev/command.app" in done.err
    annotated = dry_run(executed(unknown, command_app='["/report"]'), namespace=APPS)
    assert annotated.code == 0, annotated.err


def _run(thing: Object) -> dict[str, str]:
    name = thing["metadata"]["name"]
    launched.start({name: thing})
    pods.when_done(thing)
    found = told(APPS, name)
    pods.remove(thing)
    return found
