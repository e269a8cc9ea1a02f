"""Read JSON values strictly: a missing, unknown or wrongly typed field is an error that names its place.

For the plan and the wire format, which two versions of our own programs exchange: what one does not understand it must not
guess. Messages name places and types, never contents.
"""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FormatError(ValueError):
    """JSON that is not what the format says; the message holds the place and the reason, never a value."""


def loads(text: "str | bytes", what: str) -> "Any":
    """Decode JSON; a duplicate key, a constant that JSON does not have, or too deep a nesting is an error too."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except FormatError:
        raise
    except (ValueError, RecursionError):
        raise FormatError(f"{what} is not JSON") from None


def fields(value: "Any", place: str, required: "dict[str, type]", optional: "dict[str, type] | None" = None) -> "list[Any]":
    """The object's fields in the order of the arguments; an optional field that is not there is None."""
    if not isinstance(value, dict):
        raise FormatError(f"{place}: an object is needed")
    optional = optional or {}
    for name in value:
        if name not in required and name not in optional:
            raise FormatError(f"{place}: unknown field '{name[:40]}'; the two sides are of different versions")
    for name, kind in required.items():
        if name not in value:
            raise FormatError(f"{place}: field '{name}' is missing")
        _check(value[name], f"{place}.{name}", kind)
    for name, kind in optional.items():
        if name in value:
            _check(value[name], f"{place}.{name}", kind)
    return [value[name] for name in required] + [value.get(name) for name in optional]


def strings(value: "Any", place: str) -> "tuple[str, ...]":
    for index, item in enumerate(value):
        _check(item, f"{place}[{index}]", str)
    return tuple(value)


def _check(value: "Any", place: str, kind: type) -> None:
    if type(value) is not kind:
        raise FormatError(f"{place}: {kind.__name__} is needed, not {type(value).__name__}")


def _unique(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    made = dict(pairs)
    if len(made) != len(pairs):
        raise FormatError("a field is given twice")
    return made


def _no_constant(text: str) -> None:
    raise FormatError(f"{text} is not JSON")
