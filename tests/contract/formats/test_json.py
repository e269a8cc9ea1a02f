"""Format json: whatever a value holds, the document's structure is the template's and the string holds exactly the value."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.formats import TextFault, json_text
from contract.template import TemplateError, read_template
from tests.contract.formats.values import NAMES, NASTY, SPELLINGS, VALUES, WORDS, filled, rendered

STRINGS = st.lists(st.sampled_from(SPELLINGS) | WORDS | st.text(max_size=4), max_size=4).map("".join)
_PLAIN_KEYS = st.sampled_from(["a", "b", "api key", 'q"', "é", ""])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_PLAIN_KEYS, inner, max_size=3),
    max_leaves=10,
)


def _filled(tree: Any, values: dict[str, str]) -> Any:
    if isinstance(tree, str):
        return filled(tree, values)
    if isinstance(tree, list):
        return [_filled(part, values) for part in tree]
    return {key: _filled(part, values) for key, part in tree.items()} if isinstance(tree, dict) else tree


@settings(max_examples=150)
@given(TREES, st.lists(VALUES, min_size=3, max_size=3), st.sampled_from([None, 2, "\t"]), st.booleans())
def test_parse_of_render_is_substitute_of_parse(tree: Any, found: list[str], indent: Any, ascii_only: bool) -> None:
    values = dict(zip(NAMES, found, strict=True))
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert json.loads(rendered(text, "json", values)) == _filled(tree, values)


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_no_value_adds_a_key(value: str) -> None:
    text = f'{{\n  "key": "Bearer {SPELLINGS[0]}",\n  "other": 1.50\n}}\n'
    made = rendered(text, "json", dict.fromkeys(NAMES, value)).decode()
    assert json.loads(made) == {"key": f"Bearer {value}", "other": 1.5}
    assert made.endswith(',\n  "other": 1.50\n}\n'), "what is around stays byte for byte"


def test_escapes_spell_a_reference_too() -> None:
    """A reader sees the name, whatever its spelling in the text."""
    made = rendered('{"a": "\\u0024{tfy-secret:\\/\\/acme:llm:A}", "b": "\\ud83d\\udd11"}', "json", dict.fromkeys(NAMES, "v"))
    assert json.loads(made) == {"a": "v", "b": "\U0001f511"}


def test_keys_that_are_there_twice_stay() -> None:
    made = rendered(f'{{"a": "{SPELLINGS[0]}", "a": 2}}', "json", dict.fromkeys(NAMES, "v"))
    assert made == b'{"a": "v", "a": 2}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '{\n  "a": ${tfy-secret://acme:llm:A}\n}',
            "line 2, column 8: found a reference outside of a string; allowed: references inside JSON strings; "
            'to fix: write it in double quotes: "${tfy-secret://...}"',
            id="bare",
        ),
        pytest.param(
            '{"a": tfy-secret://acme:llm:A}',
            "line 1, column 7: found a reference outside of a string; allowed: references inside JSON strings; "
            'to fix: write it in double quotes: "${tfy-secret://...}"',
            id="bare-without-braces",
        ),
        pytest.param(
            '{"${tfy-secret://acme:llm:A}": 1}',
            "line 1, column 2: found a reference in a key; allowed: references in values; to fix: write the key as text",
            id="key",
        ),
        pytest.param(
            '{"a": "${tfy-secret://acme:llm:A}",}',
            "line 1, column 36: found text that is not JSON (Expecting property name enclosed in double quotes); allowed: JSON (RFC 8259); "
            "to fix: correct it; a reference stands in double quotes, inside a string",
            id="trailing-comma",
        ),
        pytest.param(
            '["${tfy-secret://acme:llm:A}", NaN]',
            "line 1, column 1: found NaN or Infinity; allowed: JSON (RFC 8259); to fix: write a number, a string or null",
            id="nan",
        ),
        pytest.param(
            "[" * 5000 + '"${tfy-secret://acme:llm:A}"' + "]" * 5000,
            "line 1, column 1: found JSON that is nested too deep; allowed: at most a few hundred levels; "
            "to fix: nest it less deeply, or use format raw",
            id="deep",
        ),
        pytest.param(
            '["\\q", "${tfy-secret://acme:llm:A}"]',
            "line 1, column 3: found text that is not JSON (Invalid \\escape); allowed: JSON (RFC 8259); to fix: correct it",
            id="bad-escape",
        ),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        read_template(text.encode(), "json")
    assert [fault.on_one_line for fault in caught.value.faults] == [message]


def test_the_last_check_sees_a_difference() -> None:
    """`same_structure` compares what both texts parse to, so that an error in the writing would not be delivered."""
    same = json_text.same_structure
    assert same('{"a": "x", "b": [1, "x"]}', '{"a": "v", "b": [1, "v"]}', lambda _: "v")
    for other in (
        '{"a": "v", "b": [1, "w"]}',
        '{"a": "v", "c": [1, "v"]}',
        '{"a": "v", "b": [1, "v", 2]}',
        '{"a": "v", "b": [2, "v"]}',
        '["v"]',
    ):
        assert not same('{"a": "x", "b": [1, "x"]}', other, lambda _: "v")


def test_text_that_is_not_json_names_no_content() -> None:
    with pytest.raises(TextFault) as caught:
        list(json_text.strings('{"a": canary}'))
    assert "canary" not in str(caught.value)
