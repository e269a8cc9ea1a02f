"""5,000 groups: no list, search or question looks at them in a way that grows out of hand, for tenant admins and for others.

The figures, against their target of 100 ms, are the bench's.
"""

import sys
import time

import pytest

from broker.groups.held import held_from_api
from broker.groups.index import Follower
from contract.access import Action
from tests.broker.world import ORIGIN, group, person

GROUPS, KEYS = 5000, 20
OUT_OF_HAND_MS = 2000  # far over any slow machine under coverage, far under what is quadratic


@pytest.fixture
def many(make):
    world = make(admins=frozenset({"team:platform"}))
    follow = Follower(world.parts.index, world.catalog, held_from_api)
    for n in range(GROUPS):
        roles = [("viewer", "team:payments")] if n % 2 else [("admin", f"user:u{n}")]
        manifest = group(f"group-{n}", [f"KEY_{n}_{k}" for k in range(KEYS)], roles)
        manifest["metadata"]["generation"] = 1
        world.catalog.put(manifest)
        follow("SecretGroup", f"group-{n}", manifest)
    return world


async def spent(call):
    """Milliseconds of CPU, the best of three: a machine may be busy with other things."""
    best = 1e9
    for _ in range(3):
        began = time.thread_time()
        found = await call()
        best = min(best, (time.thread_time() - began) * 1000)
    return best, found


@pytest.mark.parametrize(("who", "groups"), [("platform", GROUPS + 3), ("payments", GROUPS // 2)])
async def test_lists_and_searches_of_many_groups(many, who, groups):
    caller = person("somebody", who)
    listing, page = await spent(lambda: many.groups.list(caller, ORIGIN, limit=100))
    assert (page.total, len(page.items)) == (groups, 100)
    searching, page = await spent(lambda: many.groups.list(caller, ORIGIN, "key_4321_7"))
    assert [view.name for view in page.items] == ["group-4321"]
    late, page = await spent(lambda: many.groups.list(caller, ORIGIN, "GROUP main", limit=50, offset=2400))
    assert len(page.items) == 50
    assert max(listing, searching, late) < OUT_OF_HAND_MS


async def test_one_question_does_not_look_at_all(many):
    made = 0

    def count(_frame, event, _argument):
        nonlocal made
        made += event.endswith("call")

    caller = person("u7", "payments")
    sys.setprofile(count)
    try:
        assert many.groups.may(caller, Action.LIST, "group-2501")
    finally:
        sys.setprofile(None)
    assert 0 < made < 100
