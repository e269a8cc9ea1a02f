"""The cache is bounded in time, number and bytes, and forgets what was written."""

import pytest

from broker.cache import ENTRY_BYTES, Cache, Key
from broker.stores.store import Stored
from contract.values import SecretValue
from tests.broker.world import Clock


def stored(text=b"v"):
    return Stored(SecretValue(text), "1")


@pytest.fixture
def clock():
    return Clock()


def test_a_value_lives_for_its_seconds_from_the_read(clock):
    cache = Cache(5, 10_000, clock)
    cache.put(Key("s", "/a", None), stored(), clock() - 2)
    clock.now += 2.9
    assert cache.get(Key("s", "/a", None)) is not None
    clock.now += 0.2
    assert cache.get(Key("s", "/a", None)) is None
    assert cache.bytes == 0


def test_zero_seconds_holds_nothing(clock):
    cache = Cache(0, 10_000, clock)
    cache.put(Key("s", "/a", None), stored(), clock())
    assert len(cache) == 0


def test_bytes_are_bounded_and_the_least_used_goes_first(clock):
    cache = Cache(5, 3 * (ENTRY_BYTES + 100), clock)
    keys = [Key("s", f"/{n}", None) for n in range(3)]
    for key in keys:
        cache.put(key, stored(b"x" * 90), clock())
    cache.get(keys[0])
    cache.put(Key("s", "/new", None), stored(b"x" * 90), clock())
    assert [cache.get(key) is not None for key in keys] == [True, False, True]
    assert cache.bytes <= 3 * (ENTRY_BYTES + 100)
    cache.put(Key("s", "/huge", None), stored(b"x" * 100_000), clock())
    assert cache.get(Key("s", "/huge", None)) is None


def test_entries_are_bounded(clock):
    cache = Cache(5, 1 << 30, clock, max_entries=10)
    for n in range(100):
        cache.put(Key("s", f"/{n}", None), stored(), clock())
    assert len(cache) == 10


def test_forget_drops_all_versions_of_a_path_or_a_whole_store(clock):
    cache = Cache(5, 1 << 20, clock)
    for key in (Key("s", "/a", None), Key("s", "/a", "1"), Key("s", "/b", None), Key("t", "/a", None)):
        cache.put(key, stored(), clock())
    cache.forget("s", "/a")
    assert len(cache) == 2
    cache.forget("s")
    assert cache.get(Key("t", "/a", None)) is not None
    assert len(cache) == 1


def test_putting_again_counts_once(clock):
    cache = Cache(5, 1 << 20, clock)
    for _ in range(3):
        cache.put(Key("s", "/a", None), stored(b"abc"), clock())
    assert cache.bytes == ENTRY_BYTES + 3 + 2 * 2


def test_expire_drops_what_no_one_asks_for(clock):
    cache = Cache(5, 1 << 20, clock)
    cache.put(Key("s", "/a", None), stored(), clock())
    clock.now += 6
    cache.expire()
    assert (len(cache), cache.bytes) == (0, 0)


def test_a_value_past_its_seconds_is_kept_for_a_store_that_fails(clock):
    cache = Cache(5, 1 << 20, clock, stale_seconds=60)
    key = Key("s", "/a", None)
    cache.put(key, stored(), clock())
    clock.now += 59
    cache.expire()
    assert (cache.get(key), cache.stale(key)) == (None, stored())
    clock.now += 1
    assert cache.stale(key) is None
    assert cache.bytes == 0


def test_a_value_that_is_fresh_may_be_served_too(clock):
    cache = Cache(5, 1 << 20, clock, stale_seconds=2)
    cache.put(Key("s", "/a", None), stored(), clock())
    clock.now += 4
    assert cache.stale(Key("s", "/a", None)) == cache.get(Key("s", "/a", None)) == stored()


def test_stale_alone_serves_nothing_fresh(clock):
    cache = Cache(0, 1 << 20, clock, stale_seconds=60)
    cache.put(Key("s", "/a", None), stored(), clock())
    assert cache.get(Key("s", "/a", None)) is None
    assert cache.stale(Key("s", "/a", None)) == stored()


def test_what_is_lost_or_forgotten_is_not_stale_either(clock):
    cache = Cache(5, 1 << 20, clock, stale_seconds=60)
    for path in ("/a", "/b"):
        cache.put(Key("s", path, None), stored(), clock())
    cache.lose(Key("s", "/a", None))
    cache.forget("s", "/b")
    assert (cache.stale(Key("s", "/a", None)), cache.stale(Key("s", "/b", None)), cache.bytes) == (None, None, 0)
