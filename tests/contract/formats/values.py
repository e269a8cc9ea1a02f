"""Values and texts for templates: what breaks a file that is put together carelessly, and anything at all."""

from hypothesis import strategies as st

from contract.rendering import render
from contract.template import read_template

NAMES = ("tfy-secret://acme:llm:A", "tfy-secret://acme:llm:B", "acme/aws/ssm-prod::/own/c")
SPELLINGS = tuple(f"${{{name}}}" for name in NAMES)
NASTY = (
    "plain", "", "true", "null", "~", "1e3", "0x1f", "2026-01-01", "# x", "a: b", " lead", "trail ", '"', "'", "it's", 'a"b', "\\", "\\n", "a\\", "\\\\",
    "\n", "two\nlines", "end\n", "\n\nx\n\n", "a\r\nb", "\r", "\t", "a\tb", "- x", "? x", "{a}", "[a, b]", "a, b", "%x", "@x", "`x`", "|", ">", "&a", "*a", "!t",
    "---", "...", "x\n---\ny", "é", "\U0001f511", "\u2028", "\x85", "\ufeff", "\xa0", "\x7f", "\0", "\x1b", "$HOME", "${HOME}", "$$", "$(id)", "=", "a=b", ":", "key: |\n  x",
    '","admin":true,"x":"', "'\nADMIN=1\n'", '"\nadmin: true\n', "]", "}", "tfy-secret://acme:llm:B", "${tfy-secret://acme:llm:B}", "<<", "=", "x #y", "!important",
)  # fmt: skip
VALUES = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WORDS = st.sampled_from(["a", "Bearer ", "x-", "http://h:1/p?q=", "@db", " b", "1", "é", "true"])


def rendered(text: str, format_name: str, values: "dict[str, str]") -> bytes:
    """The file with these values, by name."""
    template = read_template(text.encode(), format_name)
    return render(template, lambda fqn: values[str(fqn)].encode())


def filled(content: str, values: "dict[str, str]") -> str:
    """What a string of the template is to become, done the plain way: by what stands between the spellings."""
    parts = [content]
    for spelling, name in zip(SPELLINGS, NAMES, strict=True):
        parts = [piece for part in parts for piece in _split(part, spelling, values[name])]
    return "".join(part if isinstance(part, str) else part[0] for part in parts)


def _split(part: "str | tuple[str]", spelling: str, value: str) -> "list[str | tuple[str]]":
    """A value that was put in is a tuple, so that a spelling inside it is not looked at again."""
    if isinstance(part, tuple):
        return [part]
    pieces: list[str | tuple[str]] = []
    for index, piece in enumerate(part.split(spelling)):
        pieces += [piece] if not index else [(value,), piece]
    return pieces
