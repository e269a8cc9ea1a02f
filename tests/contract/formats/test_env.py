"""Format env, against what reads it: a shell, Node.js, python-dotenv and Docker's rules. Exactly the value, or refused."""

import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import dotenv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.formats import COMMENT, Unfit, env_text
from contract.rendering import RenderError
from contract.template import TemplateError, read_template
from tests.contract.formats.values import NAMES, NASTY, SPELLINGS, VALUES, rendered

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text("ab'\"\\$`{}# =!~;&|<>()*?", max_size=8)


def _carried(value: str) -> str | None:
    try:
        return env_text.written(value)
    except Unfit:
        return None


CARRIED = [
    value
    for value in (*NASTY, "a b", "p@ss w#rd", "it's $5", "#x", "x=y", "a\\b", "~", "a;b", "&", "*", "(x)", "!x", "a\\'b")
    if _carried(value) is not None
]


def _lines(values: list[str]) -> str:
    return "".join(f"V{number}={_carried(value)}\n" for number, value in enumerate(values))


@given(VALUES | TEXT)
def test_python_dotenv_reads_exactly_the_value(value: str) -> None:
    written = _carried(value)
    if written is not None:
        found = dotenv.dotenv_values(stream=io.StringIO(f"BEFORE=1\nexport V={written} # why\nAFTER=2\n"), interpolate=True)
        assert found == {"BEFORE": "1", "V": value, "AFTER": "2"}


def test_a_shell_reads_exactly_the_values(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(_lines(CARRIED))
    names = [f"V{number}" for number in range(len(CARRIED))]
    script = 'set -a; . "$1"; shift; for name; do eval "printf %s \\"\\$$name\\""; printf "\\0"; done'
    done = subprocess.run(
        ["sh", "-euc", script, "sh", str(tmp_path / "env"), *names], capture_output=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout.decode().split("\0")[:-1] == CARRIED


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js 20.12 or newer: its own reader of env files")
def test_node_reads_exactly_the_values(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(_lines(CARRIED))
    program = "console.log(JSON.stringify(require('util').parseEnv(require('fs').readFileSync(process.argv[1], 'utf8'))))"
    done = subprocess.run(["node", "-e", program, str(tmp_path / "env")], capture_output=True, check=True)
    assert json.loads(done.stdout) == {f"V{number}": value for number, value in enumerate(CARRIED)}


@pytest.mark.parametrize("value", ["", "sk-proj-Ab_9", "https://h:1/p%20q", "user@host", "a+b,c=="])
def test_plain_values_need_no_quotes(value: str) -> None:
    """Docker's --env-file takes quotes for part of the value."""
    assert env_text.written(value) == value


def test_nothing_before_a_comment_is_in_quotes() -> None:
    """Docker Compose and its relatives would take the comment for the value."""
    text, nothing = f"V=${{{NAMES[0]}}} # why\n", dict.fromkeys(NAMES, "")
    assert rendered(text, "env", nothing) == b"V='' # why\n"
    assert rendered(text.partition(" #")[0], "env", nothing) == b"V="


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param("a\nb", "a line break", id="newline"),
        pytest.param("a\rb", "a carriage return", id="carriage-return"),
        pytest.param("a\0b", "a NUL", id="nul"),
        pytest.param('it\'s "x"', "quotes, ${ or backslashes", id="both-quotes"),
        pytest.param("it's $5", "quotes, ${ or backslashes", id="quote-and-dollar"),
        pytest.param("${HOME}", "quotes, ${ or backslashes", id="expanded-by-some"),
        pytest.param("a\\\\b", "quotes, ${ or backslashes", id="two-backslashes"),
        pytest.param("a\\", "quotes, ${ or backslashes", id="backslash-at-the-end"),
    ],
)
def test_what_readers_do_not_agree_on_is_refused(value: str, why: str) -> None:
    with pytest.raises(RenderError) as caught:
        rendered(f"# c\nA={SPELLINGS[0]}\n", "env", dict.fromkeys(NAMES, value))
    assert caught.value.sentences[0].startswith(f"line 2, column 3: the value holds {why}")
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "content"),
    [
        pytest.param("A={}", "v w", id="bare"),
        pytest.param("export A={}", "v w", id="export"),
        pytest.param("A = {}", "v w", id="blanks"),
        pytest.param("A='{}'", "v w", id="single-quotes"),
        pytest.param('A="{}"', "v w", id="double-quotes"),
        pytest.param("A=http://u:{}@h", "http://u:v w@h", id="inside-text"),
        pytest.param("A=' {} '  # c", " v w ", id="blanks-inside-quotes"),
        pytest.param("A={} # c tfy-secret://acme:llm:X", "v w", id="comment"),
        pytest.param("A=tfy-secret://acme:llm:A", "v w", id="bare-name"),
    ],
)
def test_where_a_reference_stands(line: str, content: str) -> None:
    text = f"# tfy-secret://no\n\nX='#'\n{line.format(SPELLINGS[0])}\nB=1 # x\n"
    made = rendered(text, "env", dict.fromkeys(NAMES, "v w")).decode()
    assert dotenv.dotenv_values(stream=io.StringIO(made)) == {"X": "#", "A": content, "B": "1"}
    assert made.startswith("# tfy-secret://no\n\nX='#'\n"), "what is around stays"
    assert made.endswith("\nB=1 # x\n")


def test_an_empty_value_and_a_comment() -> None:
    found = [(kind, content) for kind, _, _, content in env_text.strings("A=\nB= # x\nC=#x\nD=a#b\n") if kind != COMMENT]
    assert found == [
        ("key", "A"),
        ("value", ""),
        ("key", "B"),
        ("value", ""),
        ("key", "C"),
        ("value", "#x"),
        ("key", "D"),
        ("value", "a#b"),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("A {0}\n", "line 1, column 1: found a line that is no NAME=value", id="no-value"),
        pytest.param("{0}\n", "line 1, column 1: found a line that is no NAME=value", id="reference-alone"),
        pytest.param("{0}=x\n", "line 1, column 1: found a line that is no NAME=value", id="in-a-name"),
        pytest.param("A='a\nb'\nB={0}\n", "line 1, column 3: found a quoted value that does not end on its line", id="several-lines"),
        pytest.param("A='{0}'x\n", "line 1, column 31: found text behind a quoted value", id="text-behind"),
        pytest.param("A=`{0}`\n", "line 1, column 3: found a value in backticks", id="backticks"),
        pytest.param('A="\\n{0}"\n', "line 1, column 3: found a backslash, a quote, '$' or '`' beside a reference", id="escape-beside-it"),
        pytest.param(
            "A=$HOME/{0}\n", "line 1, column 3: found a backslash, a quote, '$' or '`' beside a reference", id="variable-beside-it"
        ),
        pytest.param("A='{0}'\nB=x\ry\n", "line 2, column 4: found a carriage return without a line feed", id="lone-cr"),
    ],
)
def test_refused(text: str, fault: str) -> None:
    with pytest.raises(TemplateError) as caught:
        read_template(text.format(SPELLINGS[0]).encode(), "env")
    assert [found.on_one_line.partition(",")[0] for found in caught.value.faults] == [fault.partition(",")[0]]
    assert str(caught.value).startswith(fault)
