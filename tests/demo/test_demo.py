"""`make demo` as a newcomer sees it, in a pipe: complete, plain, without a value, and gone without a trace."""

import re
import signal

from demo.scenery import MANIFESTS
from tests.demo.conftest import Run


def test_tells_the_whole_story_and_leaves_nothing(own_run: Run):
    """Exit 0; each scene's outcome is there; no colour in a pipe; no value; no process, no file."""
    demo = own_run.start()
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    assert "\x1b" not in said
    for promise in (
        "tfy-secret://acme:payments:DB_PASSWORD version 1 (18 bytes)",
        "- {name: DB_PASSWORD, value: 'tfy-secret://acme:payments:DB_PASSWORD'}",
        "fileKeyRef: {volumeName: tfy-secrets-app, path: env/DB_PASSWORD, key: VALUE}",
        '"event": "delivered"',
        "DB_PASSWORD version 2 (23 bytes)",
        "Exit code 13, nothing written, the app is not started.",
        "env DB_PASSWORD: the value holds a single quote (')",
        "+   command: [/tfy-secret/run/launcher, /tfy-secret/run/env, python, -m, demo.app]",
        "+   - {name: DB_PASSWORD, value: ''}",
        "$ /tfy-secret/run/launcher /tfy-secret/run/env python -m demo.app /etc/web/signing.key",
        "denied for service",
        "did you mean DB_PASSWORD?",
        "nothing is left running, and no file",
    ):
        assert promise in said, promise
    assert len(re.findall(r"ok  .* bytes, no value", said)) == 8
    assert re.search(r"^   \| 0555 +\d{4} bytes  tfy-secrets-app/exec/launcher", said, re.MULTILINE)
    for mode, size in (("The app starts", 18), ("The same app in mode exec", 23)):
        scene = said.partition(mode)[2].partition("\n\n")[0]
        assert re.search(rf"^   \| DB_PASSWORD +s3\*{{12}} +\({size} bytes", scene, re.MULTILINE), mode
        assert re.search(r"^   \| /etc/web/signing.key +\*{12} +\(64 bytes", scene, re.MULTILINE), mode
        assert "the process has what was stored, byte for byte" in scene, mode
        assert re.search(r"^   \| SENTRY_DSN", scene, re.MULTILINE) is None, mode
    _assert_no_value(said)
    assert own_run.processes() == []
    assert own_run.left() == []
    assert sorted(path.name for path in MANIFESTS.rglob("*")) == ["payments.yaml", "store.yaml"], "the checkout is as it was"


def test_ctrl_c_cleans_up(own_run: Run):
    """In the middle of the story, with both servers running: exit 130, and nothing is left."""
    demo = own_run.start()
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if "webhook  https://" in line:
            break
    assert len(own_run.processes()) >= 3, "the demo and its two servers"
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, said + rest
    assert "Traceback" not in rest
    assert own_run.processes() == []
    assert own_run.left() == []


def test_says_why_it_cannot_start(own_run: Run):
    """A program that does not come up: its own words, exit 1, and nothing is left."""
    (own_run.folder / "sitecustomize.py").write_text(
        "import sys\nif 'webhook' in sys.orig_argv and 'serve' in sys.orig_argv:\n    sys.exit('no webhook today')\n"
    )
    demo = own_run.start(PYTHONPATH=str(own_run.folder), PYTHONDONTWRITEBYTECODE="1")
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1, said
    assert "The demo stopped. webhook ended with exit code 1. It said:" in said
    assert "no webhook today" in said.partition("It said:")[2]
    assert own_run.processes() == []
    assert [p.rpartition("/")[2] for p in own_run.left()] == ["sitecustomize.py"]


def _assert_no_value(said: str) -> None:
    """Values are random; these are their shapes (demo.scenery.make_values), longer than what a mask shows."""
    assert re.search(r"\bs3[A-Za-z0-9_-]{3,}", said) is None
    assert re.search(r"\bsk_[0-9a-f]+", said) is None
    assert re.search(r"\b[0-9a-f]{20}\b", said) is None, "the SMTP password"
    assert re.search(r"\b[0-9a-f]{32}\b", said) is None, "a token"
