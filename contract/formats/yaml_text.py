"""Format yaml: finds the scalars, keys and comments of a YAML text, as YAML 1.1 and 1.2 readers agree on them.

It follows indentation, quotes, flow collections and block scalars, and refuses, with the place, what is rare and hard to place:
directives, keys introduced by `?`, collections or aliases as keys, tabs outside of quotes, content behind `---`, text over several
lines inside [ ] or { }. It does not check that a text is YAML; a text that is, it reads as a YAML parser does (the tests compare).
"""

import re

from contract.formats import KEY, VALUE, TextFault
from contract.formats.yaml_cursor import ALIAS, MARKER, SPACES, end_of
from contract.formats.yaml_flow import FlowCursor
from contract.formats.yaml_scalars import block, plain, written

__all__ = ["check_around", "strings", "written"]

_PLAIN_END = re.compile(r":(?=[ \t\n]|\Z)|(?<=[ \t])#|\n|\t")
_BLOCK_HEAD = re.compile(r"[|>](?:([+-])([1-9])?|([1-9])([+-])?)?+(?=[ \n]|\Z)")
_KEY_END = re.compile(r" *:(?=[ \n]|\Z)")
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


class _Scanner(FlowCursor):
    """Goes through a text once. `indents` are the columns of the block collections that are open."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.indents = [-1]

    def line(self) -> None:
        """From the beginning of a line to the beginning of the next one that is not part of the same scalar."""
        begun = self.at
        self.skip_spaces()
        if self.ends_line():
            return
        column = self.at - begun
        if column == 0 and (MARKER.match(self.text, begun) or self.text[begun] == "%"):
            self._marker(begun)
            return
        while self.indents[-1] > column:
            self.indents.pop()
        self._nodes(column)

    def _marker(self, begun: int) -> None:
        if self.text[begun] == "%":
            raise self.fault("a directive", "documents without one", "remove the line that begins with '%'")
        self.at += 3
        self.indents = [-1]
        self.skip_spaces()
        if not self.ends_line():
            raise self.fault("content behind '---'", "'---' on a line of its own", "begin the document on the next line")

    def _nodes(self, column: int) -> None:
        """The nodes of one line: entries, a key, a value. `fresh`: an entry or a key can begin here."""
        text, fresh = self.text, True
        while True:
            character, following = text[self.at], text[self.at + 1 : self.at + 2] or "\n"
            if character in "-?:" and following in " \t\n":
                if character != "-":
                    raise self.fault(f"'{character}' where a key is expected", "keys on one line", "write the key as key: value")
                if not fresh:
                    raise self.fault("'-' behind a key", "a list on the lines below its key", "begin the list on the next line")
                self._open(column)
                self.at += 1
            elif character in "&!":
                self.property()
            elif self._scalar_is_key(column, fresh=fresh):
                fresh = False
            else:
                return
            begun = self.at
            self.skip_spaces()
            if self.ends_line():
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
            self.flow()
        elif character == "*":
            self.match(ALIAS, "an alias")
        elif character in "\"'":
            content = self.quoted()
            if _KEY_END.match(text, self.at):
                self._key(column, begun, self.at, content, fresh=fresh)
                return True
            self.found.append((VALUE, begun, self.at, content))
        elif character in ",]}@`%#":
            raise self.fault(
                f"'{character}' where a value begins", "a value, which begins with none of , ] } @ ` % #", "put it into quotes"
            )
        else:
            return self._plain(column, fresh=fresh)
        self._finish_line()
        return False

    def _key(self, column: int, begun: int, end: int, content: str, *, fresh: bool) -> None:
        self.at = begun
        if not fresh:
            raise self.fault("a second ': ' in one line", "one key in a line", "put the value into quotes")
        if "\n" in self.text[begun:end] or end - begun > _KEY_CHARACTERS:
            raise self.fault("a key over several lines, or a long one", f"keys of at most {_KEY_CHARACTERS} characters", "shorten it")
        self.found.append((KEY, begun, end, content))
        self._open(column)
        self.at = self.text.index(":", end) + 1

    def _open(self, column: int) -> None:
        if self.indents[-1] < column:
            self.indents.append(column)

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
                raise self.fault(
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
            raise self.fault("a tab outside of quotes", "blanks, and tabs inside quotes", "use blanks, or put the text into quotes")
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
            at = end_of(SPACES, text, start)
            blank += 1
            if at == len(text):
                return None
            if text[at] != "\n":
                break
        column = at - start
        if column <= self.indents[-1] or text[at] == "#" or (column == 0 and MARKER.match(text, start)):
            return None
        self.at = at
        if text[at] == "\t":
            raise self.tab()
        return blank

    def _block_scalar(self) -> None:
        begun = self.at
        head = _BLOCK_HEAD.match(self.text, begun)
        if head is None:
            raise self.fault(
                "a block scalar's head that is not understood", "| or >, then + or -, and a digit", "correct it, or use quotes"
            )
        chomp = head.group(1) or head.group(4) or ""
        digit = head.group(2) or head.group(3)
        self.at = head.end()
        self.skip_spaces()
        if not self.ends_line():
            raise self.fault("text behind a block scalar's head", "the text on the lines below", "begin it on the next line")
        least = max(self.indents[-1], 0) + int(digit) if digit else self._block_indent()
        lines, end, ended = self._block_lines(least)
        self.found.append((VALUE, begun, end or head.end(), block(lines, literal=head.group()[0] == "|", chomp=chomp, ended=ended)))

    def _block_indent(self) -> int:
        """The indentation of the first line that is not empty, but more than what is around."""
        text, at, longest = self.text, self.at, 0
        least = max(self.indents[-1] + 1, 1)
        while at < len(text):
            end = end_of(SPACES, text, at)
            if end < len(text) and text[end] != "\n":
                if text[end] == "\t":
                    self.at = end
                    raise self.tab()
                least = max(least, end - at)
                break
            longest = max(longest, end - at)
            at = end + 1
        if longest > least:
            raise self.fault(
                "an empty line that is indented more than the text below it", "empty lines of no more blanks", "remove its blanks"
            )
        return least

    def _block_lines(self, indent: int) -> "tuple[list[str], int, bool]":
        """The lines of a block scalar, where the last one that is not empty ends, and whether a line break is behind the last."""
        text, lines, last, ended = self.text, list[str](), 0, True
        while self.at < len(text):
            start = self.at
            spaces = end_of(SPACES, text, start) - start
            end = text.find("\n", start)
            ended = end >= 0
            end = end if ended else len(text)
            if spaces < indent and start + spaces < end:
                if text[start + spaces] == "\t":
                    self.at = start + spaces
                    raise self.tab()
                ended = True
                break
            line = text[start + indent : end] if spaces >= indent else ""
            lines.append(line)
            last = end if line else last
            self.at = end + 1
        return lines, last, ended

    def _finish_line(self) -> None:
        self.skip_spaces()
        if not self.ends_line():
            if self.text[self.at] == ":":
                raise self.fault("a list, an object or an alias as a key", "text as a key", "write the key as text")
            raise self.fault("text behind a value that has ended", "a comment, after a blank", "put all of the value into quotes")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.formats import String
