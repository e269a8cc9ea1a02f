"""Read one HTTP/1.1 answer from a stream of bytes, small and strict: what is not HTTP is refused, what ends early is tried again.

Written here because `http.client` (with `email`) takes 12 ms and 1.7 MiB of each pod's start, as much as all of `ssl`. One
answer per connection, so no keep-alive, no pipelining, no 1xx; bodies by length, in chunks, or up to a clean close.
No patterns either: compiling three costs more than reading the answer. Pure: bytes come from `receive`, which gives b"" at the end.
"""

from contract.record import record
from contract.values import SecretValue
from contract.wire import MAX_RESPONSE_BYTES
from initcontainer.errors import Refused, Retryable

LINE_BYTES = 8 * 1024  # aiohttp's own limit for what it sends and takes
HEADER_LINES = 100

_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # RFC 9110, 5.6.2
_HEXADECIMAL = b"0123456789ABCDEFabcdef"
_CONTROL = bytes(range(9)) + bytes(range(10, 32)) + b"\x7f"


@record
class HttpAnswer:
    """The body may hold values, so it hides itself."""

    status: int
    headers: "dict[str, str]"
    body: SecretValue


def read_answer(receive: "Callable[[], bytes]") -> HttpAnswer:
    """Raises Refused for what is not HTTP or too large, Retryable for what ends early."""
    stream = _Stream(receive)
    status = _read_status(stream.line())
    headers = _read_headers(stream)
    return HttpAnswer(status, headers, SecretValue(_read_body(stream, headers)))


def _read_status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    digits, _, phrase = rest.partition(b" ")
    if (
        version not in (b"HTTP/1.1", b"HTTP/1.0")
        or len(digits) != 3
        or not digits.isdigit()
        or not b"200" <= digits <= b"599"
        or _odd(phrase)
    ):
        raise Refused("the broker's address does not answer in HTTP/1.1")
    return int(digits)


def _odd(text: bytes) -> bool:
    """Whether it holds a control character other than a tab."""
    return len(text.translate(None, _CONTROL)) != len(text)


class _Stream:
    """Lines and blocks out of `receive`, never more than MAX_RESPONSE_BYTES and a head."""

    def __init__(self, receive: "Callable[[], bytes]") -> None:
        self._receive = receive
        self._buffer = bytearray()
        self._room = MAX_RESPONSE_BYTES + HEADER_LINES * LINE_BYTES

    def _more(self) -> bool:
        received = self._receive()
        self._buffer += received
        self._room -= len(received)
        if self._room < 0:
            raise _too_large()
        return bool(received)

    def line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > LINE_BYTES:
                raise _line_too_long()
            if not self._more():
                raise _ended_early()
        if end > LINE_BYTES:
            raise _line_too_long()
        return self._take(end + 2)[:-2]

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise _ended_early()
        return self._take(count)

    def rest(self) -> bytes:
        while self._more():
            pass
        return self._take(len(self._buffer))

    def _take(self, count: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken


def _read_headers(stream: _Stream) -> "dict[str, str]":
    headers: dict[str, str] = {}
    for _ in range(HEADER_LINES):
        line = stream.line()
        if not line:
            return headers
        field, colon, content = line.partition(b":")
        if not colon or not field or field.translate(None, _TOKEN) or _odd(content):
            raise Refused("the broker's answer has a malformed header")
        name, value = field.decode("ascii").lower(), content.strip(b" \t").decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    raise Refused(f"the broker's answer has more than {HEADER_LINES} headers")


def _read_body(stream: _Stream, headers: "dict[str, str]") -> bytes:
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused("the broker's answer is compressed, which was not asked for")
    if coding is not None:
        # Both at once is how requests and answers are smuggled past a proxy.
        if coding.lower() != "chunked" or length is not None:
            raise Refused("the broker's answer has a transfer coding that is not allowed here; allowed: chunked, without a length")
        return _read_chunks(stream)
    if length is None:
        return stream.rest()
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise Refused("the broker's answer has a malformed Content-Length")
    if int(length) > MAX_RESPONSE_BYTES:
        raise _too_large()
    return stream.exactly(int(length))


def _read_chunks(stream: _Stream) -> bytes:
    body = bytearray()
    while True:
        digits, _, extension = stream.line().partition(b";")
        digits = digits.rstrip(b" \t")
        if not 0 < len(digits) <= 8 or digits.translate(None, _HEXADECIMAL) or _odd(extension):
            raise Refused("the broker's answer has a malformed chunk")
        size = int(digits, 16)
        if size == 0:
            _read_headers(stream)  # trailers, which mean nothing here
            return bytes(body)
        if len(body) + size > MAX_RESPONSE_BYTES:
            raise _too_large()
        body += stream.exactly(size)
        if stream.exactly(2) != b"\r\n":
            raise Refused("the broker's answer has a malformed chunk")


def _ended_early() -> Retryable:
    return Retryable("the broker closed the connection in the middle of its answer")


def _line_too_long() -> Refused:
    return Refused(f"the broker's answer has a line of more than {LINE_BYTES} bytes outside of its body")


def _too_large() -> Refused:
    return Refused(f"the broker's answer is larger than {MAX_RESPONSE_BYTES} bytes; ask for fewer or smaller secrets in one pod")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
