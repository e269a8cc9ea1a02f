"""One JSON line an event."""

import io
import json
import sys

import pytest

from initcontainer.logs import Log, describe


def test_a_line_has_event_keys_level_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    Log("info")("warning", "retry", tries=1, problems=("a\nb",))
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {"event": "retry", "tries": 1, "problems": ["a\nb"], "level": "warning"}


def test_lesser_levels_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log("warning")
    log("info", "quiet")
    log("error", "loud")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["loud"]


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    Log("info")("info", "unheard")


def test_an_exception_is_told_by_type_and_place_alone() -> None:
    try:
        raise ValueError("canary-41aa")
    except ValueError as error:
        told = describe(error)
    assert told.startswith("ValueError at test_logs.py:")
    assert "canary" not in told
