"""JSON Patch operations (RFC 6902) from typed parts: escaped, and right for arrays that are missing or empty."""

from typing import Any

import jsonpatch
import pytest

from webhook.patch import Op, append, insert, move, pointer, replace


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param((), "", id="the-whole"),
        pytest.param(("spec", "containers", 0), "/spec/containers/0", id="names-and-indices"),
        pytest.param(("metadata", "annotations", "a/b~c"), "/metadata/annotations/a~1b~0c", id="escaped"),
        pytest.param(("~1",), "/~01", id="escaped-once"),
        pytest.param(("",), "/", id="empty-name"),
    ],
)
def test_pointer(parts: tuple[str | int, ...], expected: str) -> None:
    """RFC 6901, section 3."""
    assert pointer(*parts) == expected


@pytest.mark.parametrize(
    ("before", "operations", "after"),
    [
        pytest.param({}, append("/a", None, [1, 2]), {"a": [1, 2]}, id="append-to-nothing"),
        pytest.param({"a": None}, append("/a", None, [1]), {"a": [1]}, id="append-to-null"),
        pytest.param({"a": []}, append("/a", [], [1, 2]), {"a": [1, 2]}, id="append-to-an-empty-array"),
        pytest.param({"a": [0]}, append("/a", [0], [1, 2]), {"a": [0, 1, 2]}, id="append-in-order"),
        pytest.param({}, append("/a", None, []), {}, id="append-nothing"),
        pytest.param({}, [insert("/a", None, 0, 1)], {"a": [1]}, id="insert-into-nothing"),
        pytest.param({"a": []}, [insert("/a", [], 0, 1)], {"a": [1]}, id="insert-into-an-empty-array"),
        pytest.param({"a": [0, 2]}, [insert("/a", [0, 2], 1, 1)], {"a": [0, 1, 2]}, id="insert-between"),
        pytest.param({"a": [0]}, [insert("/a", [0], 1, 1)], {"a": [0, 1]}, id="insert-at-the-end"),
        pytest.param({"a": [0, 1, 2]}, [move("/a/2", "/a/0")], {"a": [2, 0, 1]}, id="move"),
        pytest.param({"a": [0]}, [replace("/a/0", {"b": 1})], {"a": [{"b": 1}]}, id="replace"),
    ],
)
def test_operations(before: dict[str, Any], operations: list[Op], after: dict[str, Any]) -> None:
    """Applied as an API server would, they give what their names say."""
    assert jsonpatch.apply_patch(before, operations) == after
