"""What a YAML reader takes a scalar for: escapes, folded lines, block scalars; and the one spelling that is written.

A value is always written in double quotes on one line of ASCII: it then stays a string whatever it looks like (`true`, `1e3`,
`# x`), in every YAML version, and holds line breaks, quotes and control characters without touching the lines around it.
"""

import re

from contract.formats import TextFault

_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b", " ": " ", '"': '"', "/": "/",
    "\\": "\\", "\t": "\t", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_WRITTEN = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
_DIGITS = {"x": 2, "u": 4, "U": 8}
# A run of blanks is read once, whether a line ends behind it or not.
_DOUBLE_PART = re.compile(r"(?P<breaks>[ \t]*+(?:\n[ \t]*+)++)|\\(?P<joined>\n[ \t]*+(?:\n[ \t]*+)*+)|\\(?P<escape>.)|[ \t]++|[^\\\n \t]++")
_SINGLE_PART = re.compile(r"(?P<breaks>[ \t]*+(?:\n[ \t]*+)++)|(?P<quote>'')|[ \t]++|[^'\n \t]++")


def written(content: str, following: str = "") -> str:  # noqa: ARG001 - it is in quotes
    return f'"{"".join([_escaped(character) for character in content])}"' if _special(content) else f'"{content}"'


def double_quoted(inner: str, at: int) -> str:
    """The content of what stands between double quotes; `at` is where it stands."""
    if "\\" not in inner and "\n" not in inner:
        return inner
    parts: list[str] = []
    position = 0
    while position < len(inner):
        match = _DOUBLE_PART.match(inner, position)
        assert match is not None  # noqa: S101 - a backslash has something behind it, or the quote would not have ended
        position = match.end()
        kind = match.lastgroup
        if kind == "breaks":
            parts.append(_folded(match.group().count("\n")))
        elif kind == "joined":
            parts.append("\n" * (match.group().count("\n") - 1))
        elif kind == "escape":
            character, position = _unescaped(inner, match.start(), at)
            parts.append(character)
        else:
            parts.append(match.group())
    return "".join(parts)


def single_quoted(inner: str) -> str:
    if "'" not in inner and "\n" not in inner:
        return inner
    return "".join([_single(match) for match in _SINGLE_PART.finditer(inner)])


def plain(lines: "list[str]") -> str:
    """Lines without their outer blanks; an empty one is an empty line between two others."""
    content = lines[0]
    empty = 0
    parts = [content]
    for line in lines[1:]:
        if not line:
            empty += 1
            continue
        parts += (_folded(empty + 1), line)
        empty = 0
    return "".join(parts)


def block(lines: "list[str]", *, literal: bool, chomp: str, ended: bool) -> str:
    """The content of a block scalar: its lines without their indentation, the empty ones at its end among them.

    `ended`: whether the last line has a line break behind it; the last line of a file may have none.
    """
    count = len(lines)
    while count and not lines[count - 1]:
        count -= 1
    if not count:
        return "\n" * (len(lines) if ended else max(0, len(lines) - 1)) if chomp == "+" else ""
    body = "\n".join(lines[:count]) if literal else _folded_block(lines[:count])
    breaks = len(lines) - count + (1 if ended else 0)
    return body + ("" if chomp == "-" else "\n" * breaks if chomp == "+" else "\n" * min(breaks, 1))


def _folded_block(lines: "list[str]") -> str:
    """Lines that begin with a blank keep their line breaks, on both sides."""
    parts: list[str] = []
    breaks = 0
    before: str | None = None
    for line in lines:
        if not line:
            breaks += 1
            continue
        if before is None:
            parts.append("\n" * breaks)
        elif before[0] in " \t" or line[0] in " \t":
            parts.append("\n" * (breaks + 1))
        else:
            parts.append(_folded(breaks + 1))
        parts.append(line)
        before, breaks = line, 0
    return "".join(parts)


def _folded(breaks: int) -> str:
    return " " if breaks == 1 else "\n" * (breaks - 1)


def _single(match: "re.Match[str]") -> str:
    if match.lastgroup == "breaks":
        return _folded(match.group().count("\n"))
    return "'" if match.lastgroup == "quote" else match.group()


def _unescaped(inner: str, at: int, begun: int) -> "tuple[str, int]":
    """The character that an escape stands for, and where it ends."""
    letter = inner[at + 1]
    if letter in _ESCAPES:
        return _ESCAPES[letter], at + 2
    end = at + 2 + _DIGITS.get(letter, 0)
    digits = inner[at + 2 : end]
    if digits and len(digits) == _DIGITS[letter] and re.fullmatch(r"[0-9A-Fa-f]+", digits):
        code = int(digits, 16)
        if code < 0xD800 or 0xDFFF < code < 0x110000:
            return chr(code), end
    raise TextFault(begun + at, "an escape that YAML does not have", '\\n, \\t, \\", \\\\, \\xNN, \\uNNNN and the like', "correct it")


def _special(content: str) -> bool:
    return not content.isascii() or not content.isprintable() or "\\" in content or '"' in content


def _escaped(character: str) -> str:
    if character in _WRITTEN:
        return _WRITTEN[character]
    code = ord(character)
    if " " <= character <= "~":
        return character
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
