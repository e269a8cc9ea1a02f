"""What the demo shows: headings, facts, commands and differences; coloured on a terminal, plain in a pipe.

Colours are left out where NO_COLOR is set (no-color.org), on a dumb terminal and in a pipe.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Any, TextIO

import yaml

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"
CONTEXT = 2  # unchanged lines around a change
LONGEST = 110  # characters of one line where the terminal does not say; the plan is longer than any screen


class Screen:
    """Writes to one stream. The heading's number counts up."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colours = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._heading = 0

    def heading(self, title: str) -> None:
        self._heading += 1
        self._line("")
        self._line(self._in(f"{self._heading}. {title}", BOLD, CYAN))

    def title(self, text: str) -> None:
        self._line(self._in(text, BOLD))

    def say(self, text: str) -> None:
        self._line(f"   {text}")

    def good(self, text: str) -> None:
        self._line(f"   {self._in('ok', GREEN)}  {text}")

    def command(self, text: str) -> None:
        self._line(f"   {self._in('$ ' + text, BOLD)}")

    def quote(self, text: str, colour: str = DIM) -> None:
        """Somebody else's words, line by line; a long line goes on in the next."""
        for line in text.rstrip("\n").splitlines():
            for part in textwrap.wrap(line, _width(), subsequent_indent="  ", break_on_hyphens=False) or [""]:
                self._line("   " + self._in("| ", DIM) + self._in(part, colour))

    def error(self, text: str) -> None:
        self._line(f"{self._in('The demo stopped.', BOLD, RED)} {text}")

    def difference(self, before: Any, after: Any) -> None:
        """Two objects as YAML: only the lines that change, and a few around them."""
        one, two = as_yaml(before).splitlines(), as_yaml(after).splitlines()
        for index, group in enumerate(SequenceMatcher(None, one, two, autojunk=False).get_grouped_opcodes(CONTEXT)):
            if index:
                self._line("   " + self._in("  ...", DIM))
            for kind, start, end, new_start, new_end in group:
                if kind == "equal":
                    self._changed("  ", one[start:end], DIM)
                else:
                    self._changed("- ", one[start:end], RED)
                    self._changed("+ ", two[new_start:new_end], GREEN)

    def _changed(self, sign: str, lines: Iterable[str], colour: str) -> None:
        for line in lines:
            self._line("   " + self._in(sign + _cut(line), colour))

    def _in(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._colours and text else text

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def as_yaml(document: Any) -> str:
    """Innermost objects and lists on one line, as people write them."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10**6, default_flow_style=None)


def standard_screen() -> Screen:
    return Screen(sys.stdout)


def _width() -> int:
    return max(60, min(shutil.get_terminal_size((LONGEST + 10, 24)).columns - 10, 160))


def _cut(line: str) -> str:
    width = _width()
    return line if len(line) <= width else f"{line[: width - 24]} ... ({len(line)} characters)"
