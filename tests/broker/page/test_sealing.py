"""What a browser keeps for us: sealed for one purpose, with keys that two replicas derive alike, through a change of the private key."""

import pytest

from broker.errors import Unavailable
from broker.page.sealing import SETTLE_SECONDS, SessionKeys, Unsealed
from tests.broker.world import Clock


def renew(folder, text):
    (folder / "new").write_text(text)
    (folder / "new").replace(folder / "tls.key")  # as the kubelet does


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(tmp_path, clock):
    renew(tmp_path, "one")
    return SessionKeys(tmp_path, clock)


def opened(keys, sealed, purpose="session"):
    try:
        return keys.open(purpose, sealed)
    except Unsealed:
        return None


def test_another_replica_opens_it(keys, tmp_path, clock):
    assert opened(SessionKeys(tmp_path, clock), keys.seal("session", b"content")) == b"content"


def test_only_for_its_purpose(keys):
    assert opened(keys, keys.seal("oidc", b"content")) is None


@pytest.mark.parametrize("place", [0, 12, -1])
def test_altered_it_is_nothing(keys, place):
    sealed = bytearray(keys.seal("session", b"content"))
    sealed[place] ^= 1
    assert opened(keys, bytes(sealed)) is None


@pytest.mark.parametrize("text", [b"", b"x", b"x" * 12, b"x" * 40])
def test_what_we_never_sealed_is_nothing(keys, text):
    assert opened(keys, text) is None


def test_another_key_opens_nothing(keys, tmp_path, clock):
    sealed = keys.seal("session", b"content")
    renew(tmp_path, "two")
    assert opened(SessionKeys(tmp_path, clock), sealed) is None


def test_a_new_private_key_ends_no_session(keys, tmp_path, clock):
    """Both keys open; the former seals until every replica must have seen the new one, then the new one does."""
    late = SessionKeys(tmp_path, clock)
    before = keys.seal("session", b"before")
    assert opened(late, before)
    renew(tmp_path, "two")
    clock.now += 3
    assert opened(keys, before) == b"before"
    between = keys.seal("session", b"between")
    late._looked = clock.now + SETTLE_SECONDS  # it has not seen the new file yet
    assert opened(late, between) == b"between"
    clock.now += SETTLE_SECONDS
    after = keys.seal("session", b"after")
    renew(tmp_path, "two")
    assert opened(SessionKeys(tmp_path, clock), after) == b"after"
    assert opened(keys, between) == b"between"


def test_a_third_key_ends_those_of_the_first(keys, tmp_path, clock):
    sealed = keys.seal("session", b"content")
    for text in ("two", "three"):
        renew(tmp_path, text)
        clock.now += 3
        opened(keys, sealed)
    assert opened(keys, sealed) is None


def test_a_renewed_certificate_for_the_same_key_changes_nothing(keys, tmp_path, clock):
    sealed = keys.seal("session", b"content")
    for _ in range(3):
        renew(tmp_path, "one\n")
        clock.now += 3
        assert opened(keys, sealed) == b"content"


def test_a_file_that_is_away_for_a_moment_changes_nothing(keys, tmp_path, clock):
    sealed = keys.seal("session", b"content")
    (tmp_path / "tls.key").unlink()
    clock.now += 3
    assert opened(keys, sealed) == b"content"


def test_without_a_key_there_are_no_sessions(tmp_path, clock):
    with pytest.raises(Unavailable) as caught:
        SessionKeys(tmp_path, clock).seal("session", b"content")
    assert caught.value.message == "sessions cannot be sealed: tls.key is not readable yet"


def test_no_key_is_ever_shown(keys):
    keys.seal("session", b"content")
    assert "key=" not in repr(keys._keys)
