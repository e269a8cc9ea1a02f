"""The app's process in mode exec is the one that it would be without us: PID 1, words, signals, exit code, streams, folder."""

from collections.abc import Iterator

import pytest

from tests.e2e import launched, pods
from tests.e2e.kubectl import Object, kubectl
from tests.e2e.launched import executed
from tests.e2e.pods import APPS, REPORT, container, pod
from tests.e2e.test_running import EMPTY, WORK
from tests.e2e.values import digest, digest_of, fqn

DB = {"DB": fqn("PLAIN")}
WORDS = ["a  b ", "'\"\\`", "one\ntwo\n", "", "*", "$$HOME", "--", "\u00e9\U0001f511", "$(", "tab\t"]
CMDLINE = ["sh", "-c", REPORT, "report", "env:DB", "file:/proc/1/cmdline", *WORDS]
EXIT_CODE, SIGTERM_SECONDS = 42, 0.1

# Both moments are read from the same clock, in the container. Hundredths of a second.
CLOCK = "read now rest </proc/uptime; echo $now"
TRAPPED = f"""
if [ -e /scratch/termed ]; then rm -f /scratch/stuck; cat /scratch/asked /scratch/termed; else touch /scratch/stuck; fi
trap '{{ {CLOCK}; }} >/scratch/termed; exit {EXIT_CODE}' TERM
while :; do sleep 3600 & wait $!; done
"""


def exec_in(script: str) -> Object:
    return {"exec": {"command": ["sh", "-c", script]}}


def signalled(name: str, asked: str) -> Object:
    """Not alive once: the kubelet runs preStop, and stops it as it stops every container."""
    made = container(
        env=DB,
        livenessProbe=exec_in("[ ! -e /scratch/stuck ]") | {"periodSeconds": 1, "failureThreshold": 1},
        lifecycle={"preStop": exec_in(f"{{ {CLOCK}; }} >/scratch/asked; {asked}")},
        **WORK,
    )
    made["command"] = ["sh", "-c", TRAPPED]
    return pod(name, made, restartPolicy="Always", volumes=[EMPTY], terminationGracePeriodSeconds=30)


def plain(name: str, script: str, **more: object) -> Object:
    made = container(env=DB, **more)
    made["command"] = ["sh", "-c", script]
    return pod(name, made)


def verbatim() -> Object:
    made = container(env=DB)
    made["command"] = ["sh", "-c", REPORT.replace("$", "$$"), "report"]
    made["args"] = [word.replace("$$", "$$$$") for word in CMDLINE[4:]]
    return pod("x-words", made)


BY_KUBELET, BY_NEIGHBOUR = signalled("x-stopped", "true"), signalled("x-signalled", "kill -TERM 1")
PODS = {
    thing["metadata"]["name"]: executed(thing)
    for thing in (
        BY_KUBELET,
        BY_NEIGHBOUR,
        verbatim(),
        plain(
            "x-first",
            'echo "pid $$$$"; echo "name $(cat /proc/1/comm)"; echo "cwd $PWD"; exec /bin/busybox ls /proc/self/fd',
            workingDir="/var",
        ),
        plain("x-code", f"exit {EXIT_CODE}"),
        pod("x-nothing", container(env=DB) | {"command": ["/no/such/program", "x"]}),
        pod("x-folder", container(env=DB) | {"command": ["/etc"]}),
    )
}


@pytest.fixture(scope="module", autouse=True)
def started() -> Iterator[None]:
    launched.start(PODS)
    yield
    pods.remove(*PODS.values())


def test_the_words_of_the_command_line_are_verbatim() -> None:
    """Blanks, quotes, newlines, an empty word, what looks like a pattern or a variable; and the launcher is not among them."""
    expected = digest("".join(f"{word}\0" for word in CMDLINE))
    report = pods.report_of(PODS["x-words"])
    assert report["env:DB"] == digest_of("PLAIN")
    assert report["file:/proc/1/cmdline"] == expected


def test_the_app_is_process_1_in_the_folder_that_it_asked_for() -> None:
    report = pods.report_of(PODS["x-first"])
    assert (report["pid"], report["name"], report["cwd"]) == ("1", "sh", "/var")


@pytest.mark.parametrize("thing", [BY_KUBELET, BY_NEIGHBOUR], ids=["of-the-kubelet", "of-a-process-beside-it"])
def test_sigterm_reaches_the_app_and_its_exit_code_is_kept(thing: Object) -> None:
    """One that it did not reach would be killed after 30 s, with another code."""
    end = pods.ended(pods.when_ready(thing, restarts=1), "app")
    assert end is not None
    assert end["exitCode"] == EXIT_CODE


def test_sigterm_arrives_within_a_tenth_of_a_second() -> None:
    """From a process in the container, so that the time that kubelet and runtime take to send theirs is not in it."""
    pods.when_ready(BY_NEIGHBOUR, restarts=1)
    asked, termed = map(float, kubectl("-n", APPS, "logs", "x-signalled", "-c", "app").text.split())
    assert 0 <= termed - asked < SIGTERM_SECONDS


@pytest.mark.parametrize(("name", "code"), [("x-code", EXIT_CODE), ("x-nothing", 127), ("x-folder", 126)])
def test_the_exit_code_is_the_apps_or_what_a_shell_would_give(name: str, code: int) -> None:
    """127: no such program, 126: it cannot be executed."""
    end = pods.ended(pods.when_failed(PODS[name]), "app")
    assert end is not None
    assert end["exitCode"] == code


@pytest.mark.parametrize(("name", "program"), [("x-nothing", "/no/such/program"), ("x-folder", "/etc")])
def test_a_program_that_cannot_start_is_named_in_the_log(name: str, program: str) -> None:
    pods.when_failed(PODS[name])
    assert program in kubectl("-n", APPS, "logs", name, "-c", "app").text
