"""What is tried again, when, and how often; what a caller learns of a try that may have been done."""

import pytest

from broker.errors import (
    Disabled,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    NotSent,
    Sealed,
    StoreRefused,
    Throttled,
    Unavailable,
)
from broker.lane import TRIES
from broker.stores.store import Stored
from tests.broker.fake_time import settle
from tests.broker.guard.bench import FQN, VALUE, settled
from tests.broker.scripted_store import Bucket, ScriptedBatch

AGAIN = [
    # what the first try meets, how many tries a read has and a write
    (Throttled("slow down"), 2, 2),
    (NotSent("no connection"), 2, 2),
    (Unavailable("lost"), 2, 1),
    (Sealed("sealed"), 1, 1),
    (NotFound("gone"), 1, 1),
    (Disabled("off"), 1, 1),
    (StoreRefused("no rights"), 1, 1),
    (Malformed("nonsense"), 1, 1),
    (Misconfigured("no file"), 1, 1),
    (InvalidRequest("bad path"), 1, 1),
]


@pytest.mark.parametrize(("error", "reads", "writes"), AGAIN, ids=[type(row[0]).__name__ for row in AGAIN])
@pytest.mark.parametrize("operation", ["read", "versions", "write", "delete"])
async def test_what_is_tried_again(bench, operation, error, reads, writes):
    one = bench()
    one.client.script = [error]
    calls = {"read": ("/a",), "versions": ("/a",), "write": ("/a", VALUE), "delete": ("/a",)}
    task = one.start(getattr(one.guard, operation)(*calls[operation]))
    await one.clock.pass_(3)
    tries = reads if operation in ("read", "versions") else writes
    assert len(one.client.calls) == tries
    (found,) = await settled(task)
    assert (type(found) is type(error)) == (tries == 1)


@pytest.mark.parametrize("operation", ["write", "delete"])
async def test_a_write_that_may_have_been_done_says_so(bench, operation):
    one = bench()
    one.client.script = [Unavailable("SecretStore main: the connection was lost", 7)]
    (found,) = await settled(one.start(getattr(one.guard, operation)(*(("/a", VALUE) if operation == "write" else ("/a",)))))
    assert found.message == (
        "SecretStore main: the connection was lost. It may have been done all the same: look at what the store has before you do it again"
    )
    assert found.retry_after == 7


@pytest.mark.parametrize("error", [NotSent("no connection"), Sealed("sealed"), Throttled("slow down", 60)], ids=lambda e: type(e).__name__)
async def test_a_write_that_was_not_done_does_not_say_so(bench, error):
    one = bench()
    one.client.script = [error] * TRIES
    task = one.start(one.guard.write("/a", VALUE))
    await one.clock.pass_(5)
    assert (await settled(task))[0].message == error.message


async def test_so_many_tries_with_growing_waits(bench):
    one = bench()
    one.client.script = [Unavailable(f"down {n}") for n in range(9)]
    task = one.ask("/a")
    await one.clock.pass_(8)
    (found,) = await settled(*task)
    assert (found.message, len(one.client.calls)) == ("down 2", TRIES)
    assert one.clock.slept == [0.2, 0.4]
    assert one.count("store_retries_total", reason="unavailable") == 2


async def test_a_batch_that_failed_is_tried_again_as_one(bench):
    """Jitter for each secret would make one refused call into ten."""
    one = bench(ScriptedBatch())
    one.client.script = [Unavailable("down"), Throttled("slow down")]
    tasks = one.ask(*(f"/{n}" for n in range(10)))
    await one.clock.pass_(2)
    assert all(isinstance(found, Stored) for found in await settled(*tasks))
    assert one.client.sizes() == [10, 10, 10]


async def test_what_failed_in_a_good_batch_is_tried_again_alone(bench):
    one = bench(ScriptedBatch())
    one.client.bad = {"/1": Throttled("slow down"), "/2": Unavailable("down"), "/3": NotFound("gone")}
    tasks = one.ask(*(f"/{n}" for n in range(5)))
    await settle()
    one.client.bad.clear()
    await one.clock.pass_(2)
    assert [type(found) for found in await settled(*tasks)] == [Stored, Stored, Stored, NotFound, Stored]
    assert [sorted(call[1]) for call in one.client.calls[1:]] == [["/1", "/2"]]


@pytest.mark.parametrize("error", [Throttled("m", 3), Unavailable("m", 3), NotSent("m", 3)], ids=lambda error: type(error).__name__)
async def test_retry_after_is_waited_for(bench, error):
    one = bench()
    one.client.script = [error]
    (task,) = one.ask("/a")
    await one.clock.pass_(2.9)
    assert len(one.client.calls) == 1
    await one.clock.pass_(0.6)
    assert isinstance(task.result(), Stored)


@pytest.mark.parametrize("error", [Throttled("m", 60), Unavailable("m", 60)], ids=lambda error: type(error).__name__)
async def test_a_retry_after_past_the_time_is_told_at_once(bench, error):
    one = bench()
    one.client.script = [error]
    (found,) = await settled(*one.ask("/a"))
    assert (type(found), found.retry_after) == (type(error), 60)
    assert one.client.sizes() == [1]


async def test_a_store_that_wants_a_long_rest_has_it(bench):
    """Nobody else asks meanwhile, and each caller learns at once for how long."""
    one = bench()
    one.client.script = [Throttled("m", 30)]
    await settled(*one.ask("/a"))
    await one.clock.pass_(10)
    (found,) = await settled(*one.ask("/b"))
    assert (type(found), found.message) == (
        Throttled,
        f"the store '{FQN}' asks for fewer calls; it is left alone until 03:00:30Z",
    )
    assert found.retry_after == pytest.approx(20.4)
    assert one.count("store_not_asked_total", reason="throttled") == 1
    await one.clock.pass_(15)
    (task,) = one.ask("/c")
    await one.clock.pass_(5.3)
    assert not task.done()
    await one.clock.pass_(0.2)
    assert isinstance(task.result(), Stored)


async def test_all_wait_when_one_is_throttled(bench):
    """A store that refuses one call refuses 32: one refused call each pause, and not one for all that wait."""
    one = bench(at_once=1)
    one.client.script = [Throttled("m"), Throttled("m")]
    tasks = one.ask(*(f"/{n}" for n in range(20)))
    await settle()
    assert len(one.client.calls) == 1
    await one.clock.pass_(0.4)
    assert len(one.client.calls) == 2
    await one.clock.pass_(0.8)
    assert len(one.client.calls) == 22
    await settled(*tasks)


async def test_a_store_of_forty_a_second_is_not_hammered(bench):
    """300 reads at once: it gives what it has, and not one call in four is refused, the first burst of 32 included."""
    one = bench(at_once=32)
    one.client = one.guard._client = one.guard._tries._client = Bucket(one.clock, 40, 0.002)
    tasks = one.ask(*(f"/{n}" for n in range(300)))
    for _ in range(200):
        await one.clock.pass_(0.04)
        if all(task.done() for task in tasks):
            break
    found = [task.result() for task in tasks if task.done()]
    assert len(found) == 300
    assert sum(isinstance(outcome, Stored) for outcome in found) == 300
    assert one.clock.now < 1.25 * (300 - 40) / 40
    assert len(one.client.calls) < 1.25 * 300
    assert one.guard.lane.slots.limit < 32
