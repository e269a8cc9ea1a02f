"""The real program with a real embedded store over real TLS, from start to SIGTERM; and nothing secret in anything it writes."""

import asyncio
import json
import signal

import aiohttp
import pytest

from broker.cli import run
from broker.serve import _ProblemLog
from contract.wire import ResolveRequest, decode_response, encode_request
from tests.broker.programs import Program, command, environ_of, trust
from tests.broker.world import FQN, store

VALUE = b"CANARY-value's \xff\n"
POD = {"Authorization": "Bearer CANARY-token-web", "Content-Type": "application/json"}


async def test_from_start_to_sigterm(tmp_path, authority):
    environ = environ_of(tmp_path, authority)
    # The first command makes the key and logs that: on standard error, never between a command's lines.
    code, out, err = await command(environ, "secret", "put", FQN, "--embedded", stdin=b"CANARY-first")
    assert (code, out.decode()) == (0, f"{FQN} version 1 (12 bytes)\n")
    assert json.loads(err)["event"] == "embedded_key_created"
    async with Program(environ) as broker:
        user = {k: v for k, v in environ.items() if "EMBEDDED" not in k and "MANIFESTS" not in k} | {
            "TFY_SECRET_BROKER_URL": broker.url,
            "TFY_SECRET_BROKER_CA_FILE": str(tmp_path / "tls" / "ca.crt"),
            "TFY_SECRET_TOKEN": "CANARY-token-admin",
        }
        code, out, err = await command(user, "secret", "put", "payments:DB_PASSWORD", stdin=VALUE)
        assert (code, out.decode()) == (0, f"{FQN} version 2 ({len(VALUE)} bytes)\n"), err
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust(tmp_path))) as session:
            request = ResolveRequest((FQN, "tfy-secret://acme:search:INDEX", "tfy-secret://acme:payments:JSON"), ("envfile",))
            async with session.post(broker.url + "/v1/resolve", data=encode_request(request), headers=POD) as response:
                assert response.status == 200
                answers = decode_response(await response.read(), request)
            assert answers[FQN].value.reveal() == VALUE
            assert [answers[name].code for name in request.secrets[1:]] == ["denied", "not_found"]
            async with session.post(
                broker.url + "/v1/resolve", data=b"{}", headers=POD | {"Authorization": "Bearer CANARY-wrong"}
            ) as response:
                assert response.status == 401
            async with session.get(f"http://127.0.0.1:{broker.ports['probes_listening']}/readyz") as response:
                assert response.status == 200
            async with session.get(f"http://127.0.0.1:{broker.ports['probes_listening']}/metrics") as response:
                metrics = await response.text()
        assert 'tfy_secret_broker_store_reads_total{outcome="ok",store="main"} 1.0' in metrics
        assert "CANARY" not in metrics

        (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")
        broker.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(_wait_for, tmp_path / "audit.log")
        code, out, _ = await command(user, "secret", "get", FQN)
        assert (code, out == VALUE) == (0, True)
        assert await broker.stop() == 0

    written = b"".join((broker.stdout, broker.stderr, (tmp_path / "audit.log").read_bytes(), (tmp_path / "audit.log.1").read_bytes()))
    assert b"CANARY" not in written
    assert (tmp_path / "secrets.db").read_bytes().find(b"CANARY") == -1
    before = [json.loads(line) for line in (tmp_path / "audit.log.1").read_text().splitlines()]
    assert [(line["event"], line.get("action"), line["code"]) for line in before] == [
        ("decision", "edit", "ok"),
        ("result", "edit", "ok"),
        ("decision", "inject", "ok"),
        ("decision", "inject", "denied"),
        ("decision", "inject", "not_found"),
        ("unauthenticated", "POST /v1/resolve", "unauthenticated"),
    ]
    (after,) = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert (after["action"], after["caller"], after["version"]) == ("reveal", "admin", "2")


def _wait_for(path):
    import time

    deadline = time.monotonic() + 5
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_wrong_settings_are_exit_code_2(capsys):
    assert run(["serve"], {"TFY_SECRET_LISTEN": "here"}) == 2
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "TFY_SECRET_TENANT",
        "TFY_SECRET_LISTEN",
        "TFY_SECRET_TLS_DIR",
    ]


@pytest.fixture
def quiet(monkeypatch):
    """Logs stay as the test process has them."""
    monkeypatch.setattr("broker.serve.configure_logs", lambda _level: None)


def test_a_broken_tokens_file_stops_the_start(tmp_path, authority, quiet, capsys):
    environ = environ_of(tmp_path, authority)
    (tmp_path / "tokens.csv").write_text("CANARY\n")
    assert run(["serve"], environ) == 1
    err = capsys.readouterr().err
    assert "line 1: found 1 columns" in err
    assert "CANARY" not in err


def test_an_audit_log_that_cannot_be_opened_stops_the_start(tmp_path, authority, quiet, capsys):
    environ = environ_of(tmp_path, authority) | {"TFY_SECRET_AUDIT_FILE": str(tmp_path)}
    assert run(["serve"], environ) == 1
    assert capsys.readouterr().err == f"broker: TFY_SECRET_AUDIT_FILE {tmp_path}: cannot be opened (Is a directory)\n"


def test_a_problem_is_logged_once(world, logs):
    report = _ProblemLog(world.catalog)
    world.catalog.put(store("broken", "a/b/c", {"none": {}}))
    for _ in range(3):
        report()
    world.catalog.put(store("broken", "x", {"none": {}}))
    report()
    assert [len(event["problems"]) for event in logs if event["event"] == "manifest_invalid"] == [1, 2]


def test_outside_a_cluster_without_manifests(tmp_path, authority, quiet, capsys):
    environ = {k: v for k, v in environ_of(tmp_path, authority).items() if k not in ("TFY_SECRET_MANIFESTS", "TFY_SECRET_TOKENS_FILE")}
    assert run(["serve"], environ) == 1
    assert "KUBERNETES_SERVICE_HOST" in capsys.readouterr().err
