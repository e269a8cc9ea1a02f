"""Format env: lines of NAME=value, as dotenv files have them.

Readers differ (shells, python-dotenv, Node.js, Docker, Compose, systemd), so a value is written in the first form that all of
them, or all that know quotes, take for exactly it:

value                                                                  | written
---------------------------------------------------------------------- | -------------
letters, digits and . _ - / : @ % + = ,                                | as it is
nothing, with a comment behind it                                      | in single quotes
no ' and none of what some readers expand or unescape                  | in single quotes
with ', and none of " \\ $ `                                            | in double quotes
a line break or NUL, ${, two backslashes or one at the end, ' beside " | refused
"""

import re

from contract.formats import COMMENT, KEY, VALUE, TextFault, Unfit

_HEAD = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_SINGLE = re.compile(r"'[^'\n]*'")
_DOUBLE = re.compile(r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"')
_COMMENT = re.compile(r"[ \t]#")
_SAFE = re.compile(r"[A-Za-z0-9._/:@%+=,-]*")
_AROUND = re.compile(r"[\\$`'\"]")
_CANNOT = "cannot stand in an env file for all of its readers; format json or yaml, or a file of its own, can carry it"
_FORM = "lines of NAME=value, comments and empty lines"


def strings(text: str) -> "Iterator[String]":
    at = 0
    while at <= len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        yield from _line(text, at, end)
        at = end + 1


def written(content: str, following: str = "") -> str:
    if not content and following in (" ", "\t"):
        return "''"  # some take a comment behind nothing for the value
    if _SAFE.fullmatch(content):
        return content
    for character, what in (("\n", "a line break"), ("\r", "a carriage return"), ("\0", "a NUL")):
        if character in content:
            raise Unfit(f"the value holds {what}, which {_CANNOT}")
    if not any(sign in content for sign in ("'", "${", "\\\\")) and not content.endswith("\\"):
        return f"'{content}'"
    if not any(sign in content for sign in '"\\$`'):
        return f'"{content}"'
    raise Unfit(f"the value holds quotes, ${{ or backslashes that readers of env files do not agree on: it {_CANNOT}")


def check_around(text: str) -> str | None:
    if _AROUND.search(text):
        return "a backslash, a quote, '$' or '`' beside a reference, which readers of env files do not agree on"
    return None


def _line(text: str, start: int, end: int) -> "Iterator[String]":
    stripped = text[start:end].strip(" \t")
    if not stripped:
        return
    if stripped.startswith("#"):
        yield COMMENT, start, end, ""
        return
    head = _HEAD.match(text, start, end)
    if head is None:
        raise TextFault(start, "a line that is no NAME=value", _FORM, "correct the line, or use format raw")
    yield KEY, head.start(1), head.end(1), head.group(1)
    value = _value(text, head.end(), end)
    yield value
    rest = text[value[2] : end]
    bare = rest.lstrip(" \t")
    if not bare:
        return
    if not bare.startswith("#") or text[end - len(bare) - 1] not in " \t":
        raise TextFault(value[2], "text behind a quoted value", "a comment, after a blank", "put all of the value into the quotes")
    yield COMMENT, end - len(bare), end, ""


def _value(text: str, at: int, end: int) -> "String":
    quote = text[at] if at < end else ""
    if quote in ("'", '"'):
        match = (_SINGLE if quote == "'" else _DOUBLE).match(text, at, end)
        if match is None:
            raise TextFault(at, "a quoted value that does not end on its line", _FORM, "end it on its line, or use format raw")
        return VALUE, at, match.end(), match.group()[1:-1]
    if quote == "`":
        raise TextFault(at, "a value in backticks", "values in quotes or in none", "use quotes, or format raw")
    begun = at - 1 if text[at - 1] in " \t" else at  # `NAME= # text`: no value and a comment
    comment = _COMMENT.search(text, begun, end)
    content = text[at : max(at, comment.start()) if comment else end].rstrip(" \t")
    return VALUE, at, at + len(content), content


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.formats import String
