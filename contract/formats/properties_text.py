"""Format properties: what java.util.Properties loads. Everything but plain ASCII is written as an escape, so it carries any text.

    key = value      separators: blanks, '=' or ':'; a backslash at a line's end goes on with the next line
    # and ! begin comments

A value is written on one line, whatever lines the template's had.
"""

import re

from contract.formats import COMMENT, KEY, VALUE, TextFault

_BLANKS = re.compile(r"[ \t\f]*")
_KEY = re.compile(r"(?:[^\\=: \t\f\n]|\\[^\n])*+")
_SEPARATOR = re.compile(r"[ \t\f]*(?:[=:][ \t\f]*)?")
_VALUE = re.compile(r"[^\\\n]*+(?:\\(?:.|\Z)[^\\\n]*+)*+", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:(\n[ \t\f]*)|u([0-9A-Fa-f]{4})|(u)|(.)|\Z)", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_NAMES = {code: f"\\{letter}" for letter, code in _LETTERS.items()}
_SPECIAL = frozenset("\\=:#!")


def strings(text: str) -> "Iterator[String]":
    """By logical lines."""
    at = _end_of(_BLANKS, text, 0)
    while at < len(text):
        if text[at] == "\n":
            end = at
        elif text[at] in "#!":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            yield COMMENT, at, end, ""
        else:
            key_end, start, end = _line(text, at)
            yield KEY, at, key_end, _unescaped(text, at, key_end)
            yield VALUE, start, end, _unescaped(text, start, end)
        at = _end_of(_BLANKS, text, end + 1)


def written(content: str, following: str = "") -> str:  # noqa: ARG001 - its value ends with its line
    blanks = len(content) - len(content.lstrip(" "))
    return "\\ " * blanks + "".join([_escaped(character) for character in content[blanks:]])


def check_around(text: str) -> str | None:  # noqa: ARG001 - it is escaped like the value
    return None


def _line(text: str, at: int) -> "tuple[int, int, int]":
    """Where a key ends, where its value begins and where it ends."""
    key_end = _end_of(_KEY, text, at)
    start = _end_of(_SEPARATOR, text, key_end)
    if text[start : start + 2] == "\\\n":
        fix = "begin the value on its key's line"
        raise TextFault(start, "a line that goes on before its value begins", "key and the value's beginning on one line", fix)
    return key_end, start, _end_of(_VALUE, text, start)


def _end_of(pattern: "re.Pattern[str]", text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _unescaped(text: str, start: int, end: int) -> str:
    raw = text[start:end]
    if "\\" not in raw:
        return raw

    def of(match: "re.Match[str]") -> str:
        line_break, code, malformed, letter = match.groups()
        if malformed:
            raise TextFault(start + match.start(), "'\\u' without four hexadecimal digits", "e.g. \\u00e9", "correct it")
        return "" if line_break else chr(int(code, 16)) if code else _LETTERS.get(letter, letter or "")

    content = _ESCAPE.sub(of, raw)
    # Two \uXXXX are the halves of one character beyond the first 65536, as in Java.
    return content.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass") if "\\u" in raw else content


def _escaped(character: str) -> str:
    if character in _NAMES:
        return _NAMES[character]
    if " " <= character <= "~":
        return f"\\{character}" if character in _SPECIAL else character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join([f"\\u{units[i]:02X}{units[i + 1]:02X}" for i in range(0, len(units), 2)])


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.formats import String
