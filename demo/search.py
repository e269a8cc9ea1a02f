"""Look for secret values where none may be, in every spelling that they could have on the way."""

import binascii
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote


def found_in(content: bytes, values: Iterable[bytes]) -> int:
    """How many of the values occur."""
    return sum(any(spelling in content for spelling in spellings(value)) for value in values)


def spellings(value: bytes) -> set[bytes]:
    """As it is, in JSON, percent-encoded, in hexadecimal, and in base64 at each of the three places where it can begin."""
    text = value.decode(errors="replace")
    in_json = {json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
    return (
        {value, quote(value, safe="").encode(), quote(value).encode(), value.hex().encode()}
        | in_json
        | {_base64_core(b"\0" * shift + value, shift) for shift in range(3)}
    )


def all_clear(places: Mapping[str, bytes], values: Iterable[bytes]) -> dict[str, int]:
    """For each place, how many of the values occur in it."""
    wanted = list(values)
    return {place: found_in(content, wanted) for place, content in places.items()}


def _base64_core(shifted: bytes, shift: int) -> bytes:
    """The characters that the value alone decides: those before and after also hold its neighbours' bits."""
    encoded = binascii.b2a_base64(shifted, newline=False)
    begin = (shift * 8 + 5) // 6
    return encoded[begin : len(shifted) * 8 // 6]
