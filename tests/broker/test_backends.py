"""Clients are opened when needed, reopened when a manifest changes, closed when it goes, never under a running call."""

import asyncio
import threading

import pytest

from broker.backends import Backends
from broker.errors import Misconfigured
from broker.limits import Limits
from broker.metrics import Metrics
from contract.resources import SecretStore, parse_store
from tests.broker.memory_store import MemoryStore
from tests.broker.world import PATH, store


async def test_a_client_is_opened_once_and_reopened_on_change(world):
    first = world.catalog.stores["main"]
    for _ in range(3):
        await world.backends.call(first, lambda client: client.versions(PATH))
    assert world.opened == [first]
    second = parse_store(store(fqn="acme/embedded/other"))
    await world.backends.call(second, lambda client: client.versions(PATH))
    await asyncio.sleep(0.01)
    assert (len(world.opened), world.store.closed) == (2, 1)


async def test_a_store_that_goes_is_closed_after_its_last_call():
    memory = MemoryStore()
    memory.values["/a"], memory.gate = [b"x"], asyncio.Event()
    backends = Backends(lambda _: memory, Limits(), Metrics())
    found = parse_store(store())
    call = asyncio.create_task(backends.call(found, lambda client: client.read("/a")))
    await asyncio.sleep(0.01)
    backends.keep_only({})
    await asyncio.sleep(0.01)
    assert memory.closed == 0
    memory.gate.set()
    assert (await call).version == "1"
    await backends.close()
    assert memory.closed == 1


async def test_a_store_that_cannot_be_opened_is_tried_again():
    outcomes = [Misconfigured("no such file"), MemoryStore()]

    def open_client(_):
        found = outcomes.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    backends = Backends(open_client, Limits(), Metrics())
    with pytest.raises(Misconfigured, match="no such file"):
        await backends.call(parse_store(store()), lambda client: client.healthy())
    await backends.call(parse_store(store()), lambda client: client.healthy())
    await backends.close()


async def test_a_providers_library_is_loaded_in_a_thread_once_and_others_are_served_meanwhile() -> None:
    memory, loaded, go = MemoryStore(), [], threading.Event()

    def named(provider):
        found = parse_store(store(name=provider, fqn=f"acme/{provider}/main"))
        return SecretStore(found.name, found.fqn, provider, {})

    def load(provider: str) -> None:
        loaded.append((provider, threading.current_thread() is threading.main_thread()))
        assert provider == "embedded" or go.wait(5)

    backends = Backends(lambda _: memory, Limits(), Metrics(), load=load)
    slow = [asyncio.create_task(backends.call(named("vault"), lambda client: client.healthy())) for _ in range(3)]
    await backends.call(named("embedded"), lambda client: client.healthy())
    assert not any(task.done() for task in slow)
    slow[0].cancel()
    go.set()
    await asyncio.gather(*slow[1:])
    await backends.call(named("vault"), lambda client: client.healthy())
    assert sorted(loaded) == [("embedded", False), ("vault", False)]
    await backends.close()
