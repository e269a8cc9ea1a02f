"""Names are looked up in a few threads that all stores share: one that hangs must not take them all."""

import asyncio
import socket
import threading

import httpcore
import pytest

from broker.stores.addresses import Reach
from broker.stores.transport import VettedBackend
from tests.generic_server import GenericServer


@pytest.fixture
async def lookups(monkeypatch):  # async: its end comes before that of the loop, which waits for its threads
    """What was looked up. `dead.example` hangs until the test's end, `localhost` is real."""
    asked, let_go, real = [], threading.Event(), socket.getaddrinfo

    def look(host, *rest, **named):
        asked.append(host)
        if host in (b"dead.example", "dead.example"):
            let_go.wait(60)
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return real(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look)
    yield asked
    let_go.set()


async def test_a_name_that_hangs_holds_one_thread(lookups):
    dead, good = VettedBackend(reach=Reach(allow_loopback=True)), VettedBackend(reach=Reach(allow_loopback=True))
    async with GenericServer() as server:
        stuck = [asyncio.create_task(dead.connect_tcp("dead.example", 443, timeout=60)) for _ in range(100)]
        while not lookups:
            await asyncio.sleep(0.001)
        stream = await good.connect_tcp("localhost", server.port, timeout=30)
        await stream.aclose()
        assert not any(task.done() for task in stuck)
        for task in stuck[1:]:  # the first one's look-up is what the next one waits for too
            task.cancel()
        with pytest.raises(httpcore.ConnectTimeout):
            await dead.connect_tcp("dead.example", 443, timeout=0.02)
        stuck[0].cancel()
        assert {type(error) for error in await asyncio.gather(*stuck, return_exceptions=True)} == {asyncio.CancelledError}
    assert [name for name in lookups if name != "127.0.0.1"].count("dead.example") + lookups.count(b"dead.example") == 1


async def test_one_who_leaves_ends_nobody_elses_lookup_and_the_next_one_is_new(lookups):
    backend = VettedBackend(reach=Reach(allow_loopback=True))
    async with GenericServer() as server:
        tasks = [asyncio.create_task(backend.connect_tcp("localhost", server.port, timeout=2)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        streams = await asyncio.gather(*tasks[1:])
        assert (await asyncio.gather(tasks[0], return_exceptions=True))[0].__class__ is asyncio.CancelledError
        before = len(lookups)
        streams.append(await backend.connect_tcp("localhost", server.port, timeout=2))
        assert len(lookups) > before
        for stream in streams:
            await stream.aclose()
    assert backend._lookups == {}
