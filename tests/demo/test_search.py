"""The search that proves "no value" finds one that is there, however it is spelled."""

import binascii
import json
from urllib.parse import quote

import pytest

from demo.search import found_in

VALUE = b'canary "quoted" \xc3\xa4 $x/y+z'


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"..." + VALUE + b"...", id="as-it-is"),
        pytest.param(json.dumps({"value": VALUE.decode()}).encode(), id="in-json"),
        pytest.param(json.dumps({"value": VALUE.decode()}, ensure_ascii=False).encode(), id="in-json-that-is-not-ascii"),
        pytest.param(quote(VALUE).encode(), id="percent-encoded"),
        pytest.param(VALUE.hex().encode(), id="hexadecimal"),
        *(pytest.param(binascii.b2a_base64(b"x" * n + VALUE + b"y" * 5), id=f"base64-after-{n}-bytes") for n in range(4)),
    ],
)
def test_finds(content: bytes):
    assert found_in(content, [b"another", VALUE]) == 1


def test_finds_nothing_where_nothing_is():
    assert found_in(VALUE[:-1] + binascii.b2a_base64(VALUE[:-2]), [VALUE]) == 0
