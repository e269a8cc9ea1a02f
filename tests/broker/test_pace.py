"""A store's pace is measured while jobs wait, forgotten after a while, and nobody is let into a line longer than his time."""

import asyncio
import random

import pytest

from broker.errors import BrokerError, Unavailable
from broker.guard import Guard
from broker.lane import PATIENCE
from broker.limits import Limits
from broker.metrics import Metrics
from broker.pace import BELIEVED_SECONDS, Pace
from contract.resources import parse_store
from tests.broker.fake_time import FakeTime, settle
from tests.broker.scripted_store import Bucket, Scripted
from tests.broker.world import store


@pytest.fixture
def clock():
    return FakeTime()


@pytest.fixture
def pace(clock):
    return Pace(clock.timing)


def work(pace, clock, seconds, a_second, waiting=True):
    for _ in range(int(seconds * 10)):
        clock.now += 0.1
        pace.finished(a_second / 10)
        pace.look(waiting=waiting)


def test_nothing_is_known_at_first(pace, clock):
    pace.look(waiting=True)
    clock.now += 0.9
    assert pace.wait(10_000) == 0


def test_it_is_measured_while_jobs_wait(pace, clock):
    pace.look(waiting=True)
    work(pace, clock, 2, 40)
    assert pace.wait(400) == pytest.approx(10)


def test_a_store_that_is_asked_little_is_not_a_slow_one(pace, clock):
    pace.look(waiting=False)
    work(pace, clock, 60, 0.1, waiting=False)
    assert pace.wait(10_000) == 0


def test_one_that_gives_nothing_is_slow(pace, clock):
    pace.look(waiting=True)
    clock.now += 4
    assert pace.wait(100) == 400


def test_it_follows_a_change(pace, clock):
    pace.look(waiting=True)
    work(pace, clock, 8, 10)
    work(pace, clock, 8, 1000)
    assert pace.wait(1000) < 1.5


def test_it_is_believed_for_a_while_after_the_line_was_empty(pace, clock):
    pace.look(waiting=True)
    work(pace, clock, 2, 40)
    pace.look(waiting=False)
    assert pace.wait(400) == pytest.approx(10)
    clock.now += BELIEVED_SECONDS
    assert pace.wait(400) == 0


async def test_pods_that_ask_for_more_than_there_is_are_served_in_turn(clock):
    """100 pods want 5 values each from a store of 5 a second. A pod that lacks one asks for all of them again, and nothing is kept here; so
    what is read for a pod that then comes too late is read for nothing. Without the measure: 260 s and 2,300 calls.
    """
    dice = random.Random(1)
    clock = FakeTime(dice.uniform)
    shop = Bucket(clock, 5, 0.005)
    limits = Limits()
    guard = Guard(parse_store(store()), shop, limits, Metrics(), clock.timing)

    async def read(path):
        try:
            return await _in_fake_time(clock, guard.read(path), limits.call_seconds)
        except BrokerError as error:
            return error

    async def pod(number):
        tries = 0
        while any(isinstance(found, BrokerError) for found in await asyncio.gather(*(read(f"/{number}/{n}") for n in range(5)))):
            tries += 1
            await clock.sleep(dice.uniform(0, min(5.0, 0.2 * 2**tries)))

    pods = [asyncio.create_task(pod(number)) for number in range(100)]
    for _ in range(1000):
        await clock.pass_(0.25)
        if all(task.done() for task in pods):
            break
    await settle()
    assert all(task.done() for task in pods)
    assert clock.now < 1.5 * (500 - 5) / 5
    assert len(shop.calls) < 1500
    await guard.close()


async def _in_fake_time(clock, call, seconds):
    """A caller's time-out is the loop's own; here it must pass with the clock."""
    task = asyncio.ensure_future(call)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
    timer.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait((task,))
    raise Unavailable("too late")


async def test_what_is_asked_in_one_moment_is_let_in_or_refused_together(clock):
    client = Scripted()
    client.gate = asyncio.Event()
    guard = Guard(parse_store(store()), client, Limits(at_once=1), Metrics(), clock.timing)

    def ask(*paths):
        return [asyncio.create_task(guard.read(path)) for path in paths]

    first = ask("/0", "/1", "/2", "/3", "/4")
    await settle()
    clock.now += 1.6  # four wait, and nothing is done in 1.6 s: at least 6.4 s for whoever comes now
    assert 4 * 1.6 > PATIENCE * 8
    late = ask("/a", "/b")
    found = await asyncio.gather(*late, return_exceptions=True)
    assert [(type(error), error.message) for error in found] == [
        (Unavailable, "the store 'acme/embedded/main' has as many calls waiting as it takes; try again")
    ] * 2
    client.gate.set()
    await asyncio.gather(*first)
    assert (await asyncio.gather(*ask("/c", "/d")))[1].version == "1"
    await guard.close()


async def test_a_line_that_moves_lets_more_in(clock):
    shop = Bucket(clock, 160, 0.005)  # of which 32 calls at once, 5 ms each, take all
    guard = Guard(parse_store(store()), shop, Limits(), Metrics(), clock.timing)
    first = [asyncio.create_task(guard.read(f"/{n}")) for n in range(700)]
    await clock.pass_(2)
    more = [asyncio.create_task(guard.read(f"/more/{n}")) for n in range(100)]
    await settle()
    assert not any(task.done() for task in more), "some 400 wait, and 160 a second are worked off"
    await clock.pass_(8)
    assert [found for found in await asyncio.gather(*first, *more, return_exceptions=True) if isinstance(found, Exception)] == []
    await guard.close()
