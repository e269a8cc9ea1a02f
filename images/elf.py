"""What an ELF file asks the dynamic loader for: its interpreter, the libraries it needs, and where it wants them looked up. And what of
it the loader never looks at: symbols and debugging information, which are most of some wheels.

Read from the file's own tables, so that it works for any architecture without running anything of it. Little-endian 64-bit only,
which is what amd64 and arm64 are. What is not ELF asks for nothing.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

_ELF = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3  # program header types
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29  # tags of the dynamic table


@dataclass(frozen=True, slots=True)
class Wants:
    """`libraries` are bare names; `folders` may begin with $ORIGIN."""

    interpreter: str | None = None
    libraries: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    stored: int


def wants(path: Path) -> Wants:
    data = path.read_bytes()
    if data[:6] != _ELF:
        return Wants()
    segments = _segments(data)
    interpreter = next((_text(data, s.offset) for s in segments if s.kind == _INTERP), None)
    table = [entry for s in segments if s.kind == _DYNAMIC for entry in struct.iter_unpack("<QQ", data[s.offset : s.offset + s.stored])]
    strings = next((_file_offset(segments, value) for tag, value in table if tag == _STRTAB), 0)
    libraries = tuple(_text(data, strings + value) for tag, value in table if tag == _NEEDED)
    folders = tuple(f for tag, value in table if tag in (_RPATH, _RUNPATH) for f in _text(data, strings + value).split(":"))
    return Wants(interpreter, libraries, folders)


def stripped(data: bytes) -> bytes:
    """The file without what stands behind its last segment, and without the table of sections, which describes that.

    A loader knows segments alone, so what is run is the same to the byte. What is not ELF is given back.
    """
    if data[:6] != _ELF:
        return data
    start, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    end = max(start + size * count, *(segment.offset + segment.stored for segment in _segments(data)))
    without_sections = bytearray(data[:end])
    struct.pack_into("<Q", without_sections, 40, 0)  # e_shoff
    struct.pack_into("<HHH", without_sections, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    return bytes(without_sections)


def _segments(data: bytes) -> list[_Segment]:
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = (struct.unpack_from("<IIQQQQ", data, start + index * size) for index in range(count))
    return [_Segment(kind, offset, address, length) for kind, _, offset, address, _, length in headers]


def _file_offset(segments: list[_Segment], address: int) -> int:
    return next(s.offset + address - s.address for s in segments if s.kind == _LOAD and s.address <= address < s.address + s.stored)


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()
