"""`python -m webhook serve` as a process: from its settings to its first review over TLS, and to its end."""

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.webhook.pods import KEY, app, plan_of, applied
from tests.webhook.programs import ROOT, environment, write_manifests
from tests.webhook.reviews import JSON_TYPE, UID, patch_of, review
from webhook.planning import Inject

ANY = "127.0.0.1:0"


class Served:
    """A running program: its two ports, and all that it logged."""

    def __init__(self, process: subprocess.Popen[str], authority: trustme.CA) -> None:
        self.process, self.log = process, []
        self._tls = ssl.create_default_context()
        authority.configure_trust(self._tls)
        ports = {}
        while len(ports) < 2:
            event = self._next()
            if event["event"] in ("listening", "probes_listening"):
                ports[event["event"]] = event["port"]
        self.url, self.probes = f"https://127.0.0.1:{ports['listening']}/mutate", f"http://127.0.0.1:{ports['probes_listening']}"

    def _next(self) -> dict[str, Any]:
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line, self.log
        self.log.append(json.loads(line))
        return self.log[-1]

    def ask(self, body: Any) -> Any:
        request = urllib.request.Request(self.url, json.dumps(body).encode(), JSON_TYPE)
        with urllib.request.urlopen(request, context=self._tls, timeout=10) as answer:
            return json.load(answer)

    def probe(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.probes + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        assert self.process.stderr is not None
        self.log += [json.loads(line) for line in self.process.stderr]
        return code


@contextmanager
def _serving(env: dict[str, str], authority: trustme.CA) -> Iterator[Served]:
    command = [sys.executable, "-m", "webhook", "serve"]
    with subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            yield Served(process, authority)
        finally:
            process.kill()


def _write_pair(authority: trustme.CA, folder: Path, *, ca: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    pair = authority.issue_cert("127.0.0.1")
    (folder / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
    (folder / "tls.key").write_bytes(pair.private_key_pem.bytes())
    if ca:
        authority.cert_pem.write_to_path(folder / "ca.crt")
    return folder


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_from_start_to_end(authority: trustme.CA, tmp_path: Path) -> None:
    """Ready, reviews over TLS, metrics as text, SIGTERM: exit code 0, and no pod in the log."""
    tls = _write_pair(authority, tmp_path / "tls")
    env = environment(write_manifests(tmp_path / "manifests"), TLS_DIR=str(tls), LISTEN=ANY, METRICS_LISTEN=ANY, LOG_LEVEL="debug")
    with _serving(env, authority) as served:
        assert served.probe("/livez") == served.probe("/readyz") == (200, "ok")
        response = served.ask(review(app(A=KEY)))["response"]
        assert (response["uid"], response["allowed"]) == (UID, True)
        plan = plan_of(applied(app(A=KEY), Inject(tuple(patch_of(response)), {})))
        assert plan.ca == authority.cert_pem.bytes().decode()
        assert served.ask(review(app(A="tfy-secret://acme")))["response"]["allowed"] is False
        status, metrics = served.probe("/metrics")
        assert status == 200
        for line in (
            'tfy_secret_webhook_reviews_total{outcome="injected",reason=""} 1.0',
            'tfy_secret_webhook_reviews_total{outcome="refused",reason="malformed_reference"} 1.0',
            'tfy_secret_webhook_references_total{kind="managed"} 1.0',
            "tfy_secret_webhook_review_seconds_count 2.0",
        ):
            assert line in metrics.splitlines()
        assert served.end() == 0
        events = [event["event"] for event in served.log]
        assert ("pod_injected" in events, "pod_refused" in events, events[-1]) == (True, True, "stopping")
        assert KEY not in json.dumps(served.log)


def test_not_ready_without_a_ca(authority: trustme.CA, tmp_path: Path) -> None:
    """It lives and answers; pods with references wait, and /readyz says for what."""
    tls = _write_pair(authority, tmp_path / "tls", ca=False)
    env = environment(write_manifests(tmp_path / "manifests"), TLS_DIR=str(tls), LISTEN=ANY, METRICS_LISTEN=ANY)
    missing = "broker CA: none; set TFY_SECRET_BROKER_CA_FILE, or put ca.crt into TFY_SECRET_TLS_DIR"
    with _serving(env, authority) as served:
        assert served.probe("/livez") == (200, "ok")
        status, text = served.probe("/readyz")
        assert (status, json.loads(text)) == (503, [missing])
        response = served.ask(review(app(A=KEY)))["response"]
        assert (response["allowed"], missing in response["status"]["message"]) == (False, True)
        assert served.ask(review(app(A="plain")))["response"]["allowed"] is True
        assert served.end() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            {"MANIFESTS": "/x", "TLS_DIR": ""},
            "TFY_SECRET_TLS_DIR: found nothing; off-cluster a folder with tls.crt, tls.key and ca.crt is needed\n",
            id="no-certificate-off-cluster",
        ),
        pytest.param(
            {"LISTEN": "x", "INIT_USER": "0"},
            "TFY_SECRET_INIT_USER: found '0'; allowed: a number above 0, or nothing to leave the field out\n"
            "TFY_SECRET_LISTEN: found 'x'; allowed: host:port, e.g. 0.0.0.0:8443\n",
            id="faults-of-the-settings",
        ),
    ],
)
def test_wrong_environment(settings: dict[str, str], message: str) -> None:
    """Exit code 2 and every fault, a line each, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "webhook", "serve"],
        env=environment(**settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, message)


def test_environment_of_the_tests() -> None:
    """Nothing of this process's own settings leaks into the programs."""
    assert set(environment()) <= {"PATH", "TFY_SECRET_TENANT", "TFY_SECRET_BROKER_URL", "TFY_SECRET_INIT_IMAGE"}
    assert "PATH" in os.environ
