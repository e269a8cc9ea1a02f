"""What a check of a store says, row by row, and the values that it tries. No row holds a value: status codes, lengths, reasons.

FAIL is what the broker needs and does not get; WARN is what it can live with; SKIP could not be asked.
"""

from dataclasses import dataclass

from contract.wire import MAX_VALUE_BYTES

PASS, FAIL, WARN, SKIP = "PASS", "FAIL", "WARN", "SKIP"

# Each is text that some server somewhere has turned into something else.
VALUES: tuple[tuple[str, str], ...] = (
    ("the number 12345", "12345"),
    ("the word true", "true"),
    ("the word null", "null"),
    ('a quoted "q"', '"q"'),
    ("a JSON document", '{"user": "u", "ports": [1, 2]}'),
    ("Unicode", "p\u00e4ss\u2028w\u00f6rd \U0001f511 \ufeff e\u0301"),
    ("CRLF inside", "line 1\r\nline 2"),
    ("a newline at the end", "secret\n"),
    ("blanks around it", "  secret\t"),
    ("escapes \\n, %41, ${A}", "\\n %41 ${A} &amp; '"),
    ("1 MiB", "m" * MAX_VALUE_BYTES),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the contract: what was expected and what was found, never a value."""

    name: str
    verdict: str
    expected: str
    found: str


class Rows(list[Row]):
    """The rows so far."""

    def judge(self, name: str, expected: str, found: str, *, holds: bool, otherwise: str = FAIL) -> bool:
        self.append(Row(name, PASS if holds else otherwise, expected, found))
        return holds

    @property
    def kept(self) -> bool:
        return all(row.verdict != FAIL for row in self)
