"""What a kubelet reads from an env file: our writer and reader against Kubernetes' own cases and its code, transcribed.

Values here are made up in the test, so they may be shown.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.envfile import LIMITS, LINE_LIMIT, cannot_carry, no_variable, parse, render

# The longest value of one line: `VALUE='` in front, `'` behind, and the whole must be shorter than the limit.
LONGEST = LINE_LIMIT - 1 - len("VALUE='") - len("'")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        pytest.param(b"x", None, id="plain"),
        pytest.param(b" a b\t", None, id="blanks-at-the-ends"),
        pytest.param(b'"\\$`!#=~{}[]', None, id="punctuation"),
        pytest.param(b"$(HOME)${X}", None, id="dollars"),
        pytest.param(b"a\nb\n\n", None, id="lines"),
        pytest.param(b"\n", None, id="newline-alone"),
        pytest.param(b"\r", None, id="carriage-return-at-the-end"),
        pytest.param(b"a\rb", None, id="carriage-return-inside"),
        pytest.param("zażółć 🌍\u2028\u0085".encode(), None, id="utf-8"),
        pytest.param(b"\x01\x1b\x7f", None, id="control-characters"),
        pytest.param(b"#c", None, id="comment-sign"),
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"a\0b", "nul", id="nul"),
        pytest.param(b"\xff", "not-utf8", id="not-utf-8"),
        pytest.param(b"\xed\xa0\x80", "not-utf8", id="surrogate"),
        pytest.param(b"it's", "single-quote", id="single-quote"),
        pytest.param(b"a\r\nb", "crlf", id="crlf"),
        pytest.param(b"a" * LONGEST, None, id="longest-line"),
        pytest.param(b"a" * (LONGEST + 1), "long-line", id="line-one-too-long"),
        pytest.param(b"a\n" + b"b" * (LINE_LIMIT - 1) + b"\nc", None, id="longest-line-in-the-middle"),
        pytest.param(b"a\n" + b"b" * LINE_LIMIT + b"\nc", "long-line", id="line-in-the-middle-one-too-long"),
        pytest.param(b"a\n" + b"b" * (LINE_LIMIT - 2), None, id="longest-last-line"),
        pytest.param(b"a\n" + b"b" * (LINE_LIMIT - 1), "long-line", id="last-line-one-too-long"),
        pytest.param(b"a\n" * 60_000, None, id="many-lines"),
    ],
)
def test_what_can_be_carried(value: bytes, code: str | None) -> None:
    """A value passes exactly, or its limit is named; and the kubelet's code agrees on each side of each limit."""
    limit = cannot_carry(value)
    assert (limit and limit.code) == code
    if code is None:
        assert _parse_env(render(value), "VALUE") == parse(render(value), "VALUE") == value
    elif code not in ("nul", "not-utf8", "too-long"):  # these fail behind the parser: in C and in protobuf
        assert _outcome(_parse_env, render(value)) in (None, b"") or _outcome(_parse_env, render(value)) != value


@pytest.mark.parametrize(
    ("code", "sentence", "exec_carries"),
    [
        ("empty", "the value is empty, which the kubelet reads as not found", True),
        ("nul", "the value holds a NUL byte, which no environment variable can", False),
        ("not-utf8", "the value is not valid UTF-8, which the kubelet's interfaces require", True),
        ("single-quote", "the value holds a single quote ('), for which the kubelet's env files have no escape", True),
        ("crlf", "the value holds a carriage return before a newline, which the kubelet would drop", True),
        ("too-long", "the variable is longer than 128 KiB with its name, which Linux passes to no program", False),
        ("long-line", "the value has a line of 64 KiB or more, which the kubelet refuses to read", True),
    ],
)
def test_limits_are_told(code: str, sentence: str, exec_carries: bool) -> None:
    """Each limit has a stable code, a sentence without any value, and knows whether mode exec carries it."""
    limit = LIMITS[code]
    assert (limit.code, limit.sentence, limit.exec_carries) == (code, sentence, exec_carries)
    assert len(LIMITS) == 7


_PIECES = st.sampled_from([b"a", b" ", b"\n", b"\r", b"\r\n", b"'", b"\0", b"\xff", "é".encode(), b"#", b"=", b"\\", b"$(X)"])
_VALUES = (
    st.binary(max_size=40) | st.lists(_PIECES, max_size=10).map(b"".join) | st.text(max_size=30).map(lambda t: t.encode(errors="replace"))
)


@given(_VALUES)
def test_what_passes_is_read_back_exactly(value: bytes) -> None:
    """A value that breaks no limit is what the kubelet reads; one that breaks a limit of the file is not."""
    limit = cannot_carry(value)
    if limit is None:
        assert parse(render(value), "VALUE") == _parse_env(render(value), "VALUE") == value
    elif limit.code in ("single-quote", "crlf"):
        assert _outcome(_parse_env, render(value)) != value


_CONTENT = st.lists(
    st.sampled_from(
        [b"VALUE", b"OTHER", b"=", b"'", b"\n", b"\r", b" ", b"\t", b"#", b"x", b"\xff", b"VALUE='a'\n", b"A='b'\n", b"A= 'b'\n"]
    ),
    max_size=12,
).map(b"".join)


@settings(max_examples=300)
@given(_CONTENT)
@example(b"VALUE='a\r\nb'\r\n")
@example(b"VALUE='a'\n" + b"#" * LINE_LIMIT)
@example(b"#" * LINE_LIMIT + b"\nVALUE='a'\n")
@example(b"VALUE='a\n" + b"b" * (LINE_LIMIT - 1))
def test_reads_any_file_as_the_kubelet_does(content: bytes) -> None:
    """Value for value and error for error, whatever the file holds."""
    assert _outcome(parse, content) == _outcome(_parse_env, content)


# Kubernetes 1.36, pkg/kubelet/util/env/env_util_test.go.
@pytest.mark.parametrize(
    ("content", "key", "expected"),
    [
        pytest.param("   KEY1='val1'\n\t\tKEY2='val2'\nKEY3='val3'\n", "KEY2", "val2", id="ignore leading whitespace"),
        pytest.param("# comment\n\nKEY1='foo'\n   # another\n\nKEY2='bar'\n", "KEY2", "bar", id="ignore blank and comment lines"),
        pytest.param("KEY1='foo'\nKEY2='bar'\n", "KEY3", "", id="key not found returns empty"),
        pytest.param("KEY1='foo#notcomment'\nKEY2='bar'\n", "KEY1", "foo#notcomment", id="value with embedded #"),
        pytest.param("KEY1='   foo bar   '\nKEY2='bar'\n", "KEY1", "   foo bar   ", id="leading and trailing whitespace"),
        pytest.param("KEY1='foo'\nKEY2=''\nKEY3='bar'\n", "KEY2", "", id="empty value"),
        pytest.param("KEY1='foo=bar=baz'\n", "KEY1", "foo=bar=baz", id="multiple = in value"),
        pytest.param("KEY1='foo'\nKEY2='bar' # comment\n", "KEY2", "bar", id="comment after key value pair"),
        pytest.param("KEY1='foo$BAR-${HOME}_$'\nKEY2='bar'", "KEY1", "foo$BAR-${HOME}_$", id="no expansion"),
        pytest.param(r"KEY1='path\\to\\file'" + "\n", "KEY1", r"path\\to\\file", id="backslashes in value"),
        pytest.param("KEY1='中文 Español 🌍'\n", "KEY1", "中文 Español 🌍", id="unicode characters"),
        pytest.param("KEY1='line1\n\nline3\n  line4   '\nKEY2='bar'\n", "KEY1", "line1\n\nline3\n  line4   ", id="multi-line value"),
        pytest.param("KEY1=   'val1'\nKEY2='b'\n", "KEY1", "", id="whitespace after = is an empty assignment"),
    ],
)
def test_kubernetes_own_cases(content: str, key: str, expected: str) -> None:
    """The cases of Kubernetes' test of its parser give what Kubernetes expects."""
    assert parse(content.encode(), key) == _parse_env(content.encode(), key) == expected.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("KEY1 = 'val1'\n", "line 1: no variable name directly before '='", id="whitespace around ="),
        pytest.param("='foo'\n", "line 1: no variable name directly before '='", id="key is empty"),
        pytest.param("KEY1='foo'\nINVALID_LINE\nVALUE='bar'\n", "line 2: no variable name directly before '='", id="invalid line"),
        pytest.param("VALUE=bar\n", "line 1: the value is not in single quotes", id="unquoted value"),
        pytest.param('VALUE="bar"\n', "line 1: the value is not in single quotes", id="double quoted value"),
        pytest.param("VALUE='foo''bar'", "line 1: text after the closing quote", id="adjacent quoted strings"),
        pytest.param("VALUE='bar\nKEY3='baz'\n", "line 1: text after the closing quote", id="quote closed by the next line"),
        pytest.param("\nVALUE='bar\n", "line 2: the single quote is not closed", id="unclosed single quote"),
        pytest.param("VALUE='bar'baz\n", "line 1: text after the closing quote", id="content after closing quote"),
        pytest.param("#" * LINE_LIMIT, "a line of 64 KiB or more", id="long line"),
    ],
)
def test_kubernetes_own_errors(content: str, message: str) -> None:
    """Where Kubernetes' parser fails, ours does, with the line and nothing of its content."""
    with pytest.raises(ValueError) as caught:
        parse(content.encode(), "VALUE")
    assert str(caught.value) == message
    assert _outcome(_parse_env, content.encode()) is None


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        pytest.param("A", b"a\n" * 65_534 + b"b", None, id="longest-string"),
        pytest.param("A", b"a\n" * 65_535, "too-long", id="one-byte-longer"),
        pytest.param("AB", b"a\n" * 65_534 + b"b", "too-long", id="the-name-counts"),
        pytest.param("Ä", b"a\n" * 65_534 + b"b", "too-long", id="in-bytes"),
        pytest.param("A", b"a\n" * 65_535 + b"\0", "nul", id="nul-first"),
    ],
)
def test_what_linux_passes_to_a_program(name: str, value: bytes, code: str | None) -> None:
    """`NAME=value` and its NUL are at most 128 KiB, in any mode."""
    limit = cannot_carry(value, name)
    assert (limit and limit.code) == code
    assert no_variable(name, value) == limit


def test_an_absent_optional_secret_is_an_empty_file() -> None:
    """A missing file is an error even with `optional: true`; a file without the key is not."""
    assert render(None) == b""
    assert parse(b"", "VALUE") == b""


def _outcome(reader: object, content: bytes) -> bytes | None:
    try:
        return reader(content, "VALUE")  # type: ignore[operator]
    except ValueError:
        return None


def _parse_env(content: bytes, key: str) -> bytes:
    """ParseEnv of Kubernetes 1.36's pkg/kubelet/util/env, line for line; ValueError where it returns an error."""
    scanner = _Scanner(content)
    while scanner.scan():
        line = scanner.text.lstrip(b" \t")
        if line == b"" or line.startswith(b"#"):
            continue
        equals = line.find(b"=")
        if equals == -1:
            raise ValueError("missing '='")
        name = line[:equals].rstrip(b" \t")
        if name == b"" or line[:equals] != name:
            raise ValueError("variable name")
        value = line[equals + 1 :]
        if value != value.lstrip(b" \t"):
            if name == key.encode():
                return b""
            continue
        if not value.startswith(b"'"):
            raise ValueError("value must be enclosed in single quotes")
        built, rest = bytearray(), value[1:]
        while True:
            closing = rest.find(b"'")
            if closing != -1:
                built += rest[:closing]
                after = rest[closing + 1 :].lstrip(b" \t")
                if after != b"" and not after.startswith(b"#"):
                    raise ValueError("unexpected content after closing quote")
                if name == key.encode():
                    return bytes(built)
                break
            built += rest + b"\n"
            if not scanner.scan():
                raise ValueError("unclosed single quote")
            rest = scanner.text
    if scanner.too_long:
        raise ValueError("token too long")
    return b""


class _Scanner:
    """Go's bufio.Scanner with ScanLines: a buffer of 64 KiB that is full without a newline in it ends the scan."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0
        self.text, self.too_long = b"", False

    def scan(self) -> bool:
        buffer = self._content[self._at : self._at + 64 * 1024]
        newline = buffer.find(b"\n")
        if newline == -1 and len(buffer) == 64 * 1024:
            self.too_long = True
            return False
        if not buffer:
            return False
        line, self._at = (buffer, self._at + len(buffer)) if newline == -1 else (buffer[:newline], self._at + newline + 1)
        self.text = line[:-1] if line.endswith(b"\r") else line
        return True
