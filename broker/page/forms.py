"""Read a form that a page of ours posts: bounded in size, time and fields, in memory alone (aiohttp's own reader puts files on disk).

How a value comes: text from the text area has its line ends as LF (browsers send CRLF, whatever was typed), and all of it, a last
line end too. A file comes byte for byte. A value that was sent once already comes back as base64, byte for byte.
"""

import asyncio
import binascii
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import BadContentDispositionHeader, BadContentDispositionParam, BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from broker.errors import InvalidRequest, TooLarge
from broker.http import BODY_SECONDS, Refusal
from contract import wire
from contract.values import SecretValue

MAX_FIELDS = 16  # our longest form has 8
# A value as base64 (4/3), or as text in which every line end is two characters, and the other fields.
MAX_BYTES = wire.MAX_VALUE_BYTES * 2 + 64 * 1024
MAX_PLAIN = 64 * 1024  # forms without a value: a token of 16 KiB, percent-encoded
# aiohttp says what it cannot read of a part's header as a warning that quotes it, and so it would be in the log.
warnings.simplefilter("ignore", BadContentDispositionHeader)
warnings.simplefilter("ignore", BadContentDispositionParam)
TEXT, FILE, CARRIED = "value", "value_file", "value_base64"


@dataclass(frozen=True, slots=True)
class Form:
    """`fields` are texts, `values` what may be a secret: neither is shown in a repr."""

    fields: Mapping[str, str] = field(repr=False)
    values: Mapping[str, bytes] = field(repr=False)

    def text(self, name: str) -> str:
        return self.fields.get(name, "").strip()

    def value(self) -> SecretValue | None:
        """The value that was given, from whichever of the three; None: none was. Raises InvalidRequest, TooLarge."""
        file, carried, typed = self.values.get(FILE), self.values.get(CARRIED), self.values.get(TEXT)
        if file and typed:
            raise InvalidRequest("a value is typed and a file is chosen: give one of them")
        if carried is not None:
            return _sized(_decode(carried))
        if file:
            return _sized(file)
        return None if typed is None else _sized(typed.replace(b"\r\n", b"\n"))


async def read_form(request: web.Request, *, with_value: bool = False) -> Form:
    """Raises Refusal, and nothing of the body is in it."""
    limit = MAX_BYTES if with_value else MAX_PLAIN
    try:
        async with asyncio.timeout(BODY_SECONDS * (3 if with_value else 1)):
            if request.content_type == "multipart/form-data":
                return _sorted(await _multipart(request, limit))
            if request.content_type == "application/x-www-form-urlencoded":
                return _sorted(_urlencoded(await _body(request, limit)))
    except web.RequestPayloadError:
        raise _unreadable() from None
    except TimeoutError:
        raise Refusal(408, wire.BAD_REQUEST, "the form did not arrive in time") from None
    raise Refusal(415, wire.BAD_REQUEST, "Content-Type: allowed: what a form sends")


async def _body(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _urlencoded(body: bytes) -> list[tuple[str, bytes]]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, encoding="latin-1")
    except ValueError:
        raise _unreadable() from None
    return [(name, value.encode("latin-1")) for name, value in pairs]


async def _multipart(request: web.Request, limit: int) -> list[tuple[str, bytes]]:
    """Part by part, each into memory, all of them within the limit."""
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    pairs: list[tuple[str, bytes]] = []
    left = limit
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None or len(pairs) == MAX_FIELDS:
                raise _unreadable()
            content = bytearray()
            while chunk := await part.read_chunk(64 * 1024):
                content += chunk
                left -= len(chunk)
                if left < 0:
                    raise _too_large(limit)
            pairs.append((part.name, bytes(content)))
    except (ValueError, AssertionError, web.HTTPException, HttpProcessingError):
        pass  # raised below, so that no traceback carries the content
    else:
        return pairs
    raise _unreadable()


def _sorted(pairs: list[tuple[str, bytes]]) -> Form:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise _unreadable()
    values = {name: content for name, content in pairs if name in (TEXT, FILE, CARRIED)}
    try:
        return Form({name: content.decode() for name, content in pairs if name not in values}, values)
    except UnicodeDecodeError:
        raise _unreadable() from None


def _decode(carried: bytes) -> bytes:
    try:
        return binascii.a2b_base64(carried, strict_mode=True)
    except ValueError:
        pass  # raised below, so that no traceback carries the content
    raise InvalidRequest("the value that the form carried is not whole any more: give it again")


def _sized(value: bytes) -> SecretValue:
    if len(value) > wire.MAX_VALUE_BYTES:
        raise TooLarge(f"the value has {len(value)} bytes; at most {wire.MAX_VALUE_BYTES} can be stored")
    return SecretValue(value)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, wire.TOO_LARGE, f"the form is larger than {limit} bytes")


def _unreadable() -> Refusal:
    return Refusal(400, wire.BAD_REQUEST, "the form cannot be read: send it from the page")
