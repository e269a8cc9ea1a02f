"""Headers from files: checked, read again when they change, never shown."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.errors import Misconfigured, StoreRefused
from broker.stores.generic import Generic
from broker.stores.headers import HeaderFiles
from contract.values import SecretValue
from tests.generic_server import GenericServer


@pytest.mark.parametrize("name", ["Content-Type", "content-length", "HOST", "Transfer-Encoding", "Connection", "Accept-Encoding", "cookie"])
def test_headers_that_the_client_sets_are_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"SecretStore s: headerFiles.{name}: the client sets this header itself"):
        HeaderFiles("SecretStore s", {name: "/f"})


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "\u00e4"], ids=["empty", "blank", "colon", "newline", "not-ascii"])
def test_what_is_no_headers_name_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match="allowed: a header's name"):
        HeaderFiles("SecretStore s", {name: "/f"})


def test_a_header_in_two_spellings_is_refused() -> None:
    with pytest.raises(Misconfigured, match="given twice"):
        HeaderFiles("SecretStore s", {"X-Key": "/f", "x-key": "/g"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\n", "is empty", id="newline-alone"),
        pytest.param(b"canary\nsecond", "cannot carry", id="two-lines"),
        pytest.param(b"canary\n\n", "cannot carry", id="two-newlines"),
        pytest.param(b"canary\x00", "cannot carry", id="nul"),
        pytest.param("canary\u00e4".encode(), "cannot carry", id="not-ascii"),
        pytest.param(b" canary", "cannot carry", id="outer-blank"),
        pytest.param(b"canary" * 4000, "more than 16384 bytes", id="endless"),
    ],
)
def test_what_a_header_cannot_carry_is_told_without_showing_it(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "f"
    file.write_bytes(content)
    with pytest.raises(Misconfigured, match=message) as caught:
        HeaderFiles("SecretStore s", {"X-Key": str(file)}).current()
    assert f"SecretStore s: headerFiles.X-Key: file {file}" in caught.value.message
    assert "canary" not in caught.value.message


def test_a_missing_file_is_told_and_found_later(tmp_path: Path) -> None:
    file = tmp_path / "f"
    headers = HeaderFiles("SecretStore s", {"X-Key": str(file)})
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        headers.current()
    file.write_bytes(b"one two\r\n")
    assert headers.current()["X-Key"] == SecretValue(b"one two")
    assert "one two" not in repr(headers) + repr(vars(headers))


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"one")
    headers = HeaderFiles("s", {"X-Key": str(file)})
    headers.current()
    reads = []
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (reads.append(self), real(self, *a, **k))[1])
    headers.current()
    assert reads == []
    aside = tmp_path / "aside"
    aside.write_bytes(b"two")
    stat = file.stat()
    os.utime(aside, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size and time: the inode tells
    aside.replace(file)
    reads.clear()
    assert headers.current()["X-Key"] == SecretValue(b"two")
    assert reads == [file]


async def test_a_changed_file_is_what_the_next_request_sends(server: GenericServer, generic: Generic, header_file: Path) -> None:
    """As kubelets do it: the mounted name is a link, and the link changes."""
    await generic.write("/p", SecretValue(b"x"))
    server.headers = {"X-Store-Key": "rotated"}
    with pytest.raises(StoreRefused, match="does not accept our credentials"):
        await generic.read("/p")
    target = header_file.with_name("new")
    target.write_text("rotated\n")
    link = header_file.with_name("link")
    link.symlink_to(target)
    link.replace(header_file)
    assert (await generic.read("/p")).value == SecretValue(b"x")


async def test_no_header_files_no_headers(server: GenericServer, open_generic: Callable[..., Generic]) -> None:
    server.headers = {}
    await open_generic(server.url, files={}).healthy()
    assert "X-Store-Key" not in server.requests[0].headers
