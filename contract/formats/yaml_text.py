"""Format yaml: finds the scalars, keys and comments of a YAML text, as YAML 1.1 and 1.2 readers agree on them.

It follows indentation, quotes, flow collections and block scalars, and refuses, with the place, what is rare and hard to place:
directives, keys introduced by `?`, collections or aliases as keys, tabs outside of quotes, content behind `---`, text over several
lines inside [ ] or { }. It does not check that a text is YAML; a text that is, it reads as a YAML parser does (the tests compare).
"""

import re

from contract.formats import COMMENT, KEY, VALUE, TextFault
from contract.formats.yaml_scalars import block, double_quoted, plain, single_quoted, written

__all__ = ["check_around", "strings", "written"]

_DOUBLE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SINGLE = re.compile(r"'[^']*+(?:''[^']*+)*+'")
_MARKER = re.compile(r"^(?:---|\.\.\.)(?=[ \t\n]|\Z)", re.MULTILINE)
_PLAIN_END = re.compile(r":(?=[ \t\n]|\Z)|(?<=[ \t])#|\n|\t")
_FLOW_END = re.compile(r":(?=[ \t\n,\[\]{}]|\Z)|(?<=[ \t])#|[\n\t,\[\]{}]")
_BLOCK_HEAD = re.compile(r"[|>](?:([+-])([1-9])?|([1-9])([+-])?)?+(?=[ \n]|\Z)")
_ANCHOR = re.compile(r"&[A-Za-z0-9_-]+")
_ALIAS = re.compile(r"\*[A-Za-z0-9_-]+")
_TAG = re.compile(r"![^\s,\[\]{}]*")
_KEY_END = re.compile(r" *:(?=[ \n]|\Z)")
_FLOW_KEY_END = re.compile(r"[ \n]*+:")
_LINE = re.compile(r"[^\n]*")
_SPACES = re.compile(r" *")
# What YAML does not allow in a text, and the line breaks that only YAML 1.1 knows.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_KEY_CHARACTERS = 1024  # of an implicit key, its end included


def strings(text: str) -> "Iterator[String]":
    forbidden = _FORBIDDEN.search(text)
    if forbidden is not None:
        fix = 'write it as an escape in double quotes: "\\u2028"'
        raise TextFault(forbidden.start(), "a character that a YAML text cannot hold", "printable characters, tabs and line breaks", fix)
    scanner = _Scanner(text)
    while scanner.at < len(text):
        scanner.line()
        yield from scanner.found
        scanner.found.clear()


def check_around(text: str) -> str | None:  # noqa: ARG001 - it is escaped like the value
    return None


class _Scanner:
    """Goes through a text once. `indents` are the columns of the block collections that are open."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.found: list[String] = []
        self.indents = [-1]

    # --- block collections ---------------------------------------------------------------------------------------------

    def line(self) -> None:
        """From the beginning of a line to the beginning of the next one that is not part of the same scalar."""
        begun = self.at
        self._skip_spaces()
        if self._ends_line():
            return
        column = self.at - begun
        if column == 0 and (_MARKER.match(self.text, begun) or self.text[begun] == "%"):
            self._marker(begun)
            return
        while self.indents[-1] > column:
            self.indents.pop()
        self._nodes(column)

    def _marker(self, begun: int) -> None:
        if self.text[begun] == "%":
            raise self._fault("a directive", "documents without one", "remove the line that begins with '%'")
        self.at += 3
        self.indents = [-1]
        self._skip_spaces()
        if not self._ends_line():
            raise self._fault("content behind '---'", "'---' on a line of its own", "begin the document on the next line")

    def _nodes(self, column: int) -> None:
        """The nodes of one line: entries, a key, a value. `fresh`: an entry or a key can begin here."""
        text, fresh = self.text, True
        while True:
            character, following = text[self.at], text[self.at + 1 : self.at + 2] or "\n"
            if character in "-?:" and following in " \t\n":
                if character != "-":
                    raise self._fault(f"'{character}' where a key is expected", "keys on one line", "write the key as key: value")
                if not fresh:
                    raise self._fault("'-' behind a key", "a list on the lines below its key", "begin the list on the next line")
                self._open(column)
                self.at += 1
            elif character in "&!":
                self._property()
            elif self._scalar_is_key(column, fresh=fresh):
                fresh = False
            else:
                return
            begun = self.at
            self._skip_spaces()
            if self._ends_line():
                return
            if character == "-":
                column += 1 + self.at - begun

    def _scalar_is_key(self, column: int, *, fresh: bool) -> bool:
        """Read one node. True: it is a key, and what follows its ':' is next. False: the line is done."""
        text, begun = self.text, self.at
        character = text[begun]
        if character in "|>":
            self._block_scalar()
            return False
        if character in "[{":
            self._flow()
        elif character == "*":
            self._match(_ALIAS, "an alias")
        elif character in "\"'":
            content = self._quoted()
            if _KEY_END.match(text, self.at):
                self._key(column, begun, self.at, content, fresh=fresh)
                return True
            self.found.append((VALUE, begun, self.at, content))
        elif character in ",]}@`%#":
            raise self._fault(
                f"'{character}' where a value begins", "a value, which begins with none of , ] } @ ` % #", "put it into quotes"
            )
        else:
            return self._plain(column, fresh=fresh)
        self._finish_line()
        return False

    def _key(self, column: int, begun: int, end: int, content: str, *, fresh: bool) -> None:
        self.at = begun
        if not fresh:
            raise self._fault("a second ': ' in one line", "one key in a line", "put the value into quotes")
        if "\n" in self.text[begun:end] or end - begun > _KEY_CHARACTERS:
            raise self._fault("a key over several lines, or a long one", f"keys of at most {_KEY_CHARACTERS} characters", "shorten it")
        self.found.append((KEY, begun, end, content))
        self._open(column)
        self.at = self.text.index(":", end) + 1

    def _open(self, column: int) -> None:
        if self.indents[-1] < column:
            self.indents.append(column)

    # --- scalars -------------------------------------------------------------------------------------------------------

    def _quoted(self) -> str:
        match = (_DOUBLE if self.text[self.at] == '"' else _SINGLE).match(self.text, self.at)
        if match is None:
            raise self._fault("a quote that does not end", "quoted text with both its quotes", "add the other quote")
        inner, begun = match.group()[1:-1], self.at + 1
        if "\n" in inner and _MARKER.search(self.text, begun, match.end()):
            raise self._fault("'---' or '...' inside quotes", "quoted text within one document", "do not begin a line with it")
        self.at = match.end()
        return double_quoted(inner, begun) if match.group()[0] == '"' else single_quoted(inner)

    def _plain(self, column: int, *, fresh: bool) -> bool:
        """A scalar without quotes, over all its lines; True where it is a key."""
        begun = self.at
        part, ended = self._plain_part()
        if ended == ":":
            self._key(column, begun, begun + len(part), part, fresh=fresh)
            return True
        lines, end = [part], begun + len(part)
        while ended == "\n" and (blank := self._continued()) is not None:
            part, ended = self._plain_part()
            if ended == ":":
                raise self._fault(
                    "': ' in text that began on a line above", "keys at their level's indentation", "indent it rightly, or use quotes"
                )
            lines += [""] * blank
            lines.append(part)
            end = self.at
        self.found.append((VALUE, begun, end, plain(lines)))
        self.at = end
        self._finish_line()
        return False

    def _plain_part(self) -> "tuple[str, str]":
        """One line of a plain scalar, and the character that ended it. Goes behind the part."""
        match = _PLAIN_END.search(self.text, self.at)
        end = len(self.text) if match is None else match.start()
        ended = "\n" if match is None else match.group()
        if ended == "\t":
            self.at = end
            raise self._fault("a tab outside of quotes", "blanks, and tabs inside quotes", "use blanks, or put the text into quotes")
        part = self.text[self.at : end].rstrip(" ")
        self.at += len(part)
        return part, ended

    def _continued(self) -> int | None:
        """Go to the next line of a plain scalar; the number of empty lines before it, or None and stay."""
        text, at, blank = self.text, self.at, -1
        while True:
            end = text.find("\n", at)
            if end < 0:
                return None
            start = end + 1
            at = _end_of(_SPACES, text, start)
            blank += 1
            if at == len(text):
                return None
            if text[at] != "\n":
                break
        column = at - start
        if column <= self.indents[-1] or text[at] == "#" or (column == 0 and _MARKER.match(text, start)):
            return None
        self.at = at
        if text[at] == "\t":
            raise self._tab()
        return blank

    def _block_scalar(self) -> None:
        begun = self.at
        head = _BLOCK_HEAD.match(self.text, begun)
        if head is None:
            raise self._fault(
                "a block scalar's head that is not understood", "| or >, then + or -, and a digit", "correct it, or use quotes"
            )
        chomp = head.group(1) or head.group(4) or ""
        digit = head.group(2) or head.group(3)
        self.at = head.end()
        self._skip_spaces()
        if not self._ends_line():
            raise self._fault("text behind a block scalar's head", "the text on the lines below", "begin it on the next line")
        least = max(self.indents[-1], 0) + int(digit) if digit else self._block_indent()
        lines, end, ended = self._block_lines(least)
        self.found.append((VALUE, begun, end or head.end(), block(lines, literal=head.group()[0] == "|", chomp=chomp, ended=ended)))

    def _block_indent(self) -> int:
        """The indentation of the first line that is not empty, but more than what is around."""
        text, at, longest = self.text, self.at, 0
        least = max(self.indents[-1] + 1, 1)
        while at < len(text):
            end = _end_of(_SPACES, text, at)
            if end < len(text) and text[end] != "\n":
                if text[end] == "\t":
                    self.at = end
                    raise self._tab()
                least = max(least, end - at)
                break
            longest = max(longest, end - at)
            at = end + 1
        if longest > least:
            raise self._fault(
                "an empty line that is indented more than the text below it", "empty lines of no more blanks", "remove its blanks"
            )
        return least

    def _block_lines(self, indent: int) -> "tuple[list[str], int, bool]":
        """The lines of a block scalar, where the last one that is not empty ends, and whether a line break is behind the last."""
        text, lines, last, ended = self.text, list[str](), 0, True
        while self.at < len(text):
            start = self.at
            spaces = _end_of(_SPACES, text, start) - start
            end = text.find("\n", start)
            ended = end >= 0
            end = end if ended else len(text)
            if spaces < indent and start + spaces < end:
                if text[start + spaces] == "\t":
                    self.at = start + spaces
                    raise self._tab()
                ended = True
                break
            line = text[start + indent : end] if spaces >= indent else ""
            lines.append(line)
            last = end if line else last
            self.at = end + 1
        return lines, last, ended

    # --- flow collections ----------------------------------------------------------------------------------------------

    def _flow(self) -> None:
        """All of [ ... ] or { ... }, nested to any depth; afterwards `at` is behind it."""
        text, closing = self.text, list[str]()
        like_json = False  # whether a ':' may follow without a blank
        while True:
            self._skip_flow_blanks()
            if self.at == len(text):
                raise self._fault("[ or { that does not end", "a collection with both its brackets", "add the other bracket")
            character = text[self.at]
            if character in "[{":
                closing.append("]" if character == "[" else "}")
                self.at, like_json = self.at + 1, False
            elif character in "]}":
                if closing.pop() != character:
                    raise self._fault(f"'{character}' that closes another bracket", "brackets in pairs", "correct the brackets")
                self.at, like_json = self.at + 1, True
                if not closing:
                    return
            elif character == ",":
                self.at, like_json = self.at + 1, False
            elif character == ":":
                if not (like_json or text[self.at + 1 : self.at + 2] in (" ", "\n", "")):
                    raise self._fault("':' without a blank behind it", "': ' behind a key", "add a blank, or put the text into quotes")
                self.at, like_json = self.at + 1, False
            else:
                like_json = self._flow_node(character)

    def _flow_node(self, character: str) -> bool:
        """A scalar, an alias or a property. True where it was in quotes."""
        text, begun = self.text, self.at
        if character in "\"'":
            content = self._quoted()
            self.found.append((KEY if _FLOW_KEY_END.match(text, self.at) else VALUE, begun, self.at, content))
            return True
        if character in "&!":
            self._property(flow=True)
        elif character == "*":
            self._match(_ALIAS, "an alias")
        elif character in "?:|>@`%#" or (character == "-" and (text[begun + 1 : begun + 2] or "\n") in " \t\n,[]{}"):
            raise self._fault(f"'{character}' inside [ ] or {{ }}", "keys and values", "put the text into quotes")
        else:
            self._flow_plain()
        return False

    def _flow_plain(self) -> None:
        text, begun = self.text, self.at
        match = _FLOW_END.search(text, begun)
        ended = "" if match is None else match.group()
        end = len(text) if match is None else match.start()
        content = text[begun:end].rstrip(" ")
        self.at = begun + len(content)
        if ended == "\t":
            raise self._fault("a tab outside of quotes", "blanks, and tabs inside quotes", "use blanks, or put the text into quotes")
        if (ended and ended in "[{") or (ended == ":" and (text[end + 1 : end + 2] or "\n") in ",[]{}"):
            self.at = begun
            found = f"'{ended}' in text without quotes, inside [ ] or {{ }}"
            raise self._fault(found, "quotes around a reference in a flow collection", 'write "${tfy-secret://...}"')
        self.found.append((KEY if ended == ":" else VALUE, begun, self.at, content))
        if ended == "\n":
            self._skip_flow_blanks()
            if self.at < len(text) and text[self.at] not in ",[]{}":
                raise self._fault("text over several lines inside [ ] or { }", "one line for each value", "put the text into quotes")

    def _skip_flow_blanks(self) -> None:
        """Blanks, line breaks and comments."""
        text = self.text
        while self.at < len(text):
            character = text[self.at]
            if character == "\n":
                self.at += 1
                if _MARKER.match(text, self.at):
                    raise self._fault("'---' or '...' inside [ ] or { }", "a collection within one document", "close it before")
            elif character == " ":
                self._skip_spaces()
            elif character == "\t":
                raise self._tab()
            elif character == "#" and text[self.at - 1] in " \n":
                self._comment()
            else:
                return

    # --- what is around ------------------------------------------------------------------------------------------------

    def _property(self, *, flow: bool = False) -> None:
        """An anchor or a tag."""
        anchor = self.text[self.at] == "&"
        self._match(_ANCHOR if anchor else _TAG, "an anchor" if anchor else "a tag", flow=flow)

    def _match(self, pattern: "re.Pattern[str]", what: str, *, flow: bool = True) -> None:
        match = pattern.match(self.text, self.at)
        following = "" if match is None else self.text[match.end() : match.end() + 1] or "\n"
        if match is None or following not in (" \n,]}" if flow else " \n"):
            raise self._fault(f"{what} that is not understood", "letters, digits, '_' and '-', then a blank", "correct its name")
        self.at = match.end()

    def _skip_spaces(self) -> None:
        self.at = _end_of(_SPACES, self.text, self.at)

    def _ends_line(self) -> bool:
        """Whether nothing but a comment is left of the line; then go to the next one."""
        text = self.text
        if self.at < len(text) and text[self.at] == "#" and (self.at == 0 or text[self.at - 1] in " \n"):
            self._comment()
        if self.at == len(text) or text[self.at] == "\n":
            self.at += 1
            return True
        if text[self.at] == "\t":
            raise self._tab()
        return False

    def _finish_line(self) -> None:
        self._skip_spaces()
        if not self._ends_line():
            if self.text[self.at] == ":":
                raise self._fault("a list, an object or an alias as a key", "text as a key", "write the key as text")
            raise self._fault("text behind a value that has ended", "a comment, after a blank", "put all of the value into quotes")

    def _comment(self) -> None:
        end = _end_of(_LINE, self.text, self.at)
        self.found.append((COMMENT, self.at, end, ""))
        self.at = end

    def _tab(self) -> TextFault:
        return self._fault("a tab outside of quotes", "blanks, and tabs inside quotes", "indent with blanks")

    def _fault(self, found: str, allowed: str, fix: str) -> TextFault:
        return TextFault(self.at, found, allowed, fix)


def _end_of(pattern: "re.Pattern[str]", text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.formats import String
