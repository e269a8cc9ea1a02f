"""What is asked of a store in one moment goes together; so many calls at once, and a line."""

import asyncio

import pytest

from broker.backends import Backends
from broker.errors import (
    NotFound,
    StoreRefused,
    Unavailable,
)
from broker.limits import Limits
from broker.metrics import Metrics
from broker.stores.store import Stored
from contract.resources import parse_store
from tests.broker.fake_time import settle
from tests.broker.guard.bench import FQN, settled
from tests.broker.scripted_store import Scripted, ScriptedBatch
from tests.broker.world import store


@pytest.mark.parametrize(("names", "sizes"), [(1, [1]), (2, [2]), (10, [10]), (11, [10, 1]), (35, [10, 10, 10, 5])])
async def test_what_is_asked_in_one_moment_goes_together(bench, names, sizes):
    one = bench(ScriptedBatch())
    found = await settled(*one.ask(*(f"/{n}" for n in range(names))))
    assert one.client.sizes() == sizes
    assert [outcome.value.reveal().decode() for outcome in found] == [f"/{n}" for n in range(names)]
    assert one.clock.slept == [], "nothing waits in order to be joined"


async def test_a_store_without_batches_gets_single_reads(bench):
    one = bench(Scripted())
    await settled(*one.ask("/a", "/b", "/c"))
    assert one.client.calls == [("read", "/a", None), ("read", "/b", None), ("read", "/c", None)]


async def test_what_waited_while_the_store_was_busy_goes_together(bench):
    one = bench(ScriptedBatch(), at_once=1)
    one.client.gate = asyncio.Event()
    tasks = one.ask("/first")
    for n in range(13):
        await settle()
        tasks += one.ask(f"/{n}")
    one.client.gate.set()
    await settled(*tasks)
    assert one.client.sizes() == [1, 10, 3]


async def test_one_bad_name_hides_no_other(bench):
    one = bench(ScriptedBatch())
    one.client.bad = {"/2": NotFound("'/2' is not there"), "/4": StoreRefused("no rights to '/4'")}
    found = await settled(*one.ask(*(f"/{n}" for n in range(6))))
    assert [type(outcome) for outcome in found] == [Stored, Stored, NotFound, Stored, StoreRefused, Stored]
    assert one.client.sizes() == [6]


async def test_equal_reads_of_two_people_share_a_place(bench):
    one = bench(ScriptedBatch())
    await settled(*one.ask("/a", "/a", "/b"))
    assert one.client.calls == [("read_batch", ["/a", "/b"])]


async def test_no_batch_mixes_stores():
    clients = {"one": ScriptedBatch(), "two": ScriptedBatch()}
    stores = [parse_store(store(name=name, fqn=f"acme/embedded/{name}")) for name in clients]
    backends = Backends(lambda found: clients[found.name], Limits(), Metrics())
    await asyncio.gather(*(backends.call(stores[n % 2], lambda client, n=n: client.read(f"/{n}")) for n in range(12)))
    assert clients["one"].calls == [("read_batch", [f"/{n}" for n in range(0, 12, 2)])]
    assert clients["two"].calls == [("read_batch", [f"/{n}" for n in range(1, 12, 2)])]
    await backends.close()


async def test_so_many_calls_at_once_and_no_more(bench):
    one = bench(ScriptedBatch(), at_once=3)
    one.client.gate = asyncio.Event()
    tasks = one.ask(*(f"/{n}" for n in range(100)))
    await settle()
    assert (len(one.client.calls), one.guard.lane.waiting) == (3, 70)
    one.client.gate.set()
    await settled(*tasks)
    assert one.client.most_at_once == 3


async def test_a_full_line_is_told_at_once(bench):
    one = bench(Scripted(), at_once=1, waiting=3)
    one.client.gate = asyncio.Event()
    running = one.ask("/running")
    await settle()
    tasks = one.ask(*(f"/{n}" for n in range(5)))
    await settle()
    refused = [task.result() for task in tasks if task.done()]
    assert [(type(e), e.message, e.retry_after) for e in refused] == [
        (Unavailable, f"the store '{FQN}' has as many calls waiting as it takes; try again", 1.0)
    ] * 2
    assert one.count("store_not_asked_total", reason="waiting") == 2
    one.client.gate.set()
    assert all(isinstance(found, Stored) for found in await settled(*running, *tasks[:3]))
