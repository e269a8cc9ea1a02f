"""A config file with references inside: which they are, and where they stand.

A reference is `${<fqn>}` or a bare `tfy-secret://...`, inside a string that the format's reader takes for a value. One in a comment is
left as it is and never fetched; one in a key, or where no value stands, is refused. A file without any is taken as it is.

A file that has references loses its CRs before LF and a byte order mark at its beginning, unless its format is raw. Putting the values in
is `contract.rendering`.
"""

import re

from contract.formats import COMMENT, KEY, TextFault
from contract.fqn import SCHEME, Fqn, FqnError
from contract.record import record
from contract.references import AnyStore, is_store_fqn, locate

FORMATS = ("json", "yaml", "env", "properties", "raw")
RAW = "raw"
MAX_SOURCE = 1024 * 1024  # bytes; what a ConfigMap can hold
MAX_FAULTS = 20  # what anyone is shown

_ANY_STORE = AnyStore()
_BYTE_ORDER_MARK = "\ufeff"  # some editors begin a file with it; to most readers it is a fault, or a part of the first name
_SIGN = SCHEME.removesuffix("//")
_STORE_PATH = re.compile(r"\$\{([^{}\s]*?)::")
BYTES = ("utf-8", "surrogateescape")  # any bytes as text, and back


@record
class Fault:
    """Something that the file's author must mend. Line and column count from 1; nothing of the file but a reference is shown."""

    line: int
    column: int
    found: str
    allowed: str
    fix: str
    of_name: bool = False  # a reference that does not parse

    @property
    def place(self) -> str:
        return f"line {self.line}, column {self.column}"

    @property
    def on_one_line(self) -> str:
        return f"{self.place}: found {self.found}; allowed: {self.allowed}; to fix: {self.fix}"


class TemplateError(ValueError):
    """A file that cannot be rendered, with every fault that was found."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(fault.on_one_line for fault in faults))


@record
class Mention:
    """A reference, and where in the file it stands."""

    fqn: Fqn
    line: int
    column: int

    @property
    def place(self) -> str:
        return f"line {self.line}, column {self.column}"


@record
class Slot:
    """A string of the file that holds references: its place, what a reader takes it for, the texts around the references, and they."""

    start: int
    end: int
    content: str
    texts: "tuple[str, ...]"
    mentions: "tuple[Mention, ...]"


@record
class Template:
    """A file that was read; `slots` are in its order."""

    format: str
    text: str
    slots: "tuple[Slot, ...]"

    @property
    def mentions(self) -> "tuple[Mention, ...]":
        return tuple([mention for slot in self.slots for mention in slot.mentions])

    @property
    def names(self) -> "dict[str, Mention]":
        """Each name once, in the order of the file, with where it stands first."""
        found: dict[str, Mention] = {}
        for mention in self.mentions:
            found.setdefault(str(mention.fqn), mention)
        return found


def read_template(content: bytes, format_name: str) -> Template:
    """Raises TemplateError."""
    if len(content) > MAX_SOURCE:
        raise TemplateError(Fault(1, 1, f"{len(content)} bytes", f"at most {MAX_SOURCE}", "split the file"))
    text = content.decode(*BYTES)
    as_it_is = Template(format_name, text, ())
    certain = _SIGN in text or _names_store(text)
    if not certain and (format_name == RAW or "\\" not in text):  # with a backslash, an escape may spell one
        return as_it_is
    try:
        text = text if format_name == RAW else _as_editors_mean_it(text)
        slots = _Reading(text, format_name).slots()
    except TextFault as error:
        if not certain:
            return as_it_is
        line, column = _Places(text).of(error.at)
        raise TemplateError(Fault(line, column, error.found, error.allowed, error.fix)) from None
    return Template(format_name, text, slots) if slots else as_it_is


def _as_editors_mean_it(text: str) -> str:
    text = text.removeprefix(_BYTE_ORDER_MARK).replace("\r\n", "\n")
    odd = re.search("[\r\udc80-\udcff]", text)
    if odd is None:
        return text
    if odd.group() == "\r":
        raise TextFault(odd.start(), "a carriage return without a line feed", "lines that end in LF or CR LF", "end the line with LF")
    raise TextFault(odd.start(), "bytes that are not UTF-8", "UTF-8, or format raw", "save the file as UTF-8")


def _names_store(text: str) -> bool:
    return "::" in text and any(is_store_fqn(match.group(1)) for match in _STORE_PATH.finditer(text))


class _Reading:
    """Finds the slots of a text, and every fault of its references."""

    def __init__(self, text: str, format_name: str) -> None:
        self._text, self._format = text, format_of(format_name)
        self._places = _Places(text)
        self._faults: list[Fault] = []

    def slots(self) -> "tuple[Slot, ...]":
        """Raises TextFault or TemplateError."""
        found: list[Slot] = []
        covered = 0
        for kind, start, end, content in self._format.strings(self._text):
            self._nothing_between(covered, start)
            covered = max(covered, end)
            if kind != COMMENT and (_SIGN in content or "::" in content):
                slot = self._slot(kind, start, end, content)
                if slot is not None:
                    found.append(slot)
            if len(self._faults) > MAX_FAULTS:
                break
        else:
            self._nothing_between(covered, len(self._text))
        if self._faults:
            raise TemplateError(*self._faults[:MAX_FAULTS])
        return tuple(found)

    def _slot(self, kind: str, start: int, end: int, content: str) -> Slot | None:
        try:
            found = locate(content, _ANY_STORE)
        except FqnError as error:
            at = self._text.find(content[error.at : error.at + 20], start, end)
            self._tell(max(at, start), f"'{error.found}'", error.allowed, error.fix, of_name=True)
            return None
        bounds = [0, *[index for first, last, _ in found for index in (first, last)], len(content)]
        texts = tuple([content[bounds[i] : bounds[i + 1]] for i in range(0, len(bounds), 2)])
        if not found:
            return None
        mentions = self._mentions(found, start, end, content)
        odd = self._format.check_around("".join(texts))
        if kind == KEY:
            self._tell(start, "a reference in a key", "references in values", "write the key as text")
        elif odd is not None:
            self._tell(
                start, odd, "letters, digits and plain punctuation beside a reference", "keep all of it in the secret, or use format raw"
            )
        return Slot(start, end, content, texts, mentions)

    def _mentions(self, found: "list[tuple[int, int, Fqn]]", start: int, end: int, content: str) -> "tuple[Mention, ...]":
        """Escapes and folded lines make a reference's spelling differ from the text's: then its string's place is told."""
        made: list[Mention] = []
        position = start
        for first, last, fqn in found:
            if position >= 0:
                position = self._text.find(content[first:last], position, end)
            line, column = self._places.of(position if position >= 0 else start)
            made.append(Mention(fqn, line, column))
            position += last - first if position >= 0 else 0
        return tuple(made)

    def _nothing_between(self, start: int, end: int) -> None:
        """A name that lies, if only by a part, outside of strings."""
        beside = len(SCHEME) - 1
        at = self._text.find(SCHEME, max(0, start - beside), end + beside) if start <= end else -1
        if at >= 0:
            self._tell(at, "a reference where no value stands", "references in values", "put it into the value, in quotes")

    def _tell(self, at: int, found: str, allowed: str, fix: str, *, of_name: bool = False) -> None:
        line, column = self._places.of(at)
        self._faults.append(Fault(line, column, found, allowed, fix, of_name))


class _Places:
    """Line and column of indexes; asked in rising order, each character is looked at once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._seen, self._line, self._begins = 0, 1, 0

    def of(self, at: int) -> "tuple[int, int]":
        if at < self._seen:
            self._seen, self._line, self._begins = 0, 1, 0
        self._line += self._text.count("\n", self._seen, at)
        self._begins = max(self._begins, self._text.rfind("\n", self._seen, at) + 1)
        self._seen = at
        return self._line, at - self._begins + 1


def format_of(name: str) -> "Format":
    """Imported when it is needed: a pod rarely has more than one."""
    from importlib import import_module

    module: Format = import_module(f"contract.formats.{name}_text")
    return module


TYPE_CHECKING = False
if TYPE_CHECKING:
    from contract.formats import Format
