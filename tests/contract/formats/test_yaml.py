"""Format yaml, against libyaml and PyYAML: the scalars are where they are, and hold what they hold; values stay strings."""

import json
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.formats import COMMENT, TextFault, yaml_text
from contract.template import TemplateError, read_template
from tests.contract.formats.values import NAMES, NASTY, SPELLINGS, VALUES, WORDS, filled, rendered

LOADERS = (yaml.CSafeLoader, yaml.SafeLoader)


def scalars(text: str) -> list[tuple[int, str]] | None:
    """Where libyaml sees scalars begin, and what they hold; None where it does not take the text."""
    try:
        list(yaml.parse(text, Loader=yaml.CSafeLoader))
        tokens = list(yaml.scan(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        return None
    return [(token.start_mark.index, token.value) for token in tokens if isinstance(token, yaml.ScalarToken)]


def ours(text: str) -> list[tuple[int, str]] | None:
    try:
        return [(start, content) for kind, start, _, content in yaml_text.strings(text) if kind != COMMENT]
    except TextFault:
        return None


# Pieces of which texts are thrown together: many are YAML, some look like it.
PIECES = (
    "a", "b c", "key", ": ", ":", "- ", "-", "? ", "#", " # x", "\n", "\n", "\n  ", "\n    ", " ", "  ", "'", '"', "it's", "''", '\\"', "\\n", "\\", "|",
     "|-\n", "|+\n", ">\n", ">-\n  ", "|2\n", "{", "}", "[", "]", ", ", ",", "&a ", "*a", "!t ", "!!str ", "${x}", "tfy-secret://a:b:c", "k: v\n", "- x\n",
     "k:\n", "  k: v\n", "    - y\n", "---\n", "...\n", "\t", "1", "true", "%", "@", "x:y", "http://h:1/p?q#f", "k: |\n  text\n   more\n\n  end\n",
     "k: >\n  text\n  more\n\n   ind\n  end\n", "'a b'", '"q"', '"a\n  b"', "'x\n\n y'", "plain\n  cont", '"\\\n  x"', "<<: *a\n", "- - x\n", "- k: v\n  l: w\n",
)  # fmt: skip


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32))
def test_scalars_are_those_of_libyaml(seed: int) -> None:
    """Where both take a text, they see the same; what only we refuse is refused, and that is safe. A thousand texts each time."""
    chance = random.Random(seed)
    compared = 0
    for _ in range(1000):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 14)))
        found, theirs = ours(text), scalars(text)
        if found is not None and theirs is not None:
            compared += 1
            assert found == theirs, text
    assert compared > 150


@st.composite
def _documents(draw: st.DrawFn, value: st.SearchStrategy[str], depth: int = 0) -> Any:
    kind = draw(st.integers(0, 9))
    if depth > 3 or kind < 5:
        return draw(value)
    if kind < 7:
        return draw(st.lists(_documents(value, depth + 1), min_size=1, max_size=3))
    if kind == 7:
        return draw(st.sampled_from([None, True, 3, 1.5, "", [], {}]))
    return draw(
        st.dictionaries(st.sampled_from(["a", "b", "api_key", "a b", "é", "1"]), _documents(value, depth + 1), min_size=1, max_size=3)
    )


TEXTS = st.lists(st.sampled_from(SPELLINGS) | WORDS | st.sampled_from(["\n", "\n\n", " ", "'", '"', "#", "\n  "]), max_size=5).map("".join)


def _filled(tree: Any, values: dict[str, str]) -> Any:
    if isinstance(tree, str):
        return filled(tree, values)
    if isinstance(tree, list):
        return [_filled(part, values) for part in tree]
    return {key: _filled(part, values) for key, part in tree.items()} if isinstance(tree, dict) else tree


@settings(max_examples=200, deadline=None)
@given(
    _documents(TEXTS),
    st.lists(VALUES, min_size=3, max_size=3),
    st.sampled_from([None, "'", '"', "|", ">"]),
    st.sampled_from([None, True, False]),
    st.sampled_from([20, 80, 1000]),
    st.integers(2, 4),
)
def test_parse_of_render_is_substitute_of_parse(tree: Any, found: list[str], style: Any, flow: Any, width: int, indent: int) -> None:
    """Documents in every style that PyYAML writes: plain, quoted, folded, literal; block and flow; long lines folded."""
    values = dict(zip(NAMES, found, strict=True))
    text = yaml.dump(
        tree,
        Dumper=yaml.SafeDumper,
        default_style=style,
        default_flow_style=flow,
        width=width,
        indent=indent,
        allow_unicode=True,
        sort_keys=False,
    )
    tree = yaml.safe_load(text)  # PyYAML does not always read what it wrote
    try:
        made = rendered(text, "yaml", values)
    except TemplateError as error:
        # Text over several lines in a flow collection, and `? ` before a long key: told, not guessed.
        assert all("inside [ ] or { }" in str(fault.found) or "key" in fault.found for fault in error.faults), error  # noqa: PT017
        return
    for loader in LOADERS:
        assert yaml.load(made, Loader=loader) == _filled(tree, values)


STYLES = {
    "plain": "key: {}\nnext: 1\n",
    "plain-with-text": "key: Bearer {}\nnext: 1\n",
    "double": 'key: "{}"\nnext: 1\n',
    "single": "key: '{}'\nnext: 1\n",
    "literal": "key: |\n  one\n  {}\nnext: 1\n",
    "literal-strip": "key: |-\n  {}\n\nnext: 1\n",
    "literal-keep": "key: |+\n  {}\n\nnext: 1\n",
    "folded": "key: >\n  one\n  {}\nnext: 1\n",
    "folded-strip-with-indicator": "key: >-2\n   x\n  {}\nnext: 1\n",
    "list": "key:\n- a\n- {}\nnext: 1\n",
    "flow": 'key: {{"a": ["{}", b]}}\nnext: 1\n',
    "plain-over-lines": "key: a\n  {}\n\n  b\nnext: 1\n",
    "tagged": "key: !!str {}\nnext: 1\n",
    "anchored": "key: &k {}\nagain: *k\nnext: 1\n",
    "commented": "key: {} # why\nnext: 1\n",
    "empty-block-before-it": "list:\n- empty: |\n  key: {}\nnext: 1\n",
    "deep-after-block": "a:\n- b: |\n    x\n   # c\n  key: {}\nnext: 1\n",
    "no-line-break-at-the-end": "next: 1\nkey: |\n  {}",
}


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("style", STYLES)
def test_no_value_changes_type_or_adds_a_key(style: str, value: str) -> None:
    """`true`, `1e3`, `# x`, `a: b` and line breaks stay text where they were put, for both parsers."""
    text = STYLES[style].format(SPELLINGS[0])
    template = yaml.safe_load(text)
    values = dict.fromkeys(NAMES, value)
    made = rendered(text, "yaml", values)
    for loader in LOADERS:
        assert yaml.load(made, Loader=loader) == _filled(template, values)


def test_what_is_around_stays() -> None:
    """Comments, layout and other scalars; a name in a comment is text and is not fetched."""
    text = (
        "# see tfy-secret://acme:llm:X and tfy-secret://broken\n"
        "model_list:   # all of them\n"
        "  - model_name: 'gpt'\n"
        '    litellm_params: {model: openai/gpt, api_key: "${tfy-secret://acme:llm:A}"}\n'
        "\n"
        "general_settings:\n"
        "    master_key: ${tfy-secret://acme:llm:B}   # rotate\n"
        "---\n"
        "second: document\n"
    )
    made = rendered(text, "yaml", {NAMES[0]: "a'b", NAMES[1]: "x: #y"}).decode()
    assert made == text.replace('"${tfy-secret://acme:llm:A}"', '"a\'b"').replace("${tfy-secret://acme:llm:B}", '"x: #y"')
    assert [str(m.fqn) for m in read_template(text.encode(), "yaml").mentions] == list(NAMES[:2])


def test_windows_line_ends() -> None:
    made = rendered("a: ${tfy-secret://acme:llm:A}\r\nb: |\r\n  x\r\n  y\r\n", "yaml", dict.fromkeys(NAMES, "v"))
    assert yaml.safe_load(made) == {"a": "v", "b": "x\ny\n"}


def test_json_is_yaml() -> None:
    tree = {"a": [SPELLINGS[0], {"b": 'x"y'}], "c": None}
    assert yaml.safe_load(rendered(json.dumps(tree), "yaml", dict.fromkeys(NAMES, "v"))) == {"a": ["v", {"b": 'x"y'}], "c": None}


REFERENCE = "r: ${tfy-secret://acme:llm:A}\n"


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        pytest.param("a: [${tfy-secret://acme:llm:A}]\n", "line 1, column 5", "'{' in text without quotes, inside [ ] or { }", id="flow-without-quotes"),
        pytest.param(REFERENCE + "a:\n\tb: 1\n", "line 3, column 1", "a tab outside of quotes", id="tab"),
        pytest.param(REFERENCE + "a: b\tc\n", "line 2, column 5", "a tab outside of quotes", id="tab-in-text"),
        pytest.param("%YAML 1.2\n---\n" + REFERENCE, "line 1, column 1", "a directive", id="directive"),
        pytest.param(REFERENCE + "? a\n: b\n", "line 2, column 1", "'?' where a key is expected", id="explicit-key"),
        pytest.param(REFERENCE + "[a]: b\n", "line 2, column 4", "a list, an object or an alias as a key", id="list-as-key"),
        pytest.param("--- " + REFERENCE, "line 1, column 5", "content behind '---'", id="content-behind-marker"),
        pytest.param(REFERENCE + 'a: "b\n', "line 2, column 4", "a quote that does not end", id="open-quote"),
        pytest.param(REFERENCE + 'a: "\\q"\n', "line 2, column 5", "an escape that YAML does not have", id="escape"),
        pytest.param(REFERENCE + 'a: "\\ud83d"\n', "line 2, column 5", "an escape that YAML does not have", id="half-of-a-pair"),
        pytest.param(REFERENCE + "a: [b\n", "line 3, column 1", "[ or { that does not end", id="open-bracket"),
        pytest.param(REFERENCE + "a: [b}\n", "line 2, column 6", "'}' that closes another bracket", id="wrong-bracket"),
        pytest.param(REFERENCE + "a: b: c\n", "line 2, column 4", "a second ': ' in one line", id="two-keys"),
        pytest.param(REFERENCE + "a: - b\n", "line 2, column 4", "'-' behind a key", id="list-behind-key"),
        pytest.param(REFERENCE + "a: 'b' c\n", "line 2, column 8", "text behind a value that has ended", id="text-behind-quotes"),
        pytest.param(REFERENCE + "a: b\n  c: d\n", "line 3, column 4", "': ' in text that began on a line above", id="key-in-text"),
        pytest.param(REFERENCE + "a: @b\n", "line 2, column 4", "'@' where a value begins", id="reserved"),
        pytest.param(REFERENCE + "a: | b\n  c\n", "line 2, column 6", "text behind a block scalar's head", id="block-head"),
        pytest.param(REFERENCE + "a: |x\n  c\n", "line 2, column 4", "a block scalar's head that is not understood", id="block-indicator"),
        pytest.param(REFERENCE + "a: |\n     \n  c\n", "line 3, column 1", "an empty line that is indented more than the text below it", id="block-blank"),
        pytest.param(REFERENCE + "a: [b\n c]\n", "line 3, column 2", "text over several lines inside [ ] or { }", id="flow-over-lines"),
        pytest.param(REFERENCE + "a: b\u2028c\n", "line 2, column 5", "a character that a YAML text cannot hold", id="line-separator"),
        pytest.param(REFERENCE + "a: \rb\n", "line 2, column 4", "a carriage return without a line feed", id="lone-cr"),
        pytest.param("${tfy-secret://acme:llm:A}: b\n", "line 1, column 1", "a reference in a key", id="key"),
        pytest.param("a: !${tfy-secret://acme:llm:A} b\n", "line 1, column 4", "a tag that is not understood", id="tag"),
        pytest.param("a: !tfy-secret://acme:llm:A b\n", "line 1, column 5", "a reference where no value stands", id="bare-tag"),
        pytest.param("a: &x*y\n" + REFERENCE, "line 1, column 4", "an anchor that is not understood", id="anchor"),
        pytest.param("a: x # c\nb: tfy-secret://acme\n", "line 2, column 4", "'tfy-secret://acme'", id="malformed"),
        pytest.param("a: ${acme/aws/ssm-prod::/x #y}\n", "line 1, column 4", "'${acme/aws/ssm-prod::/x'", id="open-brace"),
    ],
)  # fmt: skip
def test_refused(text: str, place: str, found: str) -> None:
    """What cannot be placed is told with its place, rather than guessed at."""
    with pytest.raises(TemplateError) as caught:
        read_template(text.encode(), "yaml")
    assert [(fault.place, fault.found) for fault in caught.value.faults] == [(place, found)]


def test_a_file_without_references_is_taken_as_it_is() -> None:
    """Even what would be refused, and its line ends."""
    for text in ("%YAML 1.2\n--- \t? a\r\n", "a: ${HOME}::x\n? b", 'a: "\\q"', "\udcff"):
        content = text.encode("utf-8", "surrogateescape")
        template = read_template(content, "yaml")
        assert (template.slots, template.text.encode("utf-8", "surrogateescape")) == ((), content)
