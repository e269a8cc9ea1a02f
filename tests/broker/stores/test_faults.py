"""The proxy itself: it passes what it gets, and breaks what it is told to."""

import aiohttp
import pytest

from tests.broker.stores.faults import FaultyProxy, Half
from tests.generic_server import Fault, GenericServer


async def test_requests_pass_and_faults_come_first() -> None:
    async with GenericServer() as server, FaultyProxy(server.url) as proxy, aiohttp.ClientSession(proxy.url) as client:
        await client.put("/secrets", json={"path": "/p/é +", "value": "v" * 100})
        found = await client.get("/secrets", params={"path": "/p/é +"})
        assert (await found.json()) == {"value": "v" * 100}
        proxy.faults += [Fault(status=429, headers={"Retry-After": "1"}), Half(), Fault(reset=True)]
        assert (await client.get("/secrets", params={"path": "/p"})).status == 429
        with pytest.raises(aiohttp.ClientPayloadError):
            await (await client.get("/secrets", params={"path": "/p/é +"})).read()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post("/secrets", json={"path": "/reset", "value": "v"})  # not a PUT, which aiohttp itself would send again
        assert [seen.method for seen in proxy.requests] == ["PUT", "GET", "GET", "GET", "POST"]
        assert len(server.requests) == 3
