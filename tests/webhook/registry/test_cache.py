import asyncio

import pytest

from webhook.registry.cache import Kept, Shared


def test_bounded_by_weight():
    """What was used last stays."""
    kept = Kept(10, len)
    for key in "abc":
        kept.put(key, "xxx")
    kept.get("a")
    kept.put("d", "xxxx")
    assert kept.get("b") is None and kept.get("a") == "xxx" and kept.weight == 10 and len(kept) == 3
    kept.put("a", "x")
    assert kept.weight == 8
    kept.put("e", "x" * 11)
    assert len(kept) == 0 and kept.weight == 0


@pytest.fixture
async def shared(clock):
    made = Shared(clock, 1000, len)
    yield made
    await made.close()


def asking(answer, seconds, asked, gate=None):
    async def ask():
        asked.append(answer)
        if gate:
            await gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer, seconds

    return ask


async def test_an_answer_holds_as_long_as_it_says(shared, clock):
    asked = []
    assert await shared.get("k", asking("one", 5, asked)) == "one"
    clock.time += 4.9
    assert await shared.get("k", asking("two", 5, asked)) == "one"
    clock.time += 0.2
    assert await shared.get("k", asking("three", 0, asked)) == "three"
    assert await shared.get("k", asking("four", 0, asked)) == "four" and asked == ["one", "three", "four"]


async def test_a_hundred_questions_are_one(shared):
    asked, gate = [], asyncio.Event()
    tasks = [asyncio.create_task(shared.get("k", asking("one", 0, asked, gate))) for _ in range(100)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*tasks) == ["one"] * 100 and asked == ["one"]


async def test_a_caller_that_goes_away_takes_nothing_with_it(shared):
    """A webhook's request may be cut off; the answer serves those that still wait."""
    asked, gate = [], asyncio.Event()
    first, second = (asyncio.create_task(shared.get("k", asking("one", 5, asked, gate))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    gate.set()
    assert await second == "one" and first.cancelled() and asked == ["one"]


async def test_a_crash_is_everyones_and_not_kept(shared):
    asked, gate = [], asyncio.Event()
    tasks = [asyncio.create_task(shared.get("k", asking(RuntimeError("bug"), 5, asked, gate))) for _ in range(2)]
    await asyncio.sleep(0)
    gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in found] == [RuntimeError] * 2
    assert await shared.get("k", asking("fine", 5, asked)) == "fine"


async def test_closing_ends_what_is_asked(shared):
    task = asyncio.create_task(shared.get("k", asking("one", 5, [], asyncio.Event())))
    await asyncio.sleep(0)
    await shared.close()
    assert (await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError
