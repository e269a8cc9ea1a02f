"""While a pod of mode exec runs: exec probes and hooks see the variables, and a container that restarts has them again."""

from collections.abc import Iterator

import pytest

from tests.e2e import launched, pods
from tests.e2e.kubectl import get, kubectl
from tests.e2e.launched import LAUNCHER, VARIABLES, executed
from tests.e2e.pods import APPS, REPORT, STAY, container, pod, told
from tests.e2e.test_running import DB, EMPTY, SAYS_RIGHT, WORK, run, write
from tests.e2e.values import digest, digest_of, text

# In the words of a probe the launcher fills in `$(DB)`; in those of a hook the kubelet expands nothing, and neither does it.
BY_WORD = {"exec": {"command": ["sh", "-c", f'test "$1" = "$DB" && DB=$1 && {SAYS_RIGHT}', "probe", "$(DB)"]}}
HTTP = {"tcpSocket": {"port": 1}, "periodSeconds": 300, "initialDelaySeconds": 300}

# Ready only while the variable is right; not alive once /scratch/stuck is there: then the kubelet runs preStop and starts it again.
PROBED = pod(
    "x-probed",
    container(
        env=DB,
        report=["env:DB"],
        after="\n[ -e /scratch/pre-stop ] || touch /scratch/stuck\n" + STAY,
        startupProbe=run(SAYS_RIGHT) | {"periodSeconds": 1, "failureThreshold": 30},
        readinessProbe=BY_WORD | {"periodSeconds": 1},
        livenessProbe=run(f"{SAYS_RIGHT} && [ ! -e /scratch/stuck ]") | {"periodSeconds": 1, "failureThreshold": 1},
        lifecycle={
            "postStart": write("post-start"),
            "preStop": run(f"{write('pre-stop')['exec']['command'][2]}; rm -f /scratch/stuck"),
        },
        **WORK,
    ),
    container("beside", env=DB, after=STAY, livenessProbe=HTTP),
    restartPolicy="Always",
    volumes=[EMPTY],
)
CRASHING = pod(
    "x-crashing",
    container(env=DB, report=["env:DB"], after="\n[ -e /scratch/again ] || { touch /scratch/again; exit 7; }\n" + STAY, **WORK),
    restartPolicy="Always",
    volumes=[EMPTY],
)
PODS = {"x-probed": executed(PROBED), "x-crashing": executed(CRASHING)}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    launched.start(PODS)
    yield
    pods.remove(*PODS.values())


def test_a_container_that_crashes_and_restarts_has_its_value_again() -> None:
    """Its exit code is the app's, and our init container does not run again."""
    found = pods.when_ready(CRASHING, restarts=1)
    end = pods.ended(found, "app")
    assert end is not None
    assert end["exitCode"] == 7
    assert told(APPS, "x-crashing")["env:DB"] == digest_of("PLAIN")
    assert pods.status_of(found, pods.INIT)["restartCount"] == 0


def test_exec_probes_see_the_variable() -> None:
    """As a variable, and as `$(DB)` in their words; the pod is ready, so startup, readiness and liveness probe passed."""
    pods.when_ready(PROBED, restarts=1)


def test_hooks_see_the_variable() -> None:
    """postStart wrote it down, and preStop when the kubelet stopped the container that was not alive."""
    pods.when_ready(PROBED, restarts=1)
    done = kubectl("-n", APPS, "exec", "x-probed", "-c", "app", "--", "cat", "/scratch/post-start", "/scratch/pre-stop")
    assert done.text.split() == ["right", "right"]


def test_a_probe_that_executes_nothing_is_left_as_it_is() -> None:
    stored = {c["name"]: c for c in get("pod", "x-probed", APPS)["spec"]["containers"]}
    assert stored["app"]["livenessProbe"]["exec"]["command"][:2] == [LAUNCHER, VARIABLES]
    assert stored["beside"]["livenessProbe"]["tcpSocket"] == HTTP["tcpSocket"]


def test_kubectl_exec_sees_the_variable_through_the_launcher() -> None:
    """As docs/modes.md says; without it the variable is empty there, which is a limit of this mode."""
    pods.when_ready(PROBED, restarts=1)
    script = ["sh", "-c", REPORT, "report", "env:DB"]
    exec_in = ["-n", APPS, "exec", "x-probed", "-c", "app", "--"]
    assert kubectl(*exec_in, LAUNCHER, VARIABLES, *script).text.strip() == f"env:DB {digest_of('PLAIN')}"
    assert kubectl(*exec_in, *script).text.strip() == f"env:DB {digest(b'')}"


def test_the_value_is_in_no_place_that_the_api_shows() -> None:
    """Command, probes and hooks hold names and our mark alone."""
    stored = kubectl("-n", APPS, "get", "pod", "x-probed", "-o", "yaml").text
    leaked = text("PLAIN") in stored
    assert not leaked
