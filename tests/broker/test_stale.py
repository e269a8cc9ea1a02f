"""Stale if error: off by default; after Unavailable or Throttled alone; never after the store said something else, nor after a write."""

import asyncio

import pytest

from broker.errors import BrokerError, Malformed, Misconfigured, NotFound, Sealed, StoreFailed, StoreRefused, Throttled, Unavailable
from broker.reads import Stale
from contract.values import SecretValue
from tests.broker.world import FQN, ORIGIN, PATH, person, pod

# What is tried only once, so that no test waits.
AWAY = [Sealed("sealed"), Throttled("slow down", 60), Unavailable("down", 60)]


@pytest.fixture
def stale(make):
    return make(stale=60.0)


async def read(world):
    return await world.reads.read(world.catalog.stores["main"], PATH)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_a_store_that_does_not_answer(stale, error):
    before = await read(stale)
    stale.clock.now += 30
    stale.store.error = error
    found = await read(stale)
    assert (type(found), found.value, found.version) == (Stale, before.value, "2")
    assert stale.count("tfy_secret_broker_store_stale_total", store="main") == 1
    stale.clock.now += 30
    assert type(await read(stale)) is type(error), "it is older than that now"


async def test_it_is_off_unless_asked_for(make):
    world = make()
    await read(world)
    world.clock.now += 5.1
    world.store.error = Sealed("sealed")
    assert await read(world) is world.store.error


@pytest.mark.parametrize(
    "said",
    [NotFound("gone"), StoreRefused("no rights"), Malformed("nonsense"), Misconfigured("no file"), BrokerError("?"), RuntimeError("?")],
    ids=lambda error: type(error).__name__,
)
async def test_after_the_store_said_something_else_it_is_gone(stale, said):
    await read(stale)
    stale.clock.now += 6
    stale.store.error = said
    assert isinstance(await read(stale), BrokerError)
    stale.store.error = Sealed("sealed")
    assert await read(stale) is stale.store.error


async def test_after_a_write_or_delete_it_is_gone(stale):
    """Also when the write failed: it may have been done."""
    for act in (
        lambda: stale.people.write(person("editor"), FQN, SecretValue(b"new"), ORIGIN),
        lambda: stale.people.delete(person("editor"), FQN, None, ORIGIN),
    ):
        stale.store.error = None
        stale.store.values[PATH] = [b"v"]
        stale.reads.forget(stale.catalog.stores["main"])
        assert not isinstance(await read(stale), BrokerError)
        stale.store.error = Sealed("sealed") if "delete" not in act.__code__.co_names else None
        try:
            await act()
        except StoreFailed:
            pass
        stale.store.error = Sealed("sealed")
        stale.clock.now += 6
        assert await read(stale) is stale.store.error


async def test_a_read_that_a_write_overtook_gets_nothing_old(stale):
    await read(stale)
    stale.clock.now += 6
    stale.store.gate, stale.store.error = asyncio.Event(), Sealed("sealed")
    task = asyncio.create_task(read(stale))
    for _ in range(10):
        await asyncio.sleep(0)
    stale.reads.forget(stale.catalog.stores["main"], PATH)
    stale.store.gate.set()
    assert await task is stale.store.error


async def test_access_is_decided_as_always_and_the_audit_says_stale(stale):
    await stale.codes(pod(), FQN)
    stale.clock.now += 30
    stale.store.error = Sealed("sealed")
    assert await stale.codes(pod(), FQN) == ["ok"]
    assert await stale.codes(pod(service_account="other"), FQN) == ["denied"]
    fresh, old, denied = stale.lines()
    assert ("stale" in fresh, old["stale"], "stale" in denied) == (False, True, False)
    assert (old["code"], old["version"], denied["decision"]) == ("ok", "2", "deny")


async def test_a_field_of_an_old_value_is_marked_too(stale):
    name = "tfy-secret://acme:payments:JSON"
    await stale.codes(pod(), name)
    stale.clock.now += 30
    stale.store.error = Sealed("sealed")
    assert await stale.codes(pod(), name + "#user", name + "#nothing") == ["ok", "field_not_found"]
    assert [line.get("stale") for line in stale.lines()] == [None, True, True]


async def test_people_are_never_shown_an_old_value(stale):
    await read(stale)
    stale.store.error = Sealed("sealed")
    with pytest.raises(StoreFailed):
        await stale.people.value(person("admin"), FQN, ORIGIN)


async def test_it_ends_when_the_store_is_back(stale):
    await read(stale)
    stale.clock.now += 6
    stale.store.error = Sealed("sealed")
    assert type(await read(stale)) is Stale
    stale.store.error = None
    stale.store.values[PATH].append(b"newer")
    assert (await read(stale)).version == "3"
