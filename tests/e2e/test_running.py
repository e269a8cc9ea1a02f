"""While a pod runs: what is executed in it sees the variables, and a container that restarts in place has them again."""

from collections.abc import Iterator

import pytest

from tests.e2e import pods
from tests.e2e.kubectl import Object, kubectl
from tests.e2e.pods import REPORT, STAY, container, pod, told
from tests.e2e.values import digest_of, fqn

DB = {"DB": fqn("PLAIN")}
WORK: Object = {"volumeMounts": [{"name": "work", "mountPath": "/scratch"}]}
EMPTY = {"name": "work", "emptyDir": {}}
SAYS_RIGHT = f'test "$(printf %s "$DB" | sha256sum | cut -d" " -f1)" = {digest_of("PLAIN").split()[1]}'


def run(script: str) -> Object:
    return {"exec": {"command": ["sh", "-c", script]}}


def write(name: str) -> Object:
    """A hook that writes down whether the variable was right."""
    return run(f"if {SAYS_RIGHT}; then echo right; else echo wrong; fi >/scratch/{name}")


# Ready only while the variable is right; not alive once /scratch/stuck is there: then the kubelet runs preStop and starts it again.
PROBED = pod(
    "probed",
    container(
        env=DB,
        report=["env:DB"],
        after="\n[ -e /scratch/pre-stop ] || touch /scratch/stuck\n" + STAY,
        startupProbe=run(SAYS_RIGHT) | {"periodSeconds": 1, "failureThreshold": 30},
        readinessProbe=run(SAYS_RIGHT) | {"periodSeconds": 1},
        livenessProbe=run(f"{SAYS_RIGHT} && [ ! -e /scratch/stuck ]") | {"periodSeconds": 1, "failureThreshold": 1},
        lifecycle={
            "postStart": write("post-start"),
            "preStop": run(f"{write('pre-stop')['exec']['command'][2]}; rm -f /scratch/stuck"),
        },
        **WORK,
    ),
    restartPolicy="Always",
    volumes=[EMPTY],
)
CRASHING = pod(
    "crashing",
    container(env=DB, report=["env:DB"], after="\n[ -e /scratch/again ] || { touch /scratch/again; exit 7; }\n" + STAY, **WORK),
    restartPolicy="Always",
    volumes=[EMPTY],
)
PODS = {"probed": PROBED, "crashing": CRASHING}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    pods.start(PODS)
    yield
    pods.remove(*PODS.values())


def test_a_container_that_crashes_and_restarts_has_its_value_again() -> None:
    found = pods.when_ready(CRASHING, restarts=1)
    end = pods.ended(found, "app")
    assert end is not None
    assert end["exitCode"] == 7
    assert told(pods.APPS, "crashing")["env:DB"] == digest_of("PLAIN")


def test_a_restart_in_place_does_not_run_our_init_container_again() -> None:
    """The files stay for the life of the pod: no broker is needed for a restart."""
    found = pods.when_ready(CRASHING, restarts=1)
    assert pods.status_of(found, pods.INIT)["restartCount"] == 0


def test_exec_probes_see_the_variable() -> None:
    """Startup, readiness and liveness probe all compare its digest; the pod is ready, so they passed."""
    pods.when_ready(PROBED, restarts=1)


def test_hooks_see_the_variable() -> None:
    """postStart wrote it down, and preStop when the kubelet stopped the container that was not alive."""
    pods.when_ready(PROBED, restarts=1)
    assert _in_probed("cat /scratch/post-start /scratch/pre-stop").split() == ["right", "right"]


def test_kubectl_exec_sees_the_variable() -> None:
    pods.when_ready(PROBED, restarts=1)
    assert _in_probed(REPORT, "report", "env:DB").split(maxsplit=1)[1].strip() == digest_of("PLAIN")


def _in_probed(script: str, *words: str) -> str:
    return kubectl("-n", pods.APPS, "exec", "probed", "-c", "app", "--", "sh", "-c", script, *words).text
