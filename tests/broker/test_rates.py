"""Turns: a burst, then one at a time; each source has its own; memory stays bounded."""

import pytest

from broker import rates
from broker.errors import Throttled
from broker.rates import Rates
from tests.broker.world import Clock


def taken(bucket, who="a"):
    try:
        bucket.take(who, "too many")
    except Throttled as error:
        return error.retry_after
    return None


def test_a_burst_and_then_one_at_a_time():
    clock = Clock()
    bucket = Rates(3, 10.0, clock)
    assert [taken(bucket) for _ in range(4)] == [None, None, None, 10.0]
    clock.now += 9
    assert taken(bucket) == pytest.approx(1.0)
    clock.now += 1
    assert [taken(bucket), taken(bucket)] == [None, 10.0]


def test_a_refused_one_costs_nothing():
    """Who keeps trying does not wait longer for it."""
    clock = Clock()
    bucket = Rates(1, 10.0, clock)
    assert [taken(bucket) for _ in range(5)] == [None] + [10.0] * 4


def test_each_has_its_own():
    bucket = Rates(1, 10.0, Clock())
    assert [taken(bucket, "a"), taken(bucket, "b"), taken(bucket, "a")] == [None, None, 10.0]


def test_a_turn_can_be_given_back():
    bucket = Rates(1, 10.0, Clock())
    taken(bucket)
    bucket.give_back("a")
    bucket.give_back("nobody")
    assert [taken(bucket), taken(bucket)] == [None, 10.0]


def test_a_full_bucket_never_holds_more_than_its_burst():
    clock = Clock()
    bucket = Rates(2, 10.0, clock)
    clock.now += 10_000
    assert [taken(bucket) for _ in range(3)] == [None, None, 10.0]


def test_memory_is_bounded(monkeypatch):
    """Past the bound all who are new share one bucket; those who are through are forgotten."""
    monkeypatch.setattr(rates, "MAX_BUCKETS", 3)
    clock = Clock()
    bucket = Rates(1, 10.0, clock)
    assert [taken(bucket, who) for who in "abcdef"] == [None, None, None, None, 10.0, 10.0]
    assert len(bucket._full_at) == 4
    clock.now += 11
    assert taken(bucket, "g") is None
    assert len(bucket._full_at) == 1
