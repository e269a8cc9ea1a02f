"""The secrets of this suite: made anew in each run, each with a marker in it that is looked for everywhere at the end.

A value is only ever compared by length and digest. Names are keys of one group, except where a test is about groups.
"""

import hashlib
import json
import os
import secrets

TENANT = os.environ.get("TFY_E2E_TENANT", "acme")  # what manifests/base/installation.yaml says
GROUP = "e2e"

MARKERS: list[str] = []  # every distinctive part of every value that was ever given to the broker


def marker() -> str:
    """16 characters that are the same as they are, URL-encoded, JSON-escaped and in a shell."""
    made = f"e2e{secrets.token_hex(12)}"
    MARKERS.append(made)
    return made


def fqn(key: str, group: str = GROUP) -> str:
    return f"tfy-secret://{TENANT}:{group}:{key}"


def inside(key: str) -> str:
    """A reference as it stands in longer text."""
    return f"${{{fqn(key)}}}"


def digest(value: bytes | str) -> str:
    """How an app tells us what it has, without telling it."""
    content = value.encode() if isinstance(value, str) else value
    return f"{len(content)} {hashlib.sha256(content).hexdigest()}"


def _text(*parts: str) -> bytes:
    return "".join(parts).encode()


def _line(length: int) -> bytes:
    """A line of exactly that many bytes."""
    start = marker().encode()
    return start + b"x" * (length - len(start))


PEM = (
    "-----BEGIN PRIVATE KEY-----\n" + "".join(f"{secrets.token_hex(32)}\n" for _ in range(12)) + f"{marker()}\n-----END PRIVATE KEY-----\n"
)
DOCUMENT = {"user": "app", "password": marker(), "port": 5432, "nothing": ""}

# Byte classes that an environment variable in mode envfile carries exactly.
CARRIED: dict[str, bytes] = {
    "PLAIN": _text(marker()),
    "DOUBLE_QUOTES": _text('"', marker(), '" and "'),
    "ALL_IN_DOUBLE_QUOTES": _text('"', marker(), '"'),
    "SHORT_IN_DOUBLE_QUOTES": b'"q"',
    "PARENTHESES": _text("$(X) $(HOME) ", marker(), " $$(X)"),
    "BRACES": _text("${X} ${HOME} ", marker(), " $X `id`"),
    "BACKSLASHES": _text(r"\n \\ \' \x41 \ ".replace("'", ""), marker(), "\\"),
    "HASH": _text("#", marker(), " # no comment"),
    "EQUALS": _text("VALUE=", marker(), "=x"),
    "NEWLINES": _text("\n\n", marker(), "\n#x\nVALUE=1\n\nend"),
    "TRAILING_NEWLINE": _text(marker(), "\n"),
    "OUTER_BLANKS": _text(" \t ", marker(), " \t "),
    "LONE_CR": _text("a\r", marker(), "\r"),
    "LINE_SEPARATOR": _text("a\u2028", marker(), "\u2029\u0085\ufeff"),
    "EMOJI": _text("\U0001f511\u0081\u0088", marker(), "\u00e9e\u0301"),
    "CONTROLS": _text("\x01\x07\x1b[31m\x7f", marker()),
    "LINE_OF_60_KIB": _line(60 * 1024),
    "NUMBER": b"12345",
    "BOOLEAN": b"true",
    "JSON": json.dumps(DOCUMENT).encode(),
    "PEM": PEM.encode(),
    "REFERENCE": _text("tfy-secret://acme:x:y ", marker()),
}
# Those that it refuses, with a word of the sentence that says why. All of them arrive exactly as files.
REFUSED: dict[str, tuple[bytes, str]] = {
    "SINGLE_QUOTE": (_text("it's ", marker()), "single quote"),
    "ALL_IN_SINGLE_QUOTES": (_text("'", marker(), "'"), "single quote"),
    "CRLF": (_text("a\r\n", marker(), "\r\nb"), "carriage return before a newline"),
    "NUL": (b"a\0" + _text(marker()), "NUL byte"),
    "INVALID_UTF8": (b"\xff\xfe" + _text(marker()), "not valid UTF-8"),
    "LINE_OF_64_KIB": (_line(64 * 1024), "line of 64 KiB or more"),
}
# As long as Linux passes to a program, name, '=' and NUL included, and one byte more.
LONGEST = 128 * 1024 - len("LONGEST") - 2
TOO_LONG = 128 * 1024 - len("TOO_LONG") - 2 + 1
OTHERS: dict[str, bytes] = {
    "LONGEST": _line(LONGEST),
    "TOO_LONG": _line(TOO_LONG),
    "OTHER": _text(marker()),
    "YAML_LIKE": _text("sk-it's \"", marker(), '": #x, [y] {z} & *a | > %'),
    "ALL_BYTES": bytes(range(256)) + _text(marker()),
}
VALUES: dict[str, bytes] = CARRIED | {key: value for key, (value, _) in REFUSED.items()} | OTHERS
UNSTORED = ("NEVER_STORED",)  # listed in the group, and without a value


def text(key: str) -> str:
    """A value that is text."""
    return VALUES[key].decode()


def digest_of(key: str) -> str:
    """What an app that has this value tells. By the key's name, so that a failed assertion, which shows arguments, shows no value."""
    return digest(VALUES[key])
