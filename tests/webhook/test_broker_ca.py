"""The broker's CA from a file: what is no bundle of certificates goes into no pod, and /readyz says which file it is."""

from pathlib import Path

import pytest
import trustme

from webhook.app import CaFile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ca.crt"


def replace(file: Path, content: bytes) -> None:
    """A new file each time, as the kubelet makes it."""
    aside = file.with_suffix(".new")
    aside.write_bytes(content)
    aside.replace(file)


def test_followed(file: Path) -> None:
    """A bad file leaves the last good one in use, with the reason; a good one is taken at once."""
    one, two = (trustme.CA().cert_pem.bytes() for _ in range(2))
    found = CaFile(file)
    assert (found.text, found.problem) == ("", f"{file}: cannot be read (No such file or directory)")
    for good in (one, two):
        replace(file, good)
        assert (found.text, found.problem) == (good.decode(), None)
        replace(file, b"noise")
        assert (found.text, found.problem) == (good.decode(), f"{file}: no certificates in PEM could be read")


def test_told_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every review asks for the bundle."""
    found = CaFile(file)
    for _ in range(3):
        assert found.text == ""
    assert capsys.readouterr().out.count("broker_ca_unreadable") == 1


def test_without_the_key_beside_it(file: Path) -> None:
    authority = trustme.CA()
    file.write_bytes(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
    assert CaFile(file).text == authority.cert_pem.bytes().decode()
