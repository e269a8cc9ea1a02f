"""Fewer calls at once after a Throttled, more again with each answer, and a pause in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.slots import BACK_AGAIN, LONGEST_REST, Slots
from tests.broker.fake_time import FakeTime


@pytest.fixture
def clock():
    return FakeTime()


@pytest.fixture
def slots(clock):
    return Slots(32, clock.timing)


def test_a_throttle_halves_and_seconds_bring_it_back(slots, clock):
    slots.throttled(slots.take(), None)
    assert (slots.limit, slots.free()) == (16, False)
    clock.now += slots.rest()
    assert slots.free()
    clock.now += BACK_AGAIN / 4
    assert slots.limit == 24
    slots.throttled(slots.take(), None)
    assert slots.limit == 12, "half of what it was by then"
    clock.now += slots.rest() + BACK_AGAIN
    assert slots.limit == 32


def test_calls_that_ran_together_cut_once(slots):
    began = [slots.take() for _ in range(32)]
    for one in began:
        slots.throttled(one, None)
    assert slots.limit == 16


def test_a_late_throttle_takes_nothing_of_what_came_back(slots, clock):
    late = slots.take()
    slots.throttled(slots.take(), None)
    clock.now += slots.rest() + BACK_AGAIN / 4
    slots.throttled(late, None)
    assert (slots.limit, slots.rest()) == (24, 0)


def test_it_never_falls_below_one_and_pauses_grow(slots, clock):
    rests = []
    for _ in range(8):
        slots.throttled(slots.take(), None)
        rests.append(round(slots.rest(), 3))
        clock.now += slots.rest()
    assert slots.limit == 1
    assert rests == [0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 2.0, 2.0]
    slots.answered(slots.take())
    slots.throttled(slots.take(), None)
    assert slots.rest() == pytest.approx(0.4), "an answer ends the row"


def test_what_the_store_asks_for_is_kept_up_to_a_bound(slots, clock):
    began = slots.take()
    slots.throttled(began, 3.0)
    assert slots.rest() == pytest.approx(3.4)
    slots.throttled(began, 10.0)
    assert slots.rest() == pytest.approx(10.0), "also when the call began before the cut"
    slots.throttled(slots.take(), 10**9)
    assert slots.rest() < LONGEST_REST + 3


@given(st.integers(1, 50), st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=200))
def test_the_limit_stays_in_its_bounds(most, events):
    clock = FakeTime()
    slots = Slots(most, clock.timing)
    began = [slots.take()]
    for throttled, index in events:
        one = began[max(0, len(began) - 1 - index)]
        slots.throttled(one, None) if throttled else slots.answered(one)
        clock.now += slots.rest()
        began.append(slots.take())
        slots.leave()
        assert 1 <= slots.limit <= most
        assert 0 <= slots.rest() <= LONGEST_REST
