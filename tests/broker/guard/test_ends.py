"""Who leaves, who is too late, what a client does that none should; and that it is counted."""

import asyncio

import pytest

from broker.backends import Backends
from broker.errors import (
    BrokerError,
    NotSent,
    Throttled,
    Unavailable,
)
from broker.lane import TRIES
from broker.limits import Limits
from broker.metrics import Metrics
from broker.stores.store import Stored
from contract.resources import parse_store
from tests.broker.fake_time import settle
from tests.broker.guard.bench import FQN, VALUE, outcome, settled
from tests.broker.scripted_store import Scripted, ScriptedBatch
from tests.broker.world import store


async def test_one_who_leaves_takes_nobody_along(bench):
    one = bench(ScriptedBatch(), at_once=1)
    one.client.gate = asyncio.Event()
    tasks = one.ask("/0", "/1", "/2")
    await settle()
    tasks += one.ask("/3", "/4")
    await settle()
    assert one.guard.lane.waiting == 2
    for task in (tasks[1], tasks[3]):
        task.cancel()
    await settle()
    assert one.guard.lane.waiting == 1, "a place in the line for someone else"
    one.client.gate.set()
    await settle()
    assert [task.cancelled() for task in tasks] == [False, True, False, True, False]
    assert [isinstance(task.result(), Stored) for task in (tasks[0], tasks[2], tasks[4])] == [True] * 3
    assert one.client.calls == [("read_batch", ["/0", "/1", "/2"]), ("read", "/4", None)], "whoever left before is not read for"


async def test_nothing_is_sent_for_one_who_left_between_two_tries(bench):
    one = bench()
    one.client.script = [Unavailable("down")]
    (task,) = one.ask("/a")
    await settle()
    assert one.guard.lane.waiting == 1
    task.cancel()
    await settle()
    assert one.guard.lane.waiting == 0
    await one.clock.pass_(3)
    assert len(one.client.calls) == 1


async def test_closing_ends_what_is_left(bench):
    one = bench(at_once=1)
    one.client.gate = asyncio.Event()
    tasks = one.ask("/running", "/waiting")
    await settle()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert one.client.running == 1
    await one.guard.close()
    assert (one.client.running, one.client.closed) == (0, 1)


@pytest.mark.parametrize(
    ("operation", "sent", "message"),
    [
        ("read", True, "did not answer within 0.03 seconds"),
        ("write", True, "did not answer within 0.03 seconds. It may have been done all the same: "),
        ("read", False, "had no room for this call within 0.03 seconds, and nothing was done; try again"),
        ("write", False, "had no room for this call within 0.03 seconds, and nothing was done; try again"),
    ],
)
async def test_who_is_too_late_learns_whether_it_was_sent(bench, operation, sent, message):
    one = bench(at_once=1, call_seconds=0.03)
    one.client.gate = asyncio.Event()
    first = one.ask("/first") if not sent else []
    await settle()
    found = await outcome(one.guard.read("/a") if operation == "read" else one.guard.write("/a", VALUE))
    assert found.message.startswith(f"the store '{FQN}' {message}")
    await asyncio.gather(*first)


@pytest.mark.parametrize("met", [Throttled("slow down", 0.3), NotSent("cannot be reached", 0.3)], ids=["throttled", "not-sent"])
async def test_who_is_too_late_between_two_tries_learns_what_the_last_one_met(bench, met):
    """Who acts on a store that throttles is another than on a broker that has no room. Both say that the write was not done."""
    one = bench(call_seconds=0.45)  # the rest until the next try fits, and never ends here
    one.client.script = [met]
    found = await outcome(one.guard.write("/a", VALUE))
    assert (type(found), found.message) == (type(met), met.message)
    assert len(one.client.calls) == 1


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ("read", "SecretStore main: login: STS: no answer"),
        ("write", f"the store '{FQN}' did not answer within 0.25 seconds. It may have been done"),
    ],
)
async def test_who_is_too_late_in_another_try_learns_why_there_was_one(bench, operation, message):
    """A login that hangs is named, and not the store that was never asked; but what a write's last try did is not known."""
    one = bench(call_seconds=0.25)
    one.clock.uniform = lambda least, _: least
    one.client.script = [NotSent("SecretStore main: login: STS: no answer")]
    task = one.start(one.guard.read("/a") if operation == "read" else one.guard.write("/a", VALUE))
    await settle()
    one.client.gate = asyncio.Event()
    await one.clock.pass_(0)
    assert len(one.client.calls) == 2
    assert (await task).message.startswith(message)


async def test_a_try_has_its_time_and_the_next_one_follows(bench):
    """A connection that hangs costs one try, not the call."""
    one = bench(try_seconds=0.02, call_seconds=5)
    one.client.gate = asyncio.Event()
    (task,) = one.ask("/a")
    async with asyncio.timeout(2):
        while not one.clock.slept:
            await asyncio.sleep(0.005)
    one.client.gate.set()
    await one.clock.pass_(1)
    assert isinstance(task.result(), Stored)
    assert len(one.client.calls) == 2


async def test_a_crash_is_an_error_without_its_message(bench, logs):
    one = bench(ScriptedBatch())
    one.client.script = [RuntimeError("CANARY")]
    found = await settled(*one.ask("/a", "/b"))
    assert [(type(error), error.message) for error in found] == [
        (BrokerError, f"the store '{FQN}' could not be used; the broker's log says where it failed")
    ] * 2
    assert all(error.__context__ is None and error.__cause__ is None for error in found)
    assert [event["event"] for event in logs] == ["store_crashed"]
    assert "CANARY" not in str(logs)


async def test_a_librarys_own_cancellation_is_a_crash_and_leaves_no_one_waiting(bench, logs):
    one = bench()
    await one.open_circuit()
    await one.clock.pass_(2)
    one.client.script = [asyncio.CancelledError("CANARY")]
    (found,) = await settled(*one.ask("/a"))
    assert type(found) is BrokerError
    assert "CANARY" not in str(logs)
    (found,) = await settled(*one.ask("/a"))
    assert isinstance(found, Stored), "the next one may be the trial"


async def test_a_clients_error_goes_on_without_what_it_came_from(bench):
    one = bench()
    error = Unavailable("down")
    error.__cause__ = error.__context__ = RuntimeError("CANARY")
    one.client.script = [error] * TRIES
    task = one.ask("/a")
    await one.clock.pass_(5)
    (found,) = await settled(*task)
    assert (found.__cause__, found.__context__) == (None, None)


async def test_a_batch_with_too_few_outcomes_gives_nothing(bench, logs):
    """Better no value than another name's."""
    one = bench(ScriptedBatch())

    async def short(asked):
        return [one.client._found(*name) for name in asked][1:]

    one.client.read_batch = short
    found = await settled(*one.ask("/a", "/b"))
    assert {type(outcome) for outcome in found} == {BrokerError}


async def test_calls_are_counted(bench):
    one = bench(ScriptedBatch())
    one.client.script = [Throttled("m"), None, None]
    tasks = one.ask(*(f"/{n}" for n in range(12)))
    await one.clock.pass_(2)
    await settled(*tasks, one.start(one.guard.write("/a", VALUE)), one.start(one.guard.healthy()))
    assert one.count("store_calls_total", operation="read_batch", outcome="throttled") == 1
    assert one.count("store_calls_total", operation="read_batch", outcome="ok") == 2
    assert one.count("store_calls_total", operation="write", outcome="ok") == 1
    assert one.count("store_calls_total", operation="healthy", outcome="ok") == 1
    assert one.count("store_retries_total", reason="throttled") == 10
    assert one.count("store_batch_size_sum") == 22
    assert one.count("store_call_seconds_count", operation="read_batch") == 3


async def test_gauges_follow_a_store_and_go_with_it():
    client, metrics = Scripted(), Metrics()
    client.gate = asyncio.Event()
    found = parse_store(store())
    backends = Backends(lambda _: client, Limits(at_once=2), metrics)

    def gauge(name):
        return metrics.registry.get_sample_value(f"tfy_secret_broker_store_{name}", {"store": "main"})

    tasks = [asyncio.create_task(backends.call(found, lambda client, n=n: client.read(f"/{n}"))) for n in range(5)]
    await settle()
    assert (gauge("waiting"), gauge("slots"), gauge("circuit_state")) == (3, 2, 0)
    client.gate.set()
    await asyncio.gather(*tasks)
    backends.keep_only({})
    assert gauge("waiting") is None
    await backends.close()
