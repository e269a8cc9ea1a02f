"""The key file: what it may hold, and that it is replaced whole."""

import os
import stat
from base64 import b64encode
from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.keyring import Key, Keyring, create_keyring, load_keyring, replace_keyring, rotating

ONE, TWO = b"\x01" * 32, b"\x02" * 32
RANDOM = bytes(range(240, 256)) + b" \n\r\t#" + bytes(11)  # begins as no text can; blanks and ends of lines are part of it
TEXT_ONE, TEXT_TWO = b64encode(ONE).decode(), b64encode(TWO).decode()


def test_names_and_bare_keys_are_read_the_first_is_current(key_file: Path) -> None:
    key_file.write_text(f"# made by hand\n\n  {TEXT_ONE}\r\nolder {TEXT_TWO}\n")
    ring = load_keyring(key_file)
    assert ring.current.material == ONE
    assert ring.get("older").material == TWO
    assert ring.get(Key(ONE).name) is ring.current
    assert ring.get("other") is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(RANDOM.hex().encode(), id="hex"),
        pytest.param(b"name " + RANDOM.hex().upper().encode() + b"\n", id="named-hex"),
        pytest.param(RANDOM, id="the-bytes-alone"),
    ],
)
def test_a_key_as_other_tools_write_it(key_file: Path, content: bytes) -> None:
    """`openssl rand -hex 32`, `openssl rand 32`: read here, and written as text by the next rotation."""
    key_file.write_bytes(content)
    ring = load_keyring(key_file)
    assert ring.current.material == RANDOM
    replace_keyring(key_file, ring.with_current(Key(ONE)))
    assert [key.material for key in load_keyring(key_file).keys] == [ONE, RANDOM]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("a passphrase of 32 characters !!", "line 1: not a key", id="passphrase"),
        pytest.param("\u00e9\u00e8 passphrase of 32 bytes i \u00fc", "line 1: not a key", id="passphrase-not-ascii"),
        pytest.param("0" * 63, "line 1: not a key", id="hex-cut-short"),
        pytest.param("", "holds no key", id="empty"),
        pytest.param("# only a comment\n", "holds no key", id="comment"),
        pytest.param(TEXT_ONE[:-4], "line 1: not a key", id="cut-short"),
        pytest.param(b64encode(ONE * 2).decode(), "line 1: not a key", id="too-long"),
        pytest.param(TEXT_ONE + "\nnonsense", "line 2: not a key", id="second-line"),
        pytest.param(f"a b {TEXT_ONE}", "line 1: not a key", id="three-words"),
        pytest.param(f"-a {TEXT_ONE}", "line 1: not a key", id="bad-name"),
        pytest.param(f"a {TEXT_ONE}\na {TEXT_TWO}", "line 2: the name 'a' is given twice", id="twice"),
        pytest.param("#" * 70000, "longer than 65536 bytes", id="endless"),
        pytest.param("\u00e9 " + TEXT_ONE, "line 1: not a key", id="not-ascii"),
    ],
)
def test_faults_name_file_and_line_and_no_key(key_file: Path, content: str, message: str) -> None:
    key_file.write_text(content)
    with pytest.raises(Misconfigured, match=message) as caught:
        load_keyring(key_file)
    assert str(key_file) in caught.value.message
    assert TEXT_ONE[:20] not in caught.value.message


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read: Is a directory"):
        load_keyring(tmp_path)


def test_no_repr_shows_a_key() -> None:
    shown = repr(Keyring([Key(ONE), Key(TWO, "older")])) + repr(Key(ONE)) + str(Key(ONE))
    assert "older" in shown
    assert not {repr(ONE), TEXT_ONE, ONE.hex(), "\\x01"} & set(shown.split())
    assert "\\x01" not in shown


def test_a_new_file_is_private_and_replaces_nothing(key_file: Path) -> None:
    ring = create_keyring(key_file)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert load_keyring(key_file).current.material == ring.current.material
    with pytest.raises(FileExistsError):
        create_keyring(key_file)
    assert load_keyring(key_file).current.material == ring.current.material
    assert os.listdir(key_file.parent) == ["key"]


def test_replacing_leaves_the_old_file_or_the_new_one(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill before the rename leaves the old keys; what it left aside is in nobody's way."""
    old = create_keyring(key_file)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            replace_keyring(key_file, old.with_current(Key(ONE)))
    assert load_keyring(key_file).current.name == old.current.name
    replace_keyring(key_file, old.with_current(Key(ONE)))
    ring = load_keyring(key_file)
    assert [key.name for key in ring.keys] == [Key(ONE).name, old.current.name]
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert os.listdir(key_file.parent) == ["key"]


def test_one_rotation_at_a_time(key_file: Path) -> None:
    with rotating(key_file), pytest.raises(Misconfigured, match="another rotation is running"), rotating(key_file):
        pass
    with rotating(key_file):
        pass
