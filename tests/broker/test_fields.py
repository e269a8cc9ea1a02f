"""`#field` gives a field of a JSON object exactly, or says why not without showing content."""

import pytest

from broker.errors import FieldNotFound, Malformed
from broker.fields import pick
from contract.values import SecretValue

DOCUMENT = SecretValue(
    b'{"text": "caf\\u00e9 \\"x\\"", "num": 1.50, "big": 12345678901234567890123, "obj": {"a" : [1,  2]}, "yes": true, "none": null, "empty": ""}'
)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param("text", 'café "x"'.encode(), id="a-string-gives-its-text"),
        pytest.param("num", b"1.50", id="a-number-keeps-its-spelling"),
        pytest.param("big", b"12345678901234567890123", id="a-number-past-64-bits"),
        pytest.param("obj", b'{"a" : [1,  2]}', id="an-object-keeps-its-blanks"),
        pytest.param("yes", b"true", id="a-boolean"),
        pytest.param("empty", b"", id="an-empty-string-is-there"),
    ],
)
def test_field_is_exact(field, expected):
    assert pick(DOCUMENT, field).reveal() == expected


@pytest.mark.parametrize("field", ["none", "absent"])
def test_null_and_missing_are_not_found(field):
    with pytest.raises(FieldNotFound, match=f"no field '{field}'"):
        pick(DOCUMENT, field)


@pytest.mark.parametrize(
    "content",
    [
        b"CANARY",
        b"[1]",
        b'"CANARY"',
        b"",
        b'{"a":"CANARY',
        b'\xff{"a":1}',
        b'{"a":' * 50_000,
        b'{"a":1}CANARY',
        b'{"a":"CANARY\\ud800"}',
        b'{"a":"CANARY\xff"}',
    ],
    ids=["text", "array", "string", "empty", "cut-off", "not-utf8", "nested-deep", "trailing", "half-a-surrogate", "not-utf8-inside"],
)
def test_not_an_object_is_malformed_and_shows_nothing(content):
    with pytest.raises(Malformed) as caught:
        pick(SecretValue(content), "a")
    error = caught.value
    assert "CANARY" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None  # a decoder's error would carry the content along
