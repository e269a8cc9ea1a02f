"""Explicit JSON Patch operations (RFC 6902). Nothing is diffed and no array is replaced: other people's entries stay."""

from typing import Any

Op = dict[str, Any]


def pointer(*parts: str | int) -> str:
    """A JSON Pointer (RFC 6901) with `~` and `/` escaped."""
    return "".join("/" + (str(part) if isinstance(part, int) else part.replace("~", "~0").replace("/", "~1")) for part in parts)


def add(path: str, value: Any) -> Op:
    """A field that may be there: then it is replaced."""
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: Any) -> Op:
    return {"op": "replace", "path": path, "value": value}


def move(source: str, path: str) -> Op:
    return {"op": "move", "from": source, "path": path}


def append(path: str, existing: list[Any] | None, values: list[Any]) -> list[Op]:
    """Add values at the end of an array that may be missing or null."""
    if not values:
        return []
    if existing is None:
        return [{"op": "add", "path": path, "value": values}]
    return [{"op": "add", "path": f"{path}/-", "value": value} for value in values]


def insert(path: str, existing: list[Any] | None, index: int, value: Any) -> Op:
    """Add one value at a place of an array that may be missing or null."""
    if existing is None:
        return {"op": "add", "path": path, "value": [value]}
    return {"op": "add", "path": f"{path}/{index}", "value": value}
