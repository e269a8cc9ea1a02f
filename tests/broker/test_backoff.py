"""Full jitter under a ceiling that doubles, on top of what the store asks for."""

import random

import pytest

from broker.backoff import Backoff


@pytest.mark.parametrize(("tries", "ceiling"), [(1, 0.2), (2, 0.4), (3, 0.8), (4, 1.6), (5, 2.0), (1000, 2.0)])
def test_the_ceiling_doubles_up_to_a_bound(tries, ceiling):
    assert Backoff().wait(tries, None, lambda _least, most: most) == pytest.approx(ceiling)
    assert Backoff().wait(tries, None, lambda least, _most: least) == 0


@pytest.mark.parametrize(("asked", "least"), [(3.0, 3.0), (0.0, 0.0), (None, 0.0), (-5.0, 0.0)])
def test_what_the_store_asks_for_is_the_least_and_callers_still_spread(asked, least):
    waits = {Backoff().wait(1, asked, random.uniform) for _ in range(50)}
    assert all(least <= wait <= least + 0.2 for wait in waits)
    assert len(waits) == 50
