"""One JSON line a decision, in one write, that no name can forge; what cannot be written is refused."""

import asyncio
import json
import os
from datetime import UTC, datetime

import pytest

from broker.audit import Audit, AuditFailed, Line, Origin
from broker.metrics import Metrics
from tests.broker.world import FQN, ORIGIN, pod

LINE = Line("inject", FQN, "allow", "ok", "3")


@pytest.fixture
def audit(tmp_path):
    made = Audit(tmp_path / "audit.log", Metrics(), lambda: datetime(2026, 1, 2, 3, 4, 5, 6000, UTC))
    yield made
    made.close()


async def test_a_line_says_who_what_and_how_it_was_decided(audit, tmp_path):
    await audit.write(Origin("r1", "10.0.0.7", pod()), [LINE])
    text = (tmp_path / "audit.log").read_text()
    assert text.endswith("\n")
    assert json.loads(text) == {
        "time": "2026-01-02T03:04:05.006+00:00",
        "event": "decision",
        "request": "r1",
        "source": "10.0.0.7",
        "caller": "system:serviceaccount:shop:web",
        "namespace": "shop",
        "service_account": "web",
        "pod": "web-1",
        "pod_uid": "uid-1",
        "node": "node-1",
        "action": "inject",
        "fqn": FQN,
        "version": "3",
        "decision": "allow",
        "code": "ok",
    }
    assert (tmp_path / "audit.log").stat().st_mode & 0o007 == 0


async def test_a_name_cannot_forge_a_line(audit, tmp_path):
    evil = 'x\n{"decision":"allow"}\r\x00\x1b[31m\u2028\x7f'
    await audit.write(Origin("r1", None, None), [Line("inject", evil, "deny", "invalid")])
    content = (tmp_path / "audit.log").read_bytes()
    assert content.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in content[:-1])
    assert json.loads(content)["fqn"] == evil


async def test_each_line_is_one_write(audit, monkeypatch):
    written = []
    monkeypatch.setattr(os, "write", lambda _fd, content: written.append(content) or len(content))
    await audit.write(ORIGIN, [LINE, LINE, LINE])
    assert len(written) == 3
    assert all(json.loads(content) for content in written)


async def test_a_full_disk_refuses_and_the_next_line_is_whole(audit, tmp_path, monkeypatch):
    real, outcomes = os.write, [5, OSError(28, "full"), None]

    def write(fd, content):
        outcome = outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return real(fd, content if outcome is None else content[:outcome])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(AuditFailed):
        await audit.write(ORIGIN, [LINE])
    await audit.write(ORIGIN, [LINE])
    torn, whole = (tmp_path / "audit.log").read_text().splitlines()
    assert len(torn) == 5
    assert json.loads(whole)["code"] == "ok"


async def test_reopen_follows_a_rotation(audit, tmp_path):
    await audit.write(ORIGIN, [LINE])
    (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")
    audit.reopen()
    await audit.write(ORIGIN, [LINE])
    assert len((tmp_path / "audit.log").read_text().splitlines()) == 1
    assert len((tmp_path / "audit.log.1").read_text().splitlines()) == 1


async def test_a_failed_reopen_keeps_the_old_file(audit, tmp_path):
    await audit.write(ORIGIN, [LINE])
    (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")
    (tmp_path / "audit.log").mkdir()
    audit.reopen()
    await audit.write(ORIGIN, [LINE])
    assert len((tmp_path / "audit.log.1").read_text().splitlines()) == 2


async def test_lines_of_requests_at_once_do_not_mix(audit, tmp_path):
    await asyncio.gather(*(audit.write(Origin(str(n), None), [LINE] * 5) for n in range(40)))
    lines = [json.loads(line)["request"] for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert len(lines) == 200
    assert all(len(set(lines[n : n + 5])) == 1 for n in range(0, 200, 5))
