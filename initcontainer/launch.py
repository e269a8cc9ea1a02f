"""The file that the launcher of mode exec reads: written here, read by launcher.c, byte for byte the same rules.

One line of ASCII, `tfy-secret-env 1 <size of the body> <CRC-32 of the body, 8 hex digits>`, then the body: NAME=VALUE and a NUL
for each variable, NAME and a NUL for one that must not be set. Size and checksum are there so that a file that is cut short or
damaged is never taken for one with fewer or other values. A NUL cannot be carried: no environment variable can hold one.
"""

from binascii import crc32  # zlib's own has the same result and needs libz

FILE_LIMIT = 8 * 1024 * 1024  # bytes; the launcher's own bound. The kernel starts no program with more than 6 MiB of them
_HEADER = b"tfy-secret-env 1 %d %08x\n"


def encode(variables: "Iterable[tuple[str, bytes | None]]") -> bytes:
    """The file for these variables, in their order; None: the variable must not be set. Raises ValueError, which shows no value."""
    body = b"".join([_entry(name, value) for name, value in variables])
    content = _HEADER % (len(body), crc32(body)) + body
    if len(content) > FILE_LIMIT:
        raise ValueError(f"the variables have {len(content)} bytes together; allowed: {FILE_LIMIT}")
    return content


def _entry(name: str, value: bytes | None) -> bytes:
    if not name or "=" in name or "\0" in name:
        raise ValueError(f"variable {name!r}: found no name, or one with '=' or NUL in it")
    if value is None:
        return name.encode() + b"\0"
    if b"\0" in value:
        raise ValueError(f"variable {name}: the value holds a NUL byte, which no environment variable can")
    return name.encode() + b"=" + value + b"\0"


def decode(content: bytes) -> "list[tuple[str, bytes | None]]":
    """What `encode` was given. Raises ValueError for anything that it cannot have written."""
    header, _, body = content.partition(b"\n")
    if header + b"\n" != _HEADER % (len(body), crc32(body)):
        raise ValueError("the first line is not what belongs to the rest: the file is damaged or no env file of version 1")
    if body and not body.endswith(b"\0"):
        raise ValueError("the last entry does not end in NUL")
    variables: list[tuple[str, bytes | None]] = []
    for entry in body.split(b"\0")[:-1]:
        name, equals, value = entry.partition(b"=")
        if not name:
            raise ValueError("an entry has no name")
        variables.append((name.decode(), value if equals else None))
    return variables


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
