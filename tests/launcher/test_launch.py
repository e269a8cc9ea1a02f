"""The Python side of the env file."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initcontainer.launch import FILE_LIMIT, decode, encode
from tests.launcher.programs import framed

NAMES = st.text(st.characters(exclude_characters="=\0", exclude_categories=["Cs"]), min_size=1)
VALUES = st.none() | st.binary().map(lambda value: value.replace(b"\0", b""))


def test_the_format():
    """To the byte, because a launcher of another release may read it."""
    body = b"A=1\0GONE\0EMPTY=\0"
    assert encode([("A", b"1"), ("GONE", None), ("EMPTY", b"")]) == b"tfy-secret-env 1 16 afecd1ff\n" + body
    assert encode([]) == b"tfy-secret-env 1 0 00000000\n"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_decode_gives_back_what_was_encoded(variables):
    assert decode(encode(variables)) == variables


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param("", b"v4lue", "variable '': found no name, or one with '=' or NUL in it", id="no-name"),
        pytest.param("A=B", b"v4lue", "variable 'A=B': found no name, or one with '=' or NUL in it", id="equals-in-a-name"),
        pytest.param("A\0", None, "variable 'A\\x00': found no name, or one with '=' or NUL in it", id="nul-in-a-name"),
        pytest.param("A", b"v4lue\0", "variable A: the value holds a NUL byte, which no environment variable can", id="nul-in-a-value"),
        pytest.param(
            "A", bytes([120]) * FILE_LIMIT, f"the variables have {FILE_LIMIT + 37} bytes together; allowed: {FILE_LIMIT}", id="too-large"
        ),
    ],
)
def test_what_cannot_be_carried(name, value, message):
    with pytest.raises(ValueError) as caught:
        encode([(name, value)])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "first line", id="empty"),
        pytest.param(framed(b"A=1\0")[:-1], "first line", id="truncated"),
        pytest.param(framed(b"A=1\0") + b"\0", "first line", id="longer"),
        pytest.param(framed(b"A=1"), "does not end in NUL", id="open"),
        pytest.param(framed(b"=1\0"), "no name", id="no-name"),
        pytest.param(framed(b"\0"), "no name", id="empty-entry"),
    ],
)
def test_decode_refuses_the_rest(content, message):
    with pytest.raises(ValueError, match=message):
        decode(content)


def test_it_imports_next_to_nothing():
    """It is part of every pod's start."""
    code = "import sys; before = set(sys.modules); import initcontainer.launch; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['binascii', 'initcontainer', 'initcontainer.launch']\n"
