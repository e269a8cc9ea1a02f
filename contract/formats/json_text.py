"""Format json (RFC 8259): strings in double quotes. A reference stands inside one; bare, the text would be no JSON.

The text is parsed as a whole, so that what is not JSON is refused with its place, and what stands between the strings is never
touched: with as many strings as before, each one JSON string, the rendered text has the structure of the template.
`same_structure` proves it once more by parsing both.
"""

import json
import re

from contract.formats import KEY, VALUE, TextFault

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_COLON = re.compile(r"[ \t\n\r]*+:")
_BARE = re.compile(r"tfy-secret:|\$\{")


def strings(text: str) -> "Iterator[String]":
    position = 0
    for match in _STRING.finditer(text):
        _no_reference(text, position, match.start())
        position = match.end()
        content = match.group()[1:-1]
        if "\\" in content:
            content = _unescaped(match.group(), match.start())
        yield KEY if _COLON.match(text, position) else VALUE, match.start(), position, content
    _no_reference(text, position, len(text))
    _parsed(text)


def written(content: str, following: str = "") -> str:  # noqa: ARG001 - it is in quotes
    return json.dumps(content)


def check_around(text: str) -> str | None:  # noqa: ARG001 - it is escaped like the value
    return None


def same_structure(template: str, rendered: str, replaced: "Callable[[str], str]") -> bool:
    """Whether the rendered text parses to what the template parses to with its strings replaced."""
    pairs = [(_parsed(template), _parsed(rendered))]
    while pairs:
        was, now = pairs.pop()
        if type(was) is not type(now):
            return False
        if isinstance(was, list):
            pairs += zip(was, now, strict=False)
        elif isinstance(was, tuple):  # an object; its keys hold no reference
            pairs += [(one, other) for (_, one), (_, other) in zip(was, now, strict=False)]
        same = (
            len(was) == len(now)
            if isinstance(was, list)
            else [key for key, _ in was] == [key for key, _ in now]
            if isinstance(was, tuple)
            else (replaced(was) if isinstance(was, str) else was) == now
        )
        if not same:
            return False
    return True


def _parsed(text: str) -> "Any":
    """Objects are tuples of pairs, so that a key that is there twice is compared too; numbers are their bytes."""
    try:
        return json.loads(text, object_pairs_hook=tuple, parse_int=str.encode, parse_float=str.encode, parse_constant=_constant)
    except json.JSONDecodeError as error:
        fix = "correct it; a reference stands in double quotes, inside a string"
        raise TextFault(error.pos, f"text that is not JSON ({error.msg})", "JSON (RFC 8259)", fix) from None
    except RecursionError:
        raise TextFault(
            0, "JSON that is nested too deep", "at most a few hundred levels", "nest it less deeply, or use format raw"
        ) from None


def _constant(_text: str) -> None:
    raise TextFault(0, "NaN or Infinity", "JSON (RFC 8259)", "write a number, a string or null")


def _unescaped(string: str, at: int) -> str:
    try:
        content = json.loads(string)
    except json.JSONDecodeError as error:
        raise TextFault(at + error.pos, f"text that is not JSON ({error.msg})", "JSON (RFC 8259)", "correct it") from None
    assert isinstance(content, str)  # noqa: S101 - the pattern takes strings alone
    return content


def _no_reference(text: str, start: int, end: int) -> None:
    match = _BARE.search(text, start, end)
    if match is not None:
        fix = 'write it in double quotes: "${tfy-secret://...}"'
        raise TextFault(match.start(), "a reference outside of a string", "references inside JSON strings", fix)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from contract.formats import String
