"""An answer's JSON as the type that the API documents, or None. What is wrong with it is never told: it may hold a secret."""

from typing import TypeVar

import msgspec

T = TypeVar("T")


def parsed(kind: type[T], body: bytes) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
