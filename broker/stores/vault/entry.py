"""What a KV entry, a JSON object, is as a value, and a value as an entry: exactly, in both directions.

entry                                   | value
--------------------------------------- | ----------------------------------------------------------------
ours: {"value": "text"}                 | the text, UTF-8; a number or an object that others put there: its source
ours: {"value_base64": "..."}           | the bytes; what is not UTF-8 is written so
ours: none of the two                   | the object, as the team's: Vault's own tools wrote it, with keys of their own
ours: both, one that is null, no key    | Malformed
the team's: any object                  | the object, as JSON: `#field` picks from it

Vault writes `<`, `>`, `&`, U+2028 and U+2029 in JSON as escapes; in an object they become themselves again. Numbers keep the
digits that the store has. Messages never show a content.
"""

import binascii
import json
import re

import msgspec

from broker.errors import Malformed, TooLarge
from contract.values import SecretValue
from contract.wire import MAX_VALUE_BYTES

TEXT, BINARY = "value", "value_base64"
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_ESCAPED = {b"\\u003c": b"<", b"\\u003e": b">", b"\\u0026": b"&", b"\\u2028": "\u2028".encode(), b"\\u2029": "\u2029".encode()}
# An escape begins at a backslash that is not itself escaped: the last one of an odd run.
_ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*)(\\u(?:003c|003e|0026|2028|2029))")


def fields_of(value: SecretValue) -> dict[str, str]:
    """The entry that holds the value."""
    content = value.reveal()
    try:
        return {TEXT: content.decode()}
    except UnicodeDecodeError:
        return {BINARY: binascii.b2a_base64(content, newline=False).decode()}


def encoded(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def value_of(place: str, source: bytes) -> SecretValue:
    """The value that our entry holds. Raises Malformed, TooLarge."""
    fields = _fields(place, source)
    names = [name for name in (TEXT, BINARY) if name in fields]
    if fields and not names:
        return SecretValue(_within(place, _plain(source)))
    if len(names) != 1:
        found = "both" if names else "no key at all"
        raise Malformed(f"{place}: a managed secret's entry has the field '{TEXT}' or '{BINARY}'; found {found}. {_FIX}")
    content = _content(place, names[0], bytes(fields[names[0]]))
    return SecretValue(_within(place, content if names[0] == TEXT else _decoded(place, content)))


def object_of(place: str, source: bytes) -> SecretValue:
    """The whole entry. Raises Malformed, TooLarge."""
    _fields(place, source)
    return SecretValue(_within(place, _plain(source)))


_FIX = "To fix: write it again through the broker"


def _fields(place: str, source: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(source)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # raised below, outside the handler, so that no traceback carries the content
    raise Malformed(f"{place}: the store's entry is not a JSON object")


def _content(place: str, name: str, source: bytes) -> bytes:
    if source == b"null":
        raise Malformed(f"{place}: the field '{name}' is null. {_FIX}")
    # That its strings are Unicode was seen when the object was.
    return _STRING.decode(source).encode() if source.startswith(b'"') else _plain(source)


def _decoded(place: str, text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass  # as above
    raise Malformed(f"{place}: the field '{BINARY}' is not base64. {_FIX}")


def _plain(source: bytes) -> bytes:
    if b"\\u" not in source:
        return source
    if b"\\\\" in source:
        return _ESCAPE.sub(lambda found: found[1] + _ESCAPED[found[2]], source)
    for escape, plain in _ESCAPED.items():  # five times as fast
        source = source.replace(escape, plain)
    return source


def _within(place: str, content: bytes) -> bytes:
    if len(content) > MAX_VALUE_BYTES:
        raise TooLarge(f"{place}: found a value of {len(content)} bytes; allowed: at most {MAX_VALUE_BYTES}")
    return content
