"""Credentials are fetched before they end, once for all who ask, and a failure is not asked for again at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.errors import BrokerError, Misconfigured, NotSent, StoreRefused, Unavailable
from broker.stores.aws.keys import Keys, Renewing
from broker.stores.aws.keys_file import KeysFile
from broker.stores.aws.lately import Lately
from broker.stores.aws.lost_writes import LostWrites

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Source:
    """Gives keys for an hour, numbered; `fails` is what it raises instead."""

    place = "SecretStore s: login as r"

    def __init__(self, clock: Clock) -> None:
        self.clock, self.fetched, self.closed = clock, 0, False
        self.fails: BrokerError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self) -> Keys:
        self.fetched += 1
        number = self.fetched
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return Keys(f"key-{number}", "secret-canary", "token-canary", self.clock.now() + timedelta(hours=1))

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def renewing(clock: Clock) -> tuple[Renewing, Source]:
    source = Source(clock)
    return Renewing(source, clock.now, clock.monotonic), source


async def test_one_fetch_serves_all_and_lasts(renewing: tuple[Renewing, Source], clock: Clock) -> None:
    login, source = renewing
    assert {keys.access_key for keys in await asyncio.gather(*(login.keys() for _ in range(50)))} == {"key-1"}
    clock.seconds = 49 * 60
    assert (await login.keys()).access_key == "key-1"
    assert source.fetched == 1


async def test_new_keys_are_fetched_beside_before_the_old_end(renewing: tuple[Renewing, Source], clock: Clock) -> None:
    login, source = renewing
    await login.keys()
    clock.seconds = 51 * 60
    source.gate.clear()
    assert (await asyncio.wait_for(login.keys(), 1)).access_key == "key-1", "nobody waits while the old ones hold"
    await asyncio.sleep(0)
    source.gate.set()
    await asyncio.sleep(0.01)
    assert (await login.keys()).access_key == "key-2"
    assert source.fetched == 2


async def test_keys_that_cannot_be_renewed_are_used_to_their_end(renewing: tuple[Renewing, Source], clock: Clock) -> None:
    login, source = renewing
    await login.keys()
    source.fails = Unavailable("STS is away", 3.0)
    clock.seconds = 55 * 60
    for _ in range(5):
        assert (await login.keys()).access_key == "key-1"
        await asyncio.sleep(0.001)
    assert source.fetched == 2, "not once a call"
    clock.seconds = 60 * 60 - 14
    with pytest.raises(Unavailable, match="STS is away"):
        await login.keys()


async def test_a_refusal_is_shared_for_seconds_and_then_asked_again(renewing: tuple[Renewing, Source], clock: Clock) -> None:
    login, source = renewing
    source.fails = StoreRefused("no role")
    for _ in range(4):
        with pytest.raises(StoreRefused, match="no role"):
            await login.keys()
    assert source.fetched == 1
    clock.seconds, source.fails = 5.1, None
    assert (await login.keys()).access_key == "key-2"


async def test_who_did_not_answer_is_asked_again_at_once(renewing: tuple[Renewing, Source]) -> None:
    """One lost answer costs one try, and the circuit's trial after an outage meets the login service as it is now."""
    login, source = renewing
    source.fails = Unavailable("STS is away")
    met = await asyncio.gather(*(login.keys() for _ in range(20)), return_exceptions=True)
    assert (len(met), source.fetched) == (20, 1), "those who wait together ask together"
    source.fails = None
    assert (await login.keys()).access_key == "key-2"


async def test_keys_that_aws_calls_ended_are_fetched_again_once(renewing: tuple[Renewing, Source]) -> None:
    login, source = renewing
    old = await login.keys()
    login.expire(old)
    new = await login.keys()
    login.expire(old)  # a second call that had the old ones
    assert (await login.keys()) is new
    assert source.fetched == 2


async def test_a_caller_that_goes_away_does_not_end_the_fetch(renewing: tuple[Renewing, Source]) -> None:
    login, source = renewing
    source.gate.clear()
    first, second = asyncio.create_task(login.keys()), asyncio.create_task(login.keys())
    await asyncio.sleep(0.01)
    first.cancel()
    source.gate.set()
    assert (await second).access_key == "key-1"
    await login.close()
    assert source.closed


async def test_who_is_slow_is_named_and_the_next_joins(clock: Clock) -> None:
    """Not the store, which was not asked: a try that is cut off from outside could not tell."""
    source = Source(clock)
    source.gate.clear()
    login = Renewing(source, clock.now, clock.monotonic, wait_seconds=0.01)
    with pytest.raises(NotSent, match="^SecretStore s: login as r: no answer within 0.01 s; the store was not asked$"):
        await login.keys()
    source.gate.set()
    assert (await login.keys()).access_key == "key-1"
    assert source.fetched == 1


async def test_closing_ends_a_fetch(renewing: tuple[Renewing, Source]) -> None:
    login, source = renewing
    source.gate.clear()
    waiting = asyncio.create_task(login.keys())
    await asyncio.sleep(0.01)
    await login.close()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError | Unavailable)


def test_keys_show_nothing() -> None:
    shown = repr(Keys("access-canary", "secret-canary", "token-canary", START))
    assert "canary" not in shown


# --- the mounted file --------------------------------------------------------------------------------------------

TEXT = "[default]\naws_access_key_id = A\naws_secret_access_key = canary%{secret}\n[other]\naws_access_key_id=B\naws_secret_access_key=C\naws_session_token=D\n"


async def test_the_file_is_read_by_profile_and_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(TEXT)
    default, other = KeysFile("p", str(file), "default"), KeysFile("p", str(file), "other")
    assert await default.keys() == Keys("A", "canary%{secret}", None)
    assert await other.keys() == Keys("B", "C", "D")
    assert (await default.keys()) is (await default.keys())
    (tmp_path / "next").write_text(TEXT.replace("= A", "= A2"))
    (tmp_path / "next").rename(file)
    assert (await default.keys()).access_key == "A2"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "has no profile 'default'"),
        ("[other]\naws_access_key_id=canary\n", "has no profile 'default'"),
        ("[default]\naws_access_key_id=canary\n", "has no aws_secret_access_key in profile 'default'"),
        ("[default]\naws_secret_access_key=canary\n", "has no aws_access_key_id in profile 'default'"),
        ("canary without section\n", "is no credentials file"),
        ("[default]\ncanary\n", "is no credentials file"),
        ("[default]\naws_access_key_id=canary\naws_access_key_id=canary\n", "is no credentials file"),
    ],
)
async def test_a_file_that_cannot_be_used_is_told_without_what_it_holds(tmp_path: Path, text: str | None, found: str) -> None:
    file = tmp_path / "credentials"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Misconfigured) as caught:
        await KeysFile("SecretStore s", str(file), "default").keys()
    assert caught.value.message.startswith(
        f"SecretStore s: login: AWS_SHARED_CREDENTIALS_FILE: file {file} {found}. To fix: write [default]"
    )
    assert "canary" not in caught.value.message
    assert "canary" not in repr(caught.value.__cause__) + repr(caught.value.__context__)


# --- what is remembered for a while ------------------------------------------------------------------------------


def test_lately_forgets_by_time_and_number(clock: Clock) -> None:
    lately = Lately(10.0, limit=2, clock=clock.monotonic)
    for name in ("a", "b", "c"):
        lately.add(name)
    assert ["a" in lately, "b" in lately, "c" in lately] == [False, True, True]
    clock.seconds = 10.0
    assert "b" not in lately


@pytest.fixture
def lost(clock: Clock) -> LostWrites:
    return LostWrites(clock.monotonic)


def test_a_lost_write_is_repeated_with_its_token_once_and_for_a_minute(lost: LostWrites, clock: Clock) -> None:
    first = lost.begin("n", b"v")
    assert not first.repeated
    assert lost.begin("n", b"v").token != first.token, "a write that was not lost is a new one"
    lost.lost(first)
    assert lost.begin("n", b"other").token != first.token
    assert lost.begin("m", b"v").token != first.token
    again = lost.begin("n", b"v")
    assert (again.token, again.repeated) == (first.token, True)
    assert again.anew.token != first.token
    assert not again.anew.repeated
    assert not lost.begin("n", b"v").repeated
    lost.lost(first)
    clock.seconds = 60.0
    assert not lost.begin("n", b"v").repeated


def test_lost_writes_are_bounded_and_hold_no_value(lost: LostWrites) -> None:
    for number in range(1100):
        lost.lost(lost.begin(f"n{number}", b"canary"))
    assert len(lost._lost) == 1000
    assert "canary" not in repr(vars(lost))
