"""What a form brings: texts, values exactly, and nothing past the bounds. No file is written, and nothing of a body is shown."""

import asyncio
import base64
import io
import subprocess
import sys
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from broker.errors import BrokerError
from broker.http import Refusal
from broker.page import forms
from broker.page.forms import MAX_BYTES, MAX_PLAIN, read_form
from contract import wire


@pytest.fixture
async def send():
    """Post something to a form's reader: what the value is, or what was refused."""

    async def answer(request):
        try:
            form = await read_form(request, with_value="plain" not in request.query)
            value = form.value()
            return web.json_response(
                {
                    "fields": dict(form.fields),
                    "shown": repr(form),
                    "value": None if value is None else base64.b64encode(value.reveal()).decode(),
                }
            )
        except Refusal as error:
            return web.json_response({"message": error.message}, status=error.status)
        except BrokerError as error:
            return web.json_response({"message": error.message}, status=422)

    app = web.Application()
    app.router.add_post("/", answer)
    async with TestClient(TestServer(app)) as client:

        async def one(data=None, path="/", **named):
            headers = named.pop("headers", None) or getattr(data, "headers", None)
            if isinstance(data, dict):
                data, headers = urlencode(data).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
            if isinstance(data, bytes):
                data = io.BytesIO(data)
            async with client.post(path, data=data, headers=headers, **named) as got:
                return got.status, await got.json()

        yield one


class Multipart(bytes):
    """A body as a browser makes it."""

    headers = {"Content-Type": "multipart/form-data; boundary=----edge"}


def multipart(**parts):
    made = b""
    for name, content in parts.items():
        file = b'; filename="f"\r\nContent-Type: application/octet-stream' if name == "value_file" else b""
        body = content if isinstance(content, bytes) else content.encode()
        made += b'------edge\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name.encode(), file, body)
    return Multipart(made + b"------edge--\r\n")


async def value_of(send, data):
    status, got = await send(data)
    assert status == 200, got
    return None if got["value"] is None else base64.b64decode(got["value"])


@pytest.mark.parametrize("encode", [dict, lambda fields: multipart(**fields)], ids=["urlencoded", "multipart"])
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param("one line", "one line", id="a-line"),
        pytest.param("a\r\nb\r\n", "a\nb\n", id="a-browsers-line-ends-are-newlines"),
        pytest.param("a\nb\n\n", "a\nb\n\n", id="empty-last-lines-count"),
        pytest.param("\r\nfirst", "\nfirst", id="an-empty-first-line-counts"),
        pytest.param("a\rb", "a\rb", id="a-carriage-return-alone-stays"),
        pytest.param("  blanks\t ", "  blanks\t ", id="blanks-stay"),
        pytest.param("päß 🔑 &=%+;'\"<", "päß 🔑 &=%+;'\"<", id="any-characters"),
        pytest.param("", "", id="nothing-at-all-is-empty"),
    ],
)
async def test_typed_text(send, encode, sent, kept):
    assert await value_of(send, encode({"value": sent})) == kept.encode()


@pytest.mark.parametrize(
    "content", [bytes(range(256)), b"a\r\nb\r\n", b"\n", b"--boundary\r\n\r\n"], ids=["bytes", "crlf", "newline", "boundary"]
)
async def test_a_file_comes_byte_for_byte(send, content):
    assert await value_of(send, multipart(value_file=content, value=b"")) == content


async def test_a_value_that_was_given_once_comes_back_byte_for_byte(send):
    content = bytes(range(256)) + b"\r\n"
    assert await value_of(send, {"value_base64": base64.b64encode(content).decode()}) == content


async def test_without_any_there_is_none(send):
    assert await value_of(send, {"key": "A"}) is None
    assert await value_of(send, multipart(value_file=b"", value=b"")) == b""


async def test_typed_and_chosen_is_one_too_many(send):
    status, got = await send(multipart(value_file=b"a", value=b"b"))
    assert (status, got["message"]) == (422, "a value is typed and a file is chosen: give one of them")


async def test_a_carried_value_that_is_not_whole(send):
    status, got = await send({"value_base64": "QQ=?"})
    assert (status, got["message"]) == (422, "the value that the form carried is not whole any more: give it again")


async def test_the_largest_value_passes_and_one_byte_more_does_not(send):
    """As a file, and as text whose every line end a browser sends as two."""
    assert len(await value_of(send, multipart(value_file=b"\0" * wire.MAX_VALUE_BYTES))) == wire.MAX_VALUE_BYTES
    assert len(await value_of(send, multipart(value=b"\r\n" * wire.MAX_VALUE_BYTES))) == wire.MAX_VALUE_BYTES
    assert len(await value_of(send, multipart(value_base64=base64.b64encode(b"\0" * wire.MAX_VALUE_BYTES)))) == wire.MAX_VALUE_BYTES
    status, got = await send(multipart(value_file=b"\0" * (wire.MAX_VALUE_BYTES + 1)))
    assert (status, got["message"]) == (422, "the value has 1048577 bytes; at most 1048576 can be stored")


@pytest.mark.parametrize("path", ["/", "/?plain"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with-length", "chunked"])
@pytest.mark.parametrize(
    "encode", [lambda body: {"value": body.decode()}, lambda body: multipart(value=body)], ids=["urlencoded", "multipart"]
)
async def test_an_oversized_form_is_refused(send, path, chunked, encode):
    limit = MAX_PLAIN if "plain" in path else MAX_BYTES
    status, got = await send(encode(b"x" * (limit + 1)), path, chunked=chunked or None)
    assert (status, got["message"]) == (413, f"the form is larger than {limit} bytes")


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        pytest.param({f"f{n}": "x" for n in range(17)}, {}, id="too-many-fields"),
        pytest.param(multipart(**{f"f{n}": b"x" for n in range(17)}), {}, id="too-many-parts"),
        pytest.param(b"key=a&key=b", {}, id="a-field-twice"),
        pytest.param(b"key=%ff", {}, id="not-utf-8"),
        pytest.param(b"key=\xff", {}, id="not-ascii"),
        pytest.param(b"not a multipart body", {"Content-Type": "multipart/form-data; boundary=x"}, id="no-parts"),
        pytest.param(b"--x\r\n\r\nno name\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, id="a-part-without-a-name"),
        pytest.param(
            b"--x\r\nContent-Disposition: form-data; name=value\r\n\r\ncut",
            {"Content-Type": "multipart/form-data; boundary=x"},
            id="cut-off",
        ),
        pytest.param(b"--x\r\nnonsense", {"Content-Type": "multipart/form-data; boundary=x"}, id="a-part-whose-headers-are-none"),
        pytest.param(b"x", {"Content-Type": "multipart/form-data"}, id="no-boundary"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_not_shown(send, data, headers):
    headers = (
        headers
        or getattr(data, "headers", None)
        or ({"Content-Type": "application/x-www-form-urlencoded"} if isinstance(data, bytes) else {})
    )
    status, got = await send(data, headers=headers)
    assert (status, got["message"]) == (400, "the form cannot be read: send it from the page")


def test_a_parts_broken_header_is_not_said_to_the_log():
    """aiohttp warns of it, and the warning quotes it."""
    code = (
        "import broker.page.forms; from aiohttp.multipart import parse_content_disposition as parse; "
        "parse('form-data; CANARY'); parse('CANARY CANARY; x'); parse('form-data; name*=CANARY')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


async def test_a_form_that_is_not_encoded_as_its_header_says(send):
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    status, got = await send(b"value=x", headers=headers)
    assert (status, got["message"]) == (400, "the form cannot be read: send it from the page")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
async def test_another_media_type_is_refused(send, content_type):
    status, got = await send(b"{}", headers={"Content-Type": content_type})
    assert (status, got["message"]) == (415, "Content-Type: allowed: what a form sends")


async def test_a_slow_sender_is_not_waited_for(send, monkeypatch):
    monkeypatch.setattr(forms, "BODY_SECONDS", 0.02)

    async def slowly():
        yield b"value="
        await asyncio.sleep(0.3)
        yield b"x"

    status, got = await send(slowly(), headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (status, got["message"]) == (408, "the form did not arrive in time")


async def test_nothing_that_was_sent_is_in_a_repr(send):
    _, got = await send({"value": "CANARY", "token": "CANARY"})
    assert "CANARY" not in got["shown"]


async def test_nothing_is_written_to_a_file(send, monkeypatch, tmp_path):
    """aiohttp's own reader of forms keeps files on disk; ours must not, and a read-only root would refuse it."""
    import tempfile

    def refused(*_args, **_named):
        raise AssertionError("a file was made")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refused)
    assert len(await value_of(send, multipart(value_file=b"x" * 900_000))) == 900_000
