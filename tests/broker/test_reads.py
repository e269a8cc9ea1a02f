"""Equal reads in flight are one read; errors are not kept; a caller that leaves does not end the read of the others."""

import asyncio

import pytest

from broker.errors import BrokerError, StoreRefused, Unavailable
from broker.stores.store import Stored
from contract.resources import parse_store
from contract.values import SecretValue
from tests.broker.world import PATH, store


def main_store(world):
    return world.catalog.stores["main"]


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_thousand_callers_are_one_read(make):
    world = make(seconds=0)
    world.store.gate = asyncio.Event()
    tasks = [asyncio.create_task(world.reads.read(main_store(world), PATH)) for _ in range(1000)]
    await settle()
    world.store.gate.set()
    found = await asyncio.gather(*tasks)
    assert world.store.reads == 1
    assert {outcome.version for outcome in found} == {"2"}
    assert world.count("tfy_secret_broker_coalesced_total") == 999
    await world.reads.read(main_store(world), PATH)
    assert world.store.reads == 2  # seconds=0: nothing is kept, though it was shared


async def test_versions_and_paths_are_read_apart(world):
    await asyncio.gather(*(world.reads.read(main_store(world), PATH, version) for version in (None, "1", "2")))
    assert world.store.reads == 3


async def test_a_cancelled_caller_leaves_the_read_to_the_others(world):
    world.store.gate = asyncio.Event()
    first = asyncio.create_task(world.reads.read(main_store(world), PATH))
    await settle()
    second = asyncio.create_task(world.reads.read(main_store(world), PATH))
    await settle()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    world.store.gate.set()
    assert isinstance(await second, Stored)
    assert world.store.reads == 1


async def test_when_all_callers_leave_the_answer_is_still_kept(world):
    world.store.gate = asyncio.Event()
    only = asyncio.create_task(world.reads.read(main_store(world), PATH))
    await settle()
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    world.store.gate.set()
    await settle()
    await world.reads.read(main_store(world), PATH)
    assert world.store.reads == 1


async def test_a_value_is_kept_for_the_settings_seconds(world):
    for _ in range(3):
        await world.reads.read(main_store(world), PATH)
    assert world.store.reads == 1
    assert world.count("tfy_secret_broker_cache_hits_total") == 2
    world.clock.now += 5.1
    await world.reads.read(main_store(world), PATH)
    assert world.store.reads == 2


async def test_an_error_is_shared_in_flight_and_not_kept(world):
    world.store.error, world.store.gate = StoreRefused("no rights"), asyncio.Event()
    tasks = [asyncio.create_task(world.reads.read(main_store(world), PATH)) for _ in range(10)]
    await settle()
    world.store.gate.set()
    assert {type(outcome) for outcome in await asyncio.gather(*tasks)} == {StoreRefused}
    assert world.store.reads == 1
    world.store.error = None
    assert isinstance(await world.reads.read(main_store(world), PATH), Stored)


async def test_a_slow_store_is_unavailable_in_time(make):
    world = make(call_seconds=0.02)
    world.store.gate = asyncio.Event()
    outcome = await world.reads.read(main_store(world), PATH)
    assert isinstance(outcome, Unavailable)
    assert outcome.message == "the store 'acme/embedded/main' did not answer within 0.02 seconds"


async def test_a_store_is_read_so_many_times_at_once_and_no_more(make):
    world = make(at_once=4)
    world.store.values |= {f"/{n}": [b"x"] for n in range(50)}
    await asyncio.gather(*(world.reads.read(main_store(world), f"/{n}") for n in range(50)))
    assert world.store.most_at_once == 4


async def test_a_read_that_a_write_overtook_is_neither_joined_nor_kept(world):
    world.store.gate = asyncio.Event()
    before = asyncio.create_task(world.reads.read(main_store(world), PATH))
    await settle()
    await world.store.write(PATH, SecretValue(b"new"))
    world.reads.forget(main_store(world), PATH)
    after = asyncio.create_task(world.reads.read(main_store(world), PATH))
    await settle()
    world.store.gate.set()
    old, new = await before, await after
    assert (old.version, new.version) == ("2", "3")
    assert (await world.reads.read(main_store(world), PATH)).version == "3"
    assert world.store.reads == 2


async def test_a_changed_manifest_is_another_store(world):
    await world.reads.read(main_store(world), PATH)
    changed = parse_store(store(provider={"generic": {"baseUrl": "https://x.example"}}))
    await world.reads.read(changed, PATH)
    assert world.store.reads == 2
    assert [opened.provider for opened in world.opened] == ["embedded", "generic"]


async def test_a_crash_becomes_an_error_without_its_message(world):
    world.store.error = RuntimeError("CANARY")
    outcome = await world.reads.read(main_store(world), PATH)
    assert type(outcome) is BrokerError
    assert "CANARY" not in outcome.message
    assert outcome.__traceback__ is None
    assert outcome.__context__ is None


async def test_a_value_past_the_limit_is_refused(world):
    world.store.values[PATH] = [b"x" * (1024 * 1024 + 1)]
    assert (await world.reads.read(main_store(world), PATH)).code == "too_large"
    world.store.values[PATH] = [b"x" * (1024 * 1024)]
    assert isinstance(await world.reads.read(main_store(world), PATH), Stored)


async def test_sweep_frees_memory(world):
    await world.reads.read(main_store(world), PATH)
    assert world.count("tfy_secret_broker_cache_bytes") > 0
    world.clock.now += 6
    world.reads.sweep()
    assert world.count("tfy_secret_broker_cache_bytes") == 0


async def test_a_dead_store_does_not_hold_every_place(make):
    """Joined reads wait too: of 10 requests' places 5 wait for one read that hangs, and the sixth is told at once."""
    world = make(max_requests=10)
    world.store.gate = asyncio.Event()
    waiting = [asyncio.create_task(world.reads.read(main_store(world), PATH, None, f"request-{n}")) for n in range(5)]
    await settle()
    refused = await world.reads.read(main_store(world), PATH, None, "request-5")
    assert (type(refused), refused.retry_after) == (Unavailable, 1.0)
    assert refused.message == "the store 'acme/embedded/main' has as many requests waiting for it as the broker allows; try again"
    assert world.count("tfy_secret_broker_store_not_asked_total", store="main", reason="crowd") == 1
    waiting.append(asyncio.create_task(world.reads.read(main_store(world), "/mail/smtp", None, "request-0")))
    world.store.gate.set()
    assert all(isinstance(found, Stored) for found in await asyncio.gather(*waiting)), "a request that waits may wait for more"
    assert isinstance(await world.reads.read(main_store(world), PATH, None, "request-5"), Stored)


async def test_a_caller_that_leaves_gives_its_place_back(make):
    world = make(max_requests=2)
    world.store.gate = asyncio.Event()
    for n in range(3):
        task = asyncio.create_task(world.reads.read(main_store(world), PATH, None, f"request-{n}"))
        await settle()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    world.store.gate.set()
