"""What a kubelet can read from an env file, to the byte: used to write one, to refuse what it cannot carry, and to read one.

The rules are those of `ParseEnv` in Kubernetes' pkg/kubelet/util/env (1.34 to 1.37), which reads lines with Go's bufio.Scanner:
values stand in single quotes with no escape, a carriage return before a newline is dropped, a line of 64 KiB or more is an
error, and an empty result means "not found". Variables pass through a protobuf string, so they are UTF-8, and C, so no NUL.
"""

from contract.keys import ENVFILE_KEY
from contract.record import record

LINE_LIMIT = 64 * 1024  # bytes; bufio.MaxScanTokenSize: a line must be shorter
STRING_LIMIT = 128 * 1024  # bytes; Linux' MAX_ARG_STRLEN: `NAME=value` with its NUL must not be longer, in any mode


@record
class Limit:
    """Why a value cannot be carried: a stable code, a sentence, and whether mode exec carries it."""

    code: str
    sentence: str
    exec_carries: bool


LIMITS: dict[str, Limit] = {
    limit.code: limit
    for limit in (
        Limit("empty", "the value is empty, which the kubelet reads as not found", True),
        Limit("nul", "the value holds a NUL byte, which no environment variable can", False),
        Limit("not-utf8", "the value is not valid UTF-8, which the kubelet's interfaces require", True),
        Limit("single-quote", "the value holds a single quote ('), for which the kubelet's env files have no escape", True),
        Limit("crlf", "the value holds a carriage return before a newline, which the kubelet would drop", True),
        Limit("too-long", "the variable is longer than 128 KiB with its name, which Linux passes to no program", False),
        Limit("long-line", "the value has a line of 64 KiB or more, which the kubelet refuses to read", True),
    )
}

_OPENING = ENVFILE_KEY.encode() + b"='"


def no_variable(name: str, value: bytes) -> Limit | None:
    """Why no mode can carry the value in a variable of that name, or None."""
    if b"\0" in value:
        return LIMITS["nul"]
    if len(name.encode()) + len(value) + 2 > STRING_LIMIT:
        return LIMITS["too-long"]
    return None


def cannot_carry(value: bytes, name: str = "") -> Limit | None:
    """The first limit that the value breaks, or None: then `render` carries it exactly."""
    if not value:
        return LIMITS["empty"]
    limit = no_variable(name, value)
    if limit is not None:
        return limit
    try:
        value.decode()
    except UnicodeDecodeError:
        return LIMITS["not-utf8"]
    if b"'" in value:
        return LIMITS["single-quote"]
    if b"\r\n" in value:
        return LIMITS["crlf"]
    lines = (_OPENING + value + b"'").split(b"\n")
    if max(map(len, lines)) >= LINE_LIMIT:
        return LIMITS["long-line"]
    return None


def render(value: bytes | None) -> bytes:
    """The file for one variable. None: an optional secret that is absent; the file is then empty, not missing."""
    return b"" if value is None else _OPENING + value + b"'\n"


def parse(content: bytes, key: str) -> bytes:
    """What the kubelet reads for a key; b"" when it is not there. Raises ValueError where the kubelet does. Never shows content."""
    lines = iter(_scan(content))
    for number, raw in enumerate(lines, 1):
        line = raw.lstrip(b" \t")
        if not line or line.startswith(b"#"):
            continue
        name, equals, rest = line.partition(b"=")
        if not equals or not name.strip(b" \t") or name != name.rstrip(b" \t"):
            raise ValueError(f"line {number}: no variable name directly before '='")
        if rest[:1] in (b" ", b"\t"):
            if name == key.encode():
                return b""
            continue
        if not rest.startswith(b"'"):
            raise ValueError(f"line {number}: the value is not in single quotes")
        value = _quoted(rest[1:], lines, number)
        if name == key.encode():
            return value
    return b""


def _quoted(rest: bytes, lines: "Iterator[bytes]", number: int) -> bytes:
    value = []
    while b"'" not in rest:
        value.append(rest)
        following = next(lines, None)
        if following is None:
            raise ValueError(f"line {number}: the single quote is not closed")
        rest = following
    last, _, after = rest.partition(b"'")
    after = after.lstrip(b" \t")
    if after and not after.startswith(b"#"):
        raise ValueError(f"line {number}: text after the closing quote")
    return b"\n".join([*value, last])


def _scan(content: bytes) -> "Iterator[bytes]":
    """Lines as bufio.ScanLines gives them: without the newline, and without a carriage return before it."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        if len(line) >= LINE_LIMIT:
            raise ValueError("a line of 64 KiB or more")
        yield line.removesuffix(b"\r")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
