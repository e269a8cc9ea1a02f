"""`python -m docs.generate`: the tables fit the code, and the generator says so when they do not."""

from pathlib import Path

import pytest

from contract.envfile import LIMITS, cannot_carry, no_variable
from docs import generate, tables
from docs.generate import generated, main, pages
from docs.tables import TABLES, Stale
from docs.words import SAMPLES
from webhook.problem import Reason


def test_the_documentation_is_fresh(capsys: pytest.CaptureFixture[str]):
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_every_table_is_somewhere():
    texts = "\n".join(page.read_text() for page in pages())
    assert [name for name in TABLES if f"<!-- generated: {name} -->" not in texts] == []


@pytest.fixture
def stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("before\n<!-- generated: labels -->\nold\n<!-- end: labels -->\nafter\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return page


def test_check_shows_the_difference_and_writes_nothing(stale: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--check"]) == 1
    said = capsys.readouterr()
    assert "-old" in said.out and "+| Label |" in said.out
    assert said.err == "The documentation does not fit the code. To fix: make docs\n"
    assert "\nold\n" in stale.read_text()


def test_writing_keeps_what_is_around(stale: Path):
    assert main([]) == 0
    text = stale.read_text()
    assert text.startswith("before\n<!-- generated: labels -->\n| Label |") and text.endswith("|\n<!-- end: labels -->\nafter\n")
    assert main(["--check"]) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "<!-- generated: lables -->\n<!-- end: lables -->", "found the mark 'lables'; allowed: annotations, labels", id="unknown"
        ),
        pytest.param("<!-- generated: labels -->\n", "a mark without its partner", id="no-end"),
        pytest.param("<!-- end: labels -->\n<!-- generated: labels -->\n", "a mark without its partner", id="wrong-order"),
    ],
)
def test_a_broken_mark_is_told(text: str, said: str):
    with pytest.raises(Stale, match=f"page.md: .*{said}"):
        generated(text, "page.md")


def test_a_code_without_words_is_told(monkeypatch: pytest.MonkeyPatch):
    fewer = {reason: words for reason, words in tables.REASONS.items() if reason is not Reason.CRASH}
    monkeypatch.setattr(tables, "REASONS", fewer)
    with pytest.raises(Stale, match="docs/words.py, REASONS, does not fit webhook.problem.Reason: add words for CRASH"):
        tables.reasons()


@pytest.mark.parametrize("code", LIMITS)
def test_a_sample_breaks_the_limit_that_it_stands_for(code: str):
    """The table of what each mode carries asks the rules with these; a sample that breaks another limit would make it wrong."""
    limit = cannot_carry(SAMPLES[code][1], "NAME")
    assert limit is LIMITS[code]
    assert limit.exec_carries == (no_variable("NAME", SAMPLES[code][1]) is None)


def test_what_each_mode_carries():
    rows = {row.split(" | ")[0].removeprefix("| "): row.split(" | ")[1:4] for row in tables.carried().splitlines()[2:]}
    assert rows["is anything else"] == ["yes", "yes", "yes"]
    assert rows["holds a single quote"] == ["no", "yes", "yes"]
    assert rows["holds a NUL byte"] == ["no", "no", "yes"]


def test_cells_keep_the_table_whole():
    """A bar or a newline in a cell would break the row."""
    assert tables._table(("a",), [("x | y\nz",)]).splitlines()[-1] == "| x \\| y z |"
