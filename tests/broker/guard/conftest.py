"""Makes benches, and ends them."""

import asyncio

import pytest

from tests.broker.guard.bench import Bench
from tests.broker.scripted_store import Scripted


@pytest.fixture
async def bench():
    made = []

    def make(client=None, **limits):
        made.append(Bench(client or Scripted(), **limits))
        return made[-1]

    yield make
    for one in made:
        await one.guard.close()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()
