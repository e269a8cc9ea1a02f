"""Format properties, against java.util.Properties where there is a Java, and against its rules as written down."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.formats import COMMENT, properties_text
from contract.template import TemplateError, read_template
from tests.contract.formats.values import NAMES, NASTY, SPELLINGS, VALUES, rendered

ANY = VALUES | st.text("ab \\=:#!\t\n\f\ru00e9", max_size=12)

JAVA = """
import java.io.*; import java.nio.charset.StandardCharsets; import java.util.*;
public class Load {
  public static void main(String[] a) throws Exception {
    Properties p = new Properties();
    try (Reader r = new InputStreamReader(new FileInputStream(a[0]), StandardCharsets.ISO_8859_1)) { p.load(r); }
    StringBuilder out = new StringBuilder("{");
    for (String k : new TreeSet<String>(p.stringPropertyNames())) {
      if (out.length() > 1) out.append(",");
      out.append(quoted(k)).append(":").append(quoted(p.getProperty(k)));
    }
    System.out.print(out.append("}"));
  }
  static String quoted(String s) {
    StringBuilder b = new StringBuilder("\\"");
    for (char c : s.toCharArray()) b.append(String.format("\\\\u%04x", (int) c));
    return b.append("\\"").toString();
  }
}
"""


def loaded(text: str) -> dict[str, str]:
    """The rules of java.util.Properties.load, read from its documentation: natural lines, logical lines, keys, escapes."""
    found: dict[str, str] = {}
    lines = text.split("\n")
    while lines:
        line = lines.pop(0).lstrip(" \t\f")
        if not line or line[0] in "#!":
            continue
        while re.search(r"(?<!\\)(?:\\\\)*\\\Z", line):
            line = line[:-1] + (lines.pop(0).lstrip(" \t\f") if lines else "")
        match = re.match(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", line, re.DOTALL)
        assert match is not None
        found[_plain(match[1])] = _plain(match[2])
    return found


def _plain(text: str) -> str:
    letters = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
    made = re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", lambda m: chr(int(m[1], 16)) if m[1] else letters.get(m[2], m[2]), text, flags=re.DOTALL)
    return made.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@given(ANY)
def test_any_value_arrives_exactly(value: str) -> None:
    """Nothing is refused: a properties file carries any text."""
    made = rendered(f"before=1\na.b = {SPELLINGS[0]}\nafter: 2\n", "properties", dict.fromkeys(NAMES, value)).decode("ascii")
    assert loaded(made) == {"before": "1", "a.b": value, "after": "2"}


@pytest.mark.skipif(not shutil.which("java"), reason="needs a Java that runs a source file: the reader itself")
def test_java_reads_exactly_the_values(tmp_path: Path) -> None:
    values = [*NASTY, " \t x", "\f", "a\\", "\\u0041", "\U0001f511\udcff".encode("utf-8", "replace").decode(), "\xe9"]
    lines = "".join(f"k{number:03}={properties_text.written(value)}\n" for number, value in enumerate(values))
    template = (
        "# tfy-secret://x\nkey\\ with\\ blanks : Bearer ${tfy-secret://acme:llm:A} \\\n   end\n! c\nurl http://${tfy-secret://acme:llm:B}\n"
    )
    more = rendered(template, "properties", {NAMES[0]: "a=b", NAMES[1]: "é:#!"}).decode()
    (tmp_path / "f.properties").write_text(lines + more)
    (tmp_path / "Load.java").write_text(JAVA)
    done = subprocess.run(
        ["java", "-Xshare:auto", str(tmp_path / "Load.java"), str(tmp_path / "f.properties")],
        env=os.environ | {"LC_ALL": "C.UTF-8"},  # in which it reads the names of files, whatever letters TMPDIR has
        capture_output=True,
        check=True,
    )
    expected = {f"k{number:03}": value for number, value in enumerate(values)}
    assert json.loads(done.stdout) == expected | {"key with blanks": "Bearer a=b end", "url": "http://é:#!"}


@given(st.text("ab \\=:#!\t\n\fu0", max_size=24))
def test_strings_are_those_of_the_rules(text: str) -> None:
    """Keys and values of any text that we do not refuse."""
    try:
        strings = [content for kind, _, _, content in properties_text.strings(text) if kind != COMMENT]
    except ValueError:
        return
    assert dict(zip(strings[::2], strings[1::2], strict=True)) == loaded(text)


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        pytest.param("tfy-secret://acme:llm:A\n", "line 1, column 1", "a reference where no value stands", id="alone"),
        pytest.param("${tfy-secret\\://acme\\:llm\\:A}=x\n", "line 1, column 1", "a reference in a key", id="key"),
        pytest.param(
            "a=${tfy-secret://acme:llm:A}\nb\\\n=c\n",
            "line 2, column 2",
            "a line that goes on before its value begins",
            id="key-over-lines",
        ),
        pytest.param("a=${tfy-secret://acme:llm:A}\\u12\n", "line 1, column 29", "'\\u' without four hexadecimal digits", id="bad-escape"),
        pytest.param("a = b\nc = d tfy-secret://acme\n", "line 2, column 7", "'tfy-secret://acme'", id="malformed"),
    ],
)
def test_refused(text: str, place: str, found: str) -> None:
    with pytest.raises(TemplateError) as caught:
        read_template(text.encode(), "properties")
    assert [(fault.place, fault.found) for fault in caught.value.faults] == [(place, found)]
