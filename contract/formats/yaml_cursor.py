"""A place in a YAML text that goes forward: blanks, comments, quotes, anchors and tags, which are the same in every context."""

import re

from contract.formats import COMMENT, TextFault
from contract.formats.yaml_scalars import double_quoted, single_quoted

_DOUBLE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SINGLE = re.compile(r"'[^']*+(?:''[^']*+)*+'")
MARKER = re.compile(r"^(?:---|\.\.\.)(?=[ \t\n]|\Z)", re.MULTILINE)
_ANCHOR = re.compile(r"&[A-Za-z0-9_-]+")
ALIAS = re.compile(r"\*[A-Za-z0-9_-]+")
_TAG = re.compile(r"![^\s,\[\]{}]*")
_LINE = re.compile(r"[^\n]*")
SPACES = re.compile(r" *")


class Cursor:
    """`found` is what was read and not yet handed on."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: list[String] = []

    def quoted(self) -> str:
        match = (_DOUBLE if self.text[self.at] == '"' else _SINGLE).match(self.text, self.at)
        if match is None:
            raise self.fault("a quote that does not end", "quoted text with both its quotes", "add the other quote")
        inner, begun = match.group()[1:-1], self.at + 1
        if "\n" in inner and MARKER.search(self.text, begun, match.end()):
            raise self.fault("'---' or '...' inside quotes", "quoted text within one document", "do not begin a line with it")
        self.at = match.end()
        return double_quoted(inner, begun) if match.group()[0] == '"' else single_quoted(inner)

    def property(self, *, flow: bool = False) -> None:
        """An anchor or a tag."""
        anchor = self.text[self.at] == "&"
        self.match(_ANCHOR if anchor else _TAG, "an anchor" if anchor else "a tag", flow=flow)

    def match(self, pattern: "re.Pattern[str]", what: str, *, flow: bool = True) -> None:
        match = pattern.match(self.text, self.at)
        following = "" if match is None else self.text[match.end() : match.end() + 1] or "\n"
        if match is None or following not in (" \n,]}" if flow else " \n"):
            raise self.fault(f"{what} that is not understood", "letters, digits, '_' and '-', then a blank", "correct its name")
        self.at = match.end()

    def skip_spaces(self) -> None:
        self.at = end_of(SPACES, self.text, self.at)

    def ends_line(self) -> bool:
        """Whether nothing but a comment is left of the line; then go to the next one."""
        text = self.text
        if self.at < len(text) and text[self.at] == "#" and (self.at == 0 or text[self.at - 1] in " \n"):
            self.comment()
        if self.at == len(text) or text[self.at] == "\n":
            self.at += 1
            return True
        if text[self.at] == "\t":
            raise self.tab()
        return False

    def comment(self) -> None:
        end = end_of(_LINE, self.text, self.at)
        self.found.append((COMMENT, self.at, end, ""))
        self.at = end

    def tab(self) -> TextFault:
        return self.fault("a tab outside of quotes", "blanks, and tabs inside quotes", "indent with blanks")

    def fault(self, found: str, allowed: str, fix: str) -> TextFault:
        return TextFault(self.at, found, allowed, fix)


def end_of(pattern: "re.Pattern[str]", text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()


TYPE_CHECKING = False
if TYPE_CHECKING:
    from contract.formats import String
