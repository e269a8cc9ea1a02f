"""A store that is down is left alone, tried by one, and slows no other."""

import asyncio

import pytest

from broker.backends import Backends
from broker.circuit import AFTER, State
from broker.errors import (
    InvalidRequest,
    Misconfigured,
    NotFound,
    NotSent,
    Sealed,
    StoreRefused,
    Throttled,
    Unavailable,
)
from broker.limits import Limits
from broker.metrics import Metrics
from broker.stores.store import Stored
from contract.resources import parse_store
from tests.broker.fake_time import settle
from tests.broker.guard.bench import FQN, VALUE, outcome, settled
from tests.broker.scripted_store import Scripted, ScriptedBatch
from tests.broker.world import store


async def test_a_dead_store_is_left_alone_and_callers_are_told_at_once(bench):
    one = bench()
    await one.open_circuit(NotSent("cannot be reached"))
    (found,) = await settled(*one.ask("/other"))
    assert found.message == (
        f"the store '{FQN}' is left alone until 03:00:02Z: its last calls failed (it cannot be reached). "
        "Its SecretStore's status tells more"
    )
    assert found.retry_after == 2.0
    assert (one.client.calls, one.changes) == ([], [State.OPEN])
    assert one.count("store_not_asked_total", reason="circuit") == 1, "those who were there learnt what they met"
    assert one.count("store_circuit_openings_total") == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Sealed("'/tfy-secret/acme/hidden/KEY': sealed"), "it is sealed"),
        (Unavailable("'/tfy-secret/acme/hidden/KEY': fails"), "it did not answer, or answered that it fails"),
    ],
)
async def test_the_reason_tells_no_one_elses_path(bench, error, reason):
    one = bench()
    await one.open_circuit(error)
    (found,) = await settled(*one.ask("/mine"))
    assert f"({reason})" in found.message
    assert "hidden" not in found.message


async def test_those_in_the_line_are_told_when_it_opens(bench):
    """And those between two tries: all of them at once, and not after their time."""
    one = bench(at_once=AFTER)
    one.client.gate = asyncio.Event()
    one.client.script = [Unavailable("down")] * 100
    tasks = one.ask(*(f"/{n}" for n in range(50)))
    await settle()
    assert len(one.client.calls) == AFTER
    one.client.gate.set()
    found = await settled(*tasks)
    assert len(one.client.calls) < 2 * AFTER
    assert sum(outcome.message == "down" for outcome in found) == len(one.client.calls), "those who were there when it failed"
    assert sum("is left alone until" in outcome.message for outcome in found) == 50 - len(one.client.calls)
    assert one.guard.lane.waiting == 0


@pytest.mark.parametrize(
    "error",
    [Throttled("m"), NotFound("m"), StoreRefused("m"), Misconfigured("m"), InvalidRequest("m")],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_no_outage_opens_nothing(bench, error):
    one = bench()
    one.client.script = [error] * (3 * AFTER)
    for n in range(3 * AFTER):
        task = one.start(one.guard.write(f"/{n}", VALUE))
        await one.clock.pass_(10)
        await settled(task)
    assert one.changes == []


async def test_one_trial_and_the_others_are_told(bench):
    one = bench(ScriptedBatch())
    await one.open_circuit()
    await one.clock.pass_(2)
    one.client.gate = asyncio.Event()
    tasks = one.ask(*(f"/{n}" for n in range(12)))
    await settle()
    assert one.client.sizes() == [10], "what goes together is one trial"
    (late,) = await settled(*one.ask("/late"))
    assert "is left alone while one call tries it" in late.message
    one.client.gate.set()
    found = await settled(*tasks)
    assert [isinstance(outcome, Stored) for outcome in found] == [True] * 10 + [False] * 2
    assert one.changes == [State.OPEN, State.CLOSED]


async def test_a_trial_that_fails_is_one_call(bench):
    one = bench()
    await one.open_circuit()
    await one.clock.pass_(2)
    one.client.script = [Unavailable("still down")]
    (found,) = await settled(*one.ask("/a"))
    assert (found.message, len(one.client.calls)) == ("still down", 1)
    assert one.guard.lane.circuit.left_alone() == 4.0


async def test_the_probe_closes_it(bench):
    one = bench()
    await one.open_circuit()
    one.client.script = [Unavailable("still down")]
    await settled(one.start(one.guard.healthy()))
    assert one.changes == [State.OPEN], "a probe that fails changes nothing"
    await settled(one.start(one.guard.healthy()))
    assert one.changes == [State.OPEN, State.CLOSED]
    (found,) = await settled(*one.ask("/a"))
    assert isinstance(found, Stored)


async def test_a_probe_that_is_refused_shows_that_the_store_answers(bench):
    one = bench()
    await one.open_circuit()
    one.client.script = [StoreRefused("no rights")]
    (found,) = await settled(one.start(one.guard.healthy()))
    assert (type(found), one.guard.lane.circuit.state) == (StoreRefused, State.CLOSED)


async def test_failing_probes_alone_open_nothing(bench):
    """Reads may work where health does not answer: a probe must not take them away."""
    one = bench()
    one.client.script = [Unavailable("down")] * 20
    for _ in range(20):
        await settled(one.start(one.guard.healthy()))
    assert one.changes == []


async def test_a_probe_does_not_wait_in_the_line(bench):
    one = bench(at_once=1)
    one.client.gate = asyncio.Event()
    one.ask("/a", "/b")
    await settle()
    probe = one.start(one.guard.healthy())
    await settle()
    assert one.client.calls[-1] == ("healthy",)
    one.client.gate.set()
    await settled(probe)


async def test_another_store_is_not_slowed():
    """A dead store that holds every call, and a good one in the same broker."""
    dead, good = Scripted(), Scripted()
    dead.gate = asyncio.Event()
    stores = [parse_store(store(name=name, fqn=f"acme/embedded/{name}")) for name in ("dead", "good")]
    backends = Backends(lambda found: dead if found.name == "dead" else good, Limits(call_seconds=4.0, try_seconds=2.0), Metrics())
    stuck = [asyncio.create_task(outcome(backends.call(stores[0], lambda client, n=n: client.read(f"/{n}")))) for n in range(200)]
    await settle()
    for n in range(50):
        assert isinstance(await backends.call(stores[1], lambda client, n=n: client.read(f"/{n}")), Stored)
    assert not any(task.done() for task in stuck)
    async with asyncio.timeout(5):
        found = await asyncio.gather(*stuck)
    assert all(isinstance(outcome, Unavailable) for outcome in found)
    assert len(dead.calls) < 50
    await backends.close()
