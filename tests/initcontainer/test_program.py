"""The whole program as the kubelet runs it, against a broker over TLS, onto tmpfs."""

import json
import os
import signal
import subprocess
import sys

import pytest

from contract.envfile import parse
from contract.keys import ENVFILE_KEY
from initcontainer import __main__ as program
from tests.initcontainer.broker import answers, keeps_silent, sends, status
from tests.initcontainer.conftest import ROOT, TOKEN, Pod
from tests.initcontainer.plans import HOST, PASSWORD, PATH, container, digest, file, variable

CANARY = "canary-value-e30f"
BINARY = bytes(range(256))
APP = container(
    variable("PASSWORD", PASSWORD),
    variable("URL", "postgres://app:", PASSWORD, "@", HOST, "/app"),
    variable("MAYBE", "tfy-secret://acme:payments:MAYBE?optional=true"),
    file("key.bin", PATH, 0o440),
)
FOUND = {PASSWORD: CANARY.encode(), HOST: b"db", PATH: BINARY}


def line_of(pod: Pod, ended) -> dict[str, object]:
    return json.loads(ended.output.reveal().splitlines()[-1])


def test_values_reach_their_files(pod: Pod) -> None:
    pod.broker.script = [answers(FOUND)]
    side = container(variable("PASSWORD", PASSWORD), name="side")
    ended = pod.run(APP, side)
    assert (ended.code, ended.message) == (0, "")
    env = {name: parse(pod.content(f"tfy-secret-app/env/{name}"), ENVFILE_KEY) for name in ("PASSWORD", "URL", "MAYBE")}
    assert digest(env["PASSWORD"]) == digest(CANARY.encode())
    assert digest(env["URL"]) == digest(f"postgres://app:{CANARY}@db/app".encode())
    assert env["MAYBE"] == b""
    assert pod.content("tfy-secret-app/files/key.bin") == BINARY
    assert pod.files() == [
        *(f"tfy-secret-app/{p}" for p in ("env/MAYBE", "env/PASSWORD", "env/URL", "files/key.bin")),
        "tfy-secret-side/env/PASSWORD",
    ]
    assert oct((pod.memory / "tfy-secret-app/files/key.bin").stat().st_mode & 0o777) == "0o440"
    assert line_of(pod, ended)["event"] == "delivered"
    assert not ended.shows(CANARY)
    assert not ended.shows(TOKEN)


def test_running_again_is_safe_and_takes_new_values(pod: Pod) -> None:
    pod.broker.script = [answers(FOUND), answers(FOUND), answers({**FOUND, PASSWORD: b"rotated"})]
    for value in (CANARY.encode(), CANARY.encode(), b"rotated"):
        assert pod.run(APP).code == 0
        assert digest(parse(pod.content("tfy-secret-app/env/PASSWORD"), ENVFILE_KEY)) == digest(value)
    assert len(pod.files()) == 4


def test_a_plan_with_nothing_to_fetch_asks_nobody(pod: Pod) -> None:
    pod.token.unlink()
    assert pod.run().code == 0
    assert pod.run(container()).code == 0
    assert pod.broker.connections == 0


QUOTED = {**FOUND, PASSWORD: f"{CANARY}'".encode()}
FAILURES = [
    pytest.param(
        status(401, {"code": "unauthenticated", "message": "the token is of no living pod"}), {}, 11, "no living pod", id="unauthenticated"
    ),
    pytest.param(answers({**FOUND, HOST: ("denied", "denied")}), {}, 11, "tfy-secret://acme:payments:HOST: denied", id="denied"),
    pytest.param(
        answers({PATH: BINARY, HOST: CANARY.encode()}), {}, 12, "env PASSWORD; container app, env URL: tfy-secret", id="not-found"
    ),
    pytest.param(answers(QUOTED), {}, 13, "env URL: the value holds a single quote (')", id="cannot-carry"),
    pytest.param(status(503), {"TFY_SECRET_DEADLINE": "1"}, 14, "HTTP 503", id="unavailable"),
    pytest.param(status(409, {"code": "node_too_old", "message": "kubelet 1.34"}), {}, 18, "node_too_old: kubelet 1.34", id="node-too-old"),
    pytest.param(sends(CANARY.encode() + b"\r\n\r\n"), {}, 16, "does not answer in HTTP", id="garbage"),
    pytest.param(status(200, {"version": 1, "answers": CANARY}), {}, 16, "list is needed", id="another-answer"),
    pytest.param(answers(FOUND), {"TFY_SECRET_VOLUMES": "/proc"}, 15, "/proc/tfy-secret-app: it does not exist", id="no-volume"),
    pytest.param(answers(FOUND), {"TFY_SECRET_PLAN": f'{{"{CANARY}"'}, 10, "the plan is not JSON", id="broken-plan"),
    pytest.param(answers(FOUND), {"TFY_SECRET_TOKEN_FILE": "/proc/none"}, 10, "token file /proc/none: it cannot be read", id="no-token"),
]


@pytest.mark.parametrize(("behaviour", "settings", "code", "told"), FAILURES)
def test_a_failure_has_its_code_and_message_writes_nothing_and_shows_nothing(pod: Pod, behaviour, settings, code: int, told: str) -> None:
    pod.broker.script = [behaviour]
    ended = pod.run(APP, **settings)
    assert ended.code == code
    assert told in ended.message
    assert "\nTo fix: " in ended.message
    assert pod.files() == []
    assert (line_of(pod, ended)["event"], line_of(pod, ended)["exit_code"]) == ("failed", code)
    for canary in (CANARY, TOKEN, f"{CANARY}'", "canary"):
        assert not ended.shows(canary)


def test_a_broker_that_is_not_trusted_learns_nothing(pod: Pod, other_authority) -> None:
    pod.ca = other_authority.cert_pem.bytes().decode()
    pod.broker.script = [answers(FOUND)]
    ended = pod.run(APP)
    assert ended.code == 17
    assert "certificate is not accepted" in ended.message
    assert pod.broker.requests == []


def test_a_termination_log_that_is_not_there_keeps_the_code(pod: Pod) -> None:
    pod.broker.script = [status(403)]
    assert pod.run(APP, TFY_SECRET_TERMINATION_LOG="/proc/none").code == 11


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_no_level_shows_a_value_or_a_token(pod: Pod, level: str) -> None:
    pod.broker.script = [status(503), answers(FOUND), answers(QUOTED)]
    for code in (0, 13):
        ended = pod.run(APP, TFY_SECRET_LOG_LEVEL=level)
        assert ended.code == code
        assert not ended.shows("canary")


def test_a_crash_is_told_by_type_and_place_alone(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    def crashes(*args: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(program, "run", crashes)
    monkeypatch.setattr(program, "_hear_signals", lambda: None)
    assert program.main({"TFY_SECRET_TERMINATION_LOG": str(tmp_path / "log")}) == 1
    told = capsys.readouterr().err + (tmp_path / "log").read_text()
    assert "RuntimeError at test_program.py:" in told
    assert CANARY not in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_promptly(pod: Pod, number: int) -> None:
    arrived = []
    pod.broker.script = [lambda connection, seen: (arrived.append(1), keeps_silent(connection, seen))]
    process = pod.start(pod.environ(APP))
    while not arrived:
        assert process.poll() is None
    process.send_signal(number)
    ended = pod.ended(process)
    assert ended.code == 128 + number
    assert pod.files() == []
    assert line_of(pod, ended) | {"timestamp": ""} == {"event": "stopped", "signal": number, "level": "warning", "timestamp": ""}


def test_a_signal_at_any_moment_leaves_all_or_nothing(pod: Pod) -> None:
    """Sent a little later each time: before, while and after the files are written."""
    many = container(*(variable(f"V{i}", PASSWORD) for i in range(200)))
    for delay in range(8):
        process = None

        def behave(connection, seen, delay=delay) -> None:
            answers(FOUND)(connection, seen)
            for _ in range(delay * 20000):
                pass
            process.send_signal(signal.SIGTERM)

        pod.broker.script = [behave]
        process = pod.start(pod.environ(many))
        ended = pod.ended(process)
        names = pod.files()
        assert ended.code in (0, 143)
        assert not any(".tfy-secret-aside" in name for name in names)
        assert len(names) in (0, 200)
        for name in names:
            os.unlink(pod.memory / name)


def test_starting_imports_little() -> None:
    """Each of these costs milliseconds in every pod; the figures are in the modules that do without."""
    code = "import sys, initcontainer.__main__; print(' '.join(sys.modules))"
    listed = subprocess.run([sys.executable, "-S", "-E", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    costly = {
        "contract.template",
        "contract.rendering",
        "contract.references",
        "initcontainer.templates",
        "asyncio",
        "http.client",
        "email",
        "dataclasses",
        "inspect",
        "logging",
        "typing",
        "pathlib",
        "argparse",
        "random",
        "threading",
        "datetime",
    }
    assert "ssl" in listed
    assert not costly & set(listed)
