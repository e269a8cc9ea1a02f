"""One HTTP/1.1 answer, read strictly and however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initcontainer import answer
from initcontainer.answer import HttpAnswer, read_answer
from initcontainer.errors import InitError, Refused, Retryable
from tests.initcontainer.broker import chunked

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nhello"


def read(*pieces: bytes) -> HttpAnswer:
    left = [piece for piece in pieces if piece]
    return read_answer(lambda: left.pop(0) if left else b"")


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        pytest.param(PLAIN, 200, b"hello", id="by-length"),
        pytest.param(chunked(b"hello, world"), 200, b"hello, world", id="in-chunks-with-extension-and-trailer"),
        pytest.param(b"HTTP/1.1 503 x\r\n\r\nbusy", 503, b"busy", id="up-to-the-end"),
        pytest.param(b"HTTP/1.0 404\r\nContent-Length: 0\r\n\r\n", 404, b"", id="without-a-reason-phrase"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length:\t2 \r\nX: \r\n\r\nok", 200, b"ok", id="blanks-around-a-value"),
        pytest.param(PLAIN + b"more", 200, b"hello", id="bytes-after-the-body-are-not-read"),
    ],
)
def test_an_answer_is_read(raw: bytes, status: int, body: bytes) -> None:
    found = read(raw)
    assert (found.status, found.body.reveal()) == (status, body)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="another-protocol"),
        pytest.param(b"HTTP/2 200\r\n\r\n", id="another-version"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, id="an-interim-answer-nobody-asked-for"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", id="a-status-of-four-digits"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n" + b"x" * 20000, id="bare-newlines"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="a-header-without-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", id="a-folded-header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n", id="a-control-character"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", id="too-many-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 9000 + b"\r\n\r\n", id="too-long-a-header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="a-negative-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", id="two-lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", id="too-great-a-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="length-and-chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="another-transfer-coding"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", id="compressed"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", id="a-chunk-size-that-is-none"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n", id="a-chunk-longer-than-it-says"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", id="too-great-a-chunk"),
    ],
)
def test_what_is_not_http_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        read(raw)


@pytest.mark.parametrize("raw", [PLAIN, chunked(b"hello, world")], ids=["by-length", "in-chunks"])
def test_an_early_end_is_tried_again(raw: bytes) -> None:
    """Cut anywhere, an answer of known length is never taken for a whole one."""
    for end in range(len(raw)):
        with pytest.raises(Retryable, match="in the middle"):
            read(raw[:end])


def test_an_endless_body_is_refused_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "MAX_RESPONSE_BYTES", 1000)
    monkeypatch.setattr(answer, "LINE_BYTES", 50)
    asked = 0

    def receive() -> bytes:
        nonlocal asked
        asked += 1
        return b"x" * 1000 if asked > 1 else b"HTTP/1.1 200 OK\r\n\r\n"

    with pytest.raises(Refused, match="larger than 1000 bytes"):
        read_answer(receive)
    assert asked < 10


def test_many_chunks_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "MAX_RESPONSE_BYTES", 100)
    with pytest.raises(Refused, match="larger than"):
        read(chunked(b"x" * 101, size=50))


def test_the_body_hides_itself() -> None:
    assert "hello" not in repr(read(PLAIN))


@given(st.binary(min_size=1, max_size=60), st.lists(st.integers(0, 200), max_size=6), st.booleans())
def test_however_the_bytes_arrive_the_answer_is_the_same(body: bytes, cuts: list[int], in_chunks: bool) -> None:
    raw = chunked(body) if in_chunks else b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    assert read(*(raw[a:b] for a, b in zip(edges, edges[1:], strict=False))).body.reveal() == body


@given(st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]))
def test_any_bytes_give_an_answer_or_an_error_of_ours(rest: bytes, start: bytes) -> None:
    try:
        assert 200 <= read(start + rest).status < 600
    except InitError:
        pass
