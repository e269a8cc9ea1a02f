"""What is shown: colours on a terminal alone, differences without what stays the same."""

import io

import pytest

from demo.screen import Screen

BEFORE = {"spec": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "env": [{"name": "X", "value": "name"}]}}
AFTER = {"spec": BEFORE["spec"] | {"env": [{"name": "X", "value": "y" * 500}]}}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def shown(out: io.StringIO) -> str:
    screen = Screen(out)
    screen.heading("title")
    screen.difference(BEFORE, AFTER)
    return out.getvalue()


def test_colours_on_a_terminal():
    assert "\x1b[31m" in shown(Terminal())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    assert "\x1b" not in shown(Terminal())


def test_a_difference_in_a_pipe():
    """Changed lines with a little around them; a line that is longer than the screen says how long it is."""
    assert shown(io.StringIO()).splitlines() == [
        "",
        "1. title",
        "       f: 6",
        "       env:",
        "   -   - {name: X, value: name}",
        "   +   - {name: X, value: " + "y" * 45 + " ... (522 characters)",
    ]


def test_quoted_lines_are_wrapped_and_complete():
    out = io.StringIO()
    Screen(out).quote("word " * 60)
    assert all(len(line) <= 100 for line in out.getvalue().splitlines())
    assert out.getvalue().count("word") == 60
