"""A store that answers nobody holds its share of the broker's places, and there is always one more for another store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.crowd import Crowd


def fill(crowd, store):
    """How many requests are let in."""
    for n in range(10_000):
        if not crowd.enter(store, f"{store}-{n}"):
            return n
    return None


def test_one_store_takes_half_and_the_next_half_of_what_is_left():
    crowd = Crowd(2000)
    assert fill(crowd, "dead") == 1000
    assert fill(crowd, "dead too") == 500
    assert crowd.enter("good", "request")


def test_a_request_counts_once_for_a_store():
    crowd = Crowd(4)
    assert all(crowd.enter("dead", "one") for _ in range(100))
    assert crowd.enter("dead", "two")
    assert not crowd.enter("dead", "three")
    for _ in range(100):
        crowd.leave("dead", "one")
    assert crowd.enter("dead", "three")


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_first_request_of_a_store_is_always_let_in(most):
    crowd = Crowd(most)
    assert fill(crowd, "one") >= 1
    assert crowd.enter("two", "request")


@given(st.integers(1, 30), st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.integers(0, 12)), max_size=200))
def test_what_leaves_leaves_nothing_behind(most, steps):
    crowd, inside = Crowd(most), []
    for enters, store, request in steps:
        if enters:
            if crowd.enter(store, f"r{request}"):
                inside.append((store, f"r{request}"))
        elif inside:
            crowd.leave(*inside.pop(request % len(inside)))
        assert crowd._all == len(set(inside))
        assert len({request for where, request in inside if where == "a"}) <= max(1, most)
    for one in inside:
        crowd.leave(*one)
    assert (crowd._all, crowd._waiting) == (0, {})
