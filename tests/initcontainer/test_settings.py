"""Settings: defaults for a pod, every fault together."""

import pytest

from contract import keys
from contract.plan import encode_plan
from initcontainer.errors import PlanBroken
from initcontainer.settings import SETTINGS, log_level, settings_from, termination_log
from tests.initcontainer.plans import PASSWORD, container, file, plan, variable

GOOD = encode_plan(plan(container(variable("A", PASSWORD)), broker="https://broker:8443"))


def test_in_a_pod_the_plan_is_all_that_is_given() -> None:
    found = settings_from({"TFY_SECRET_PLAN": GOOD})
    assert (found.token_file, found.volumes, found.deadline) == (keys.TOKEN_FILE, keys.VOLUMES_FOLDER, 120.0)
    assert (log_level({}), termination_log({})) == ("info", keys.TERMINATION_LOG)
    assert found.endpoint.port == 8443


def test_what_the_kubelet_adds_for_services_is_passed_over() -> None:
    """A Service `tfy-secret-broker` in the pod's namespace gives every pod TFY_SECRET_BROKER_* variables."""
    assert settings_from(
        {"TFY_SECRET_PLAN": GOOD, "TFY_SECRET_BROKER_SERVICE_HOST": "10.0.0.1", "TFY_SECRET_BROKER_PORT": "tcp://10.0.0.1:8443"}
    )


def test_every_fault_is_told_at_once() -> None:
    wrong = plan(
        container(variable("A", PASSWORD), mode="telepathy"),
        container(variable("B", PASSWORD), variable("B", PASSWORD), file("f", PASSWORD), name="two"),
        broker="http://broker",
    )
    environ = {
        "TFY_SECRET_PLAN": encode_plan(wrong),
        "TFY_SECRET_DEADLINE": "soon",
        "TFY_SECRET_LOG_LEVEL": "loud",
        "TFY_SECRET_VOLUMES": "",
    }
    with pytest.raises(PlanBroken) as caught:
        settings_from(environ)
    assert caught.value.problems == (
        "TFY_SECRET_LOG_LEVEL: found 'loud'; allowed: debug, info, warning, error",
        "TFY_SECRET_VOLUMES: found nothing; allowed: a path",
        "TFY_SECRET_DEADLINE: found 'soon'; allowed: seconds, from 1 to 3600",
        "TFY_SECRET_PLAN: container app: mode 'telepathy' is not known here; known: envfile, exec, files",
        "TFY_SECRET_PLAN: container two: two deliveries to 'env/B' of volume tfy-secret-two",
        "TFY_SECRET_PLAN: plan.broker: found 'http://broker'; allowed: an https URL such as https://broker.example:8443",
    )


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"version":2}'])
def test_a_plan_that_is_none_is_told(text: str | None) -> None:
    with pytest.raises(PlanBroken, match="^TFY_SECRET_PLAN: "):
        settings_from({} if text is None else {"TFY_SECRET_PLAN": text})


@pytest.mark.parametrize("deadline", ["0", "-1", "nan", "inf", "3601", ""])
def test_a_deadline_has_bounds(deadline: str) -> None:
    with pytest.raises(PlanBroken, match="TFY_SECRET_DEADLINE: found"):
        settings_from({"TFY_SECRET_PLAN": GOOD, "TFY_SECRET_DEADLINE": deadline})


def test_the_table_says_what_each_is() -> None:
    assert all(name.startswith("TFY_SECRET_") and doc.endswith(".") for name, _, doc in SETTINGS)
    assert len({name for name, _, _ in SETTINGS}) == len(SETTINGS)
