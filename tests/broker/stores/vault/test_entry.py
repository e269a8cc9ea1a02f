"""Entries and values, in both directions: exactly, and without a content in any message."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import Malformed, TooLarge
from broker.fields import pick
from broker.stores.vault.entry import encoded, fields_of, object_of, value_of
from contract.values import SecretValue
from contract.wire import MAX_VALUE_BYTES


TEXTS = st.text(st.sampled_from('a\0\n\r"\\<&\u00e4\u2028\ufeff\U0001f511'), max_size=40)


@given(st.one_of(st.binary(max_size=200), TEXTS.map(str.encode)))
def test_any_bytes_come_back(content: bytes) -> None:
    assert value_of("p", encoded(fields_of(SecretValue(content)))) == SecretValue(content)


def test_text_is_readable_there_and_bytes_are_base64() -> None:
    assert fields_of(SecretValue("\u00e4\n".encode())) == {"value": "\u00e4\n"}
    assert fields_of(SecretValue(b"\xff\x00")) == {"value_base64": base64.b64encode(b"\xff\x00").decode()}


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        pytest.param(b'{"value":"12345"}', b"12345", id="text"),
        pytest.param(b'{"value":12345}', b"12345", id="number"),
        pytest.param(b'{"value":1.10,"note":"by hand"}', b"1.10", id="digits-stay"),
        pytest.param(b'{"value":true}', b"true", id="boolean"),
        pytest.param(b'{"value":{"a":"\\u003c"}}', b'{"a":"<"}', id="object"),
        pytest.param(b'{"value":"\\u003c\\\\u003c"}', b"<\\u003c", id="escapes"),
        pytest.param(b'{"value_base64":"/w=="}', b"\xff", id="bytes"),
        pytest.param(b'{"password":"\\u003c","port":1}', b'{"password":"<","port":1}', id="keys-of-somebody-else's"),
    ],
)
def test_what_our_entry_means(entry: bytes, value: bytes) -> None:
    assert value_of("p", entry).reveal() == value


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(b"{}", "found no key at all", id="empty"),
        pytest.param(b'{"value":"canary","value_base64":"/w=="}', "found both", id="both"),
        pytest.param(b'{"value":null,"x":"canary"}', "the field 'value' is null", id="null"),
        pytest.param(b'{"value_base64":"canary!"}', "the field 'value_base64' is not base64", id="no-base64"),
        pytest.param(b'{"value_base64":"/w"}', "is not base64", id="no-padding"),
        pytest.param(b'["canary"]', "is not a JSON object", id="list"),
        pytest.param(b"null", "is not a JSON object", id="nothing"),
        pytest.param(b'{"value":"canary\\ud800"}', "is not a JSON object", id="half-a-pair"),
    ],
)
def test_what_no_entry_of_ours_can_be(entry: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message) as caught:
        value_of("SecretStore s: path '/p'", entry)
    assert caught.value.message.startswith("SecretStore s: path '/p': ")
    assert "canary" not in repr(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)


def test_too_large_is_told_with_its_size() -> None:
    with pytest.raises(TooLarge, match=f"found a value of {MAX_VALUE_BYTES + 1} bytes; allowed: at most {MAX_VALUE_BYTES}"):
        value_of("p", encoded({"value": "x" * (MAX_VALUE_BYTES + 1)}))
    with pytest.raises(TooLarge, match=f"found a value of {MAX_VALUE_BYTES + 8} bytes"):
        object_of("p", encoded({"a": "x" * MAX_VALUE_BYTES}))
    assert len(value_of("p", b'{"value":"' + b"\\u0001" * MAX_VALUE_BYTES + b'"}')) == MAX_VALUE_BYTES, "escapes are not counted"


def as_go_writes(text: str) -> str:
    """Go's encoder escapes these within strings, so that a browser may have them in a page."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


TRICKY = st.lists(st.sampled_from(["<", ">", "&", "\u2028", "\u2029", "\\", "u003c", "\\u003c", '"', "\u00e4"]), max_size=8).map("".join)


@given(st.dictionaries(TRICKY, st.one_of(TRICKY, st.lists(TRICKY, max_size=2), st.integers(), st.none(), st.booleans()), max_size=4))
def test_an_object_is_the_json_that_was_put_there(document: dict) -> None:
    """With a backslash in it or not: both ways through the code."""
    source = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    found = object_of("p", as_go_writes(source).encode())
    assert found.reveal() == source.encode()
    for field, content in document.items():
        if isinstance(content, str):
            assert pick(found, field).reveal() == content.encode()
