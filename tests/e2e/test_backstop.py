"""Behind the webhook: in a labelled namespace no process starts with a reference where its secret belongs, however it got there."""

import pytest

from tests.e2e.kubectl import Done, Object, dry_run, kubectl
from tests.e2e.pods import APPS, SHELL_IMAGE, container, pod
from tests.e2e.values import fqn


def opted_out(**more: object) -> Object:
    """A pod that the webhook is not asked about."""
    thing = pod("opted-out", container(**more))  # type: ignore[arg-type]
    thing["metadata"]["labels"]["tfy-secret.dev/inject"] = "disabled"
    return thing


@pytest.mark.parametrize(
    ("more", "where"),
    [
        pytest.param({"env": {"DB": fqn("PLAIN")}}, "env of app", id="in-env"),
        pytest.param({"env": {"DB": f"Bearer {fqn('PLAIN')}"}}, "env of app", id="inside-a-value"),
        pytest.param({"args": [f"--password={fqn('PLAIN')}"]}, "command or args of app", id="in-args"),
    ],
)
def test_a_raw_reference_that_passed_by_the_webhook_is_refused(more: Object, where: str) -> None:
    refused = dry_run(opted_out(**more), namespace=APPS)
    assert refused.code != 0
    assert "ValidatingAdmissionPolicy 'tfy-secret-backstop'" in refused.err
    assert where in refused.err


def test_a_pod_that_opted_out_and_has_no_reference_is_admitted_as_it_is() -> None:
    assert dry_run(opted_out(env={"DB": "plain"}), namespace=APPS).code == 0


def test_a_raw_reference_in_an_ephemeral_container_is_refused() -> None:
    """`kubectl debug`: no init container can run for it."""
    refused = _debug(f"--env=DB={fqn('PLAIN')}")
    assert refused.code != 0
    assert "an ephemeral container cannot get secrets" in refused.err


def test_an_ephemeral_container_without_a_reference_is_admitted() -> None:
    assert _debug("--env=DB=plain").code == 0


def test_an_unlabelled_namespace_is_none_of_our_business() -> None:
    thing = pod("elsewhere", container(env={"DB": fqn("PLAIN")}), namespace="default")
    done = dry_run(thing, namespace="default")
    assert done.code == 0
    assert b"tfy-secret-init" not in done.out


def _debug(env: str) -> Done:
    return kubectl("-n", APPS, "debug", "asker", f"--image={SHELL_IMAGE}", env, "--", "true", check=False)
