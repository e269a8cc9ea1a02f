"""Templates of any format: what is asked for, where it stands, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.formats import yaml_text
from contract.rendering import MAX_RENDERED, RenderError, render
from contract.template import FORMATS, MAX_SOURCE, TemplateError, format_of, read_template

N = 50_000
A, B = "tfy-secret://acme:llm:A", "tfy-secret://acme:llm:B"
STRUCTURED = [name for name in FORMATS if name != "raw"]
ONE = {
    "json": '{"k": "REF"}',
    "yaml": "k: REF\n",
    "env": "K=REF\n",
    "properties": "k=REF\n",
    "raw": "k REF\n",
}


def one(format_name: str, reference: str = f"${{{A}}}") -> bytes:
    return ONE[format_name].replace("REF", reference).encode()


@given(st.binary(max_size=40), st.binary(max_size=40), st.lists(st.binary(max_size=20), min_size=2, max_size=2))
def test_raw_is_exact(before: bytes, after: bytes, values: list[bytes]) -> None:
    """Any bytes, around a reference and in a value."""
    found = dict(zip((A, B), values, strict=True))
    made = render(read_template(before + f"${{{A}}}{B}\n".encode() + after, "raw"), lambda fqn: found[str(fqn)])
    assert made == before + values[0] + values[1] + b"\n" + after


@pytest.mark.parametrize("format_name", FORMATS)
def test_where_a_reference_stands(format_name: str) -> None:
    """Line and column count from 1, in characters."""
    filler = {"json": "[\n\n", "yaml": "# é\n\n", "env": "# é\n\n", "properties": "# é\n\n", "raw": "é\n\n"}[format_name]
    text = filler + one(format_name).decode() + ("]" if format_name == "json" else "")
    (mention,) = read_template(text.encode(), format_name).mentions
    line = ONE[format_name].splitlines()[0]
    assert (str(mention.fqn), mention.line, mention.column) == (A, 3, line.index("REF") + 1)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        (f"${{{A}}}", A),
        (A, A),
        (f"{A}?version=3&optional=true#user", f"{A}?version=3&optional=true#user"),
        ("${acme/aws/ssm-prod::/own/x}", "acme/aws/ssm-prod::/own/x"),
        ("${acme:aws:123:secret-store:prod::/own/x}", "acme:aws:123:secret-store:prod::/own/x"),
    ],
    ids=["braces", "bare", "qualifiers", "store", "long-store"],
)
def test_spellings(format_name: str, spelling: str, name: str) -> None:
    template = read_template(one(format_name, spelling), format_name)
    assert [str(mention.fqn) for mention in template.mentions] == [name]
    assert b"v1" in render(template, lambda _: b"v1")
    assert spelling.encode() not in render(template, lambda _: b"v1")


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    "text", ["std::vector", "${HOME}", "${HOME:-x}", "arn:aws:iam::1:role/x", "acme/aws/ssm-prod::/own/x", "${a::b}", "[::]:80"]
)
def test_what_is_no_reference_stays(format_name: str, text: str) -> None:
    """A store's path stands in braces; `::` alone says nothing."""
    content = one(format_name, text)
    template = read_template(content, format_name)
    assert (template.mentions, render(template, lambda _: b"never")) == ((), content)


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_absent_optional_name_adds_nothing(format_name: str) -> None:
    whole = render(read_template(one(format_name), format_name), lambda _: None)
    empty = {"json": b'{"k": ""}', "yaml": b'k: ""\n', "env": b"K=\n", "properties": b"k=\n", "raw": b"k \n"}
    assert whole == empty[format_name]


@pytest.mark.parametrize("format_name", STRUCTURED)
def test_a_value_that_is_no_text_is_refused(format_name: str) -> None:
    with pytest.raises(RenderError) as caught:
        render(read_template(one(format_name), format_name), lambda _: b"\xff\xfecanary")
    (sentence,) = caught.value.sentences
    assert sentence.endswith(f": the value is not UTF-8, which format {format_name} cannot carry; format raw, or a file of its own, can")
    assert sentence.startswith("line 1, column ")
    assert "canary" not in sentence


@pytest.mark.parametrize("format_name", STRUCTURED)
def test_a_file_that_is_no_text_is_refused(format_name: str) -> None:
    with pytest.raises(TemplateError) as caught:
        read_template(one(format_name) + b"\n\xff", format_name)
    assert [fault.found for fault in caught.value.faults] == ["bytes that are not UTF-8"]


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_byte_order_mark_is_no_part_of_a_file_with_references(format_name: str) -> None:
    """An editor may begin a file with it. Raw, and without references, a file stays as it is."""
    mark = "\ufeff".encode()
    made = render(read_template(mark + one(format_name), format_name), lambda _: b"v1")
    assert made == (mark if format_name == "raw" else b"") + render(read_template(one(format_name), format_name), lambda _: b"v1")
    assert render(read_template(mark + one(format_name, "plain"), format_name), lambda _: b"never") == mark + one(format_name, "plain")


def test_every_malformed_reference_is_told() -> None:
    text = "a: tfy-secret://acme\nb: ${tfy-secret://acme:llm:}\nc: tfy-secret://acme:llm:X?y=1\nd: ok\n"
    with pytest.raises(TemplateError) as caught:
        read_template(text.encode(), "yaml")
    assert [(fault.line, fault.column, fault.of_name) for fault in caught.value.faults] == [(1, 4, True), (2, 4, True), (3, 4, True)]
    assert caught.value.faults[0].on_one_line == (
        "line 1, column 4: found 'tfy-secret://acme'; allowed: tfy-secret://<tenant>:<group>:<key>, exactly three parts; "
        "to fix: name the group and the key, e.g. tfy-secret://acme:payments:DB_PASSWORD"
    )


def test_no_more_faults_than_anyone_reads() -> None:
    with pytest.raises(TemplateError) as caught:
        read_template(b"- tfy-secret://acme\n" * 5000, "yaml")
    assert len(caught.value.faults) == 20


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_value_is_never_looked_into(format_name: str) -> None:
    """A secret that spells a reference, or a part of one, is text."""
    made = render(read_template(one(format_name, f"${{{A}}}cme:llm:B"), format_name), lambda _: b"tfy-secret://a")
    text = made.decode().replace("\\:", ":")
    assert "tfy-secret://acme:llm:B" in text


def test_sizes_are_bounded() -> None:
    """A short file that names a large value ten thousand times would fill the node's memory."""
    with pytest.raises(TemplateError, match="found 1048577 bytes; allowed: at most 1048576"):
        read_template(b"x" * (MAX_SOURCE + 1), "raw")
    many = read_template(f"{A}\n".encode() * 200, "raw")
    asked = []
    with pytest.raises(RenderError, match=f"with this value the file has more than the {MAX_RENDERED} bytes that are allowed"):
        render(many, lambda _: asked.append(1) or b"v" * 1024 * 1024)
    assert len(asked) == 3, "it stops where the room ends"
    with pytest.raises(RenderError, match=f"bytes with its values; allowed: {MAX_RENDERED}"):
        render(read_template(one("json"), "json"), lambda _: b"\x01" * (MAX_RENDERED // 3))


def test_what_reads_differently_is_not_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of defence, should a format's writing ever be wrong."""
    monkeypatch.setattr(yaml_text, "written", lambda content, _following: f'"{content}"')
    template = read_template(one("yaml"), "yaml")
    assert render(template, lambda _: b"fine") == b'k: "fine"\n'
    for value in (b'x"\nadmin: "true', b"\\n", b'"'):
        with pytest.raises(RenderError, match="would not read as the template does; report this"):
            render(template, lambda _, value=value: value)


def test_no_error_holds_a_value() -> None:
    errors = []
    for format_name, value in (("env", b"canary\n"), ("json", b"canary\xff"), ("raw", b"canary" * 2**20)):
        with pytest.raises(RenderError) as caught:
            render(read_template(one(format_name), format_name), lambda _, value=value: value)
        errors.append(f"{caught.value!r} {caught.value} {caught.value.__cause__!r}")
    assert not [error for error in errors if "canary" in error]


def test_the_formats_are_those_that_have_a_module() -> None:
    for name in FORMATS:
        found = format_of(name)
        assert callable(found.strings) and callable(found.written) and callable(found.check_around)


HOSTILE = {
    "yaml": ["k: " + " " * N, "k: 'a" + " \n" * N + "'", "k: |\n" + " " * N, "[" * N, "- " * N, 'k: "' + "\\\\" * N + '"', "k: [" + '"a" ,' * N + "]", "k: a\n" + "  b\n" * N],
    "json": ['["' + "\\\\" * N + '"]', '[""' + ' ,""' * N + "]", "[" * N, '["' + "${a/b/c::" * N + '"]'],
    "env": ["A=" + " " * N, "A='" + '"' * N, "A=" + "x #" * N],
    "properties": ["\\" * N, "a" + " " * N, "a=" + "\\\n " * N],
    "raw": ["${" * N, "${a/b/c::" * N, "tfy-secret:" * N],
}  # fmt: skip


@pytest.mark.parametrize(("format_name", "text"), [(name, text) for name, texts in HOSTILE.items() for text in texts])
def test_time_grows_with_the_text_alone(format_name: str, text: str) -> None:
    """Each takes milliseconds; were a pattern to read a character again for each one before it, this would take minutes."""
    last = {"json": f'["{A}"]\n', "properties": f"\nk={A}\n"}.get(format_name, "\n" + one(format_name).decode())
    try:
        render(read_template((text + last).encode(), format_name), lambda _: b"v")
    except TemplateError as error:
        assert error.faults
