"""A config file with its values in place, so that no value can break it.

A string that holds references is filled as the format's reader reads it, and all of it is written anew as one string of the format.
What was made is then read again: every string must be what the template's was, with the values in place, or nothing is delivered.
What is between the strings stays as it is.
"""

from contract.formats import COMMENT, TextFault, Unfit
from contract.fqn import Fqn
from contract.template import BYTES, MAX_SOURCE, RAW, Slot, Template, format_of

MAX_RENDERED = 2 * MAX_SOURCE  # bytes; without a limit a short file could name a large value ten thousand times


class RenderError(ValueError):
    """Values that the file cannot take: sentences, each with line and column, none with a value."""

    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences
        super().__init__("\n".join(sentences))


def render(template: Template, value_of: "Callable[[Fqn], bytes | None]") -> bytes:
    """The file with all values in place; None, for a name that is absent and optional, adds nothing. Raises RenderError."""
    if not template.slots:
        return template.text.encode(*BYTES)
    text, written = template.text, format_of(template.format).written
    sentences: list[str] = []
    contents: dict[int, str] = {}
    parts: list[str] = []
    position, room = 0, MAX_RENDERED
    for slot in template.slots:
        filled = _filled(slot, template.format, value_of, sentences, room)
        if filled is None:
            continue
        contents[slot.start] = filled
        try:
            parts += (text[position : slot.start], written(filled, text[slot.end : slot.end + 1]))
        except Unfit as unfit:
            sentences.append(f"{slot.mentions[0].place}: {unfit}")
            continue
        position, room = slot.end, room - len(parts[-1])
    parts.append(text[position:])
    if sentences:
        raise RenderError(*sentences)
    rendered = "".join(parts)
    _check(template, rendered, contents)
    encoded = rendered.encode(*BYTES)
    if len(encoded) > MAX_RENDERED:
        raise RenderError(f"the file has {len(encoded)} bytes with its values; allowed: {MAX_RENDERED}")
    return encoded


def _filled(slot: Slot, format_name: str, value_of: "Callable[[Fqn], bytes | None]", sentences: "list[str]", room: int) -> str | None:
    """The string with its values; None where one is not text, or where there is no room for all."""
    parts = [slot.texts[0]]
    for mention, following in zip(slot.mentions, slot.texts[1:], strict=True):
        value = value_of(mention.fqn) or b""
        room -= len(value)
        if room < 0:
            raise RenderError(f"{mention.place}: with this value the file has more than the {MAX_RENDERED} bytes that are allowed")
        try:
            parts += (value.decode(*BYTES) if format_name == RAW else value.decode(), following)
        except UnicodeDecodeError:
            sentences.append(
                f"{mention.place}: the value is not UTF-8, which format {format_name} cannot carry; format raw, or a file of its own, can"
            )
            return None
    return "".join(parts)


def _check(template: Template, rendered: str, contents: "dict[int, str]") -> None:
    """The last line of defence: what was made is read again, and must be the template with its strings filled, or nothing is delivered."""
    try:
        same = _same_strings(template, rendered, contents)
        if same and template.format == "json":
            from contract.formats.json_text import same_structure

            filled = {slot.content: contents[slot.start] for slot in template.slots}
            same = same_structure(template.text, rendered, lambda content: filled.get(content, content))
    except TextFault:
        same = False
    if not same:
        raise RenderError(
            f"line {template.slots[0].mentions[0].line}: the file with its values would not read as the template does; report this"
        )


def _same_strings(template: Template, rendered: str, contents: "dict[int, str]") -> bool:
    strings = format_of(template.format).strings
    was = ((kind, contents.get(start, content)) for kind, start, _, content in strings(template.text) if kind != COMMENT)
    now = ((kind, content) for kind, _, _, content in strings(rendered) if kind != COMMENT)
    end = object()
    return all(next(now, end) == one for one in was) and next(now, end) is end


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
