"""The guard over real HTTP: two Generic stores behind proxies that misbehave, asked through the resolver as pods do it."""

import asyncio
import socket
import time

import pytest

from broker.audit import Audit, Origin
from broker.backends import Backends
from broker.cache import Cache
from broker.errors import Unavailable
from broker.limits import Limits
from broker.metrics import Metrics
from broker.reads import Reads
from broker.resolve import Resolver
from broker.stores.addresses import Reach
from broker.stores.registry import StoreSettings, open_store
from broker.timing import Timing
from contract.catalog import Catalog
from contract.values import SecretValue
from contract.wire import Resolved
from tests.broker.stores.faults import FaultyProxy, Half
from tests.broker.world import pod, store
from tests.generic_server import Fault, GenericServer

STILL = Timing(clock=lambda: 0.0)  # an open circuit stays open, however slow the machine is
SETTINGS = StoreSettings(reach=Reach(allow_loopback=True))


class Broker:
    """Stores by name and URL, each open to the pods of `shop`."""

    def __init__(self, folder, urls, timing=None, **limits):
        self.catalog = Catalog("acme", [self.manifest(name, url) for name, url in urls.items()])
        self.metrics = Metrics()
        self.backends = Backends(lambda found: open_store(found, SETTINGS), Limits(**limits), self.metrics, timing)
        self.reads = Reads(self.backends, Cache(0, 0, time.monotonic), self.metrics, time.monotonic)
        self.audit = Audit(folder / "audit.log", self.metrics)
        self.resolver = Resolver(self.catalog, frozenset(), self.reads, self.audit, self.metrics)

    @staticmethod
    def manifest(name, url):
        provider = {"generic": {"baseUrl": url}}
        return store(name=name, fqn=f"acme/generic/{name}", provider=provider, allow=[{"subjects": ["namespace:shop"], "paths": ["/"]}])

    async def resolve(self, *names, request="r"):
        return await self.resolver.resolve(pod(), names, Origin(request, None))

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"tfy_secret_broker_{name}", labels) or 0

    async def close(self):
        await self.reads.close()
        await self.backends.close()
        self.audit.close()


@pytest.fixture
async def good():
    async with GenericServer() as server:
        for n in range(100):
            server.values[f"/{n}"] = [("1", f"value {n}")]
        yield server


@pytest.fixture
async def brokers(tmp_path):
    made = []

    def make(urls, timing=None, **limits):
        made.append(Broker(tmp_path, urls, timing, **limits))
        return made[-1]

    yield make
    for broker in made:
        await broker.close()


@pytest.fixture
async def black_hole():
    """Takes connections and says nothing. How many it took."""
    taken = []

    async def swallow(reader, writer):
        taken.append(1)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", taken


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(503), Fault(500)],
        [Fault(429, {"Retry-After": "0"}), Fault(429)],
        [Fault(reset=True), Half()],
        [Fault(raw=b""), Fault(raw=b"nonsense\r\n\r\n")],
    ],
    ids=["5xx", "429", "reset-and-half", "closed-and-garbage"],
)
async def test_a_read_outlives_two_faults(brokers, good, faults):
    async with FaultyProxy(good.url) as proxy:
        broker = brokers({"one": proxy.url})
        proxy.faults += faults
        (answer,) = await broker.resolve("acme/generic/one::/7")
        assert answer.value.reveal() == b"value 7"
        assert len(proxy.requests) == 3


@pytest.mark.parametrize(("fault", "requests"), [(Fault(503), 1), (Fault(reset=True), 1), (Half(), 1), (Fault(429), 2)])
async def test_a_write_is_sent_again_only_if_nothing_was_done(brokers, good, fault, requests):
    async with FaultyProxy(good.url) as proxy:
        broker = brokers({"one": proxy.url})
        proxy.faults.append(fault)
        call = broker.backends.call(broker.catalog.stores["one"], lambda client: client.write("/new", SecretValue(b"v")))
        if requests == 1:
            with pytest.raises(Unavailable, match="It may have been done all the same"):
                await call
        else:
            assert await call == "1"
        assert len(proxy.requests) == requests


async def test_a_dead_store_beside_a_good_one_in_one_resolve(brokers, good):
    """The good one's answers are there, and from the second resolve on the dead one costs nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        broker = brokers({"dead": f"http://127.0.0.1:{taken.getsockname()[1]}", "good": good.url}, STILL)
        names = [f"acme/generic/{name}::/{n}" for n in range(5) for name in ("dead", "good")]
        first = await broker.resolve(*names)
        assert [isinstance(answer, Resolved) for answer in first] == [False, True] * 5
        assert {answer.code for answer in first[::2]} == {"unavailable"}
        tries = broker.count("store_calls_total", store="dead", operation="read", outcome="unavailable")
        for _ in range(5):
            again = await broker.resolve(*names)
        assert broker.count("store_calls_total", store="dead", operation="read", outcome="unavailable") == tries
        assert "the store 'acme/generic/dead' is left alone until" in again[0].message
        assert "it cannot be reached" in again[0].message
        assert [isinstance(answer, Resolved) for answer in again] == [False, True] * 5


async def test_a_store_that_hangs_does_not_slow_pods_of_another(brokers, good, black_hole):
    """In parallel: 60 pods hang on one store while 30 pods of another are answered."""
    url, taken = black_hole
    broker = brokers({"dead": url, "good": good.url}, STILL, call_seconds=10.0, try_seconds=3.0)  # room for a slow machine
    hang = [asyncio.create_task(broker.resolve(f"acme/generic/dead::/{n}", request=f"d{n}")) for n in range(60)]
    await asyncio.sleep(0.05)
    found = await asyncio.gather(*(broker.resolve(f"acme/generic/good::/{n}", request=f"g{n}") for n in range(30)))
    assert all(isinstance(answer, Resolved) for (answer,) in found)
    assert not any(task.done() for task in hang), "the good ones were served before a single try of the dead one ended"
    assert {answer.code for (answer,) in await asyncio.gather(*hang)} == {"unavailable"}
    assert len(taken) < 60
    assert broker.count("store_circuit_state", store="dead") > 0, "open, or half open on a slow machine"
    assert broker.count("store_circuit_state", store="good") == 0


async def test_it_comes_back_when_the_store_does(brokers, good):
    async with FaultyProxy(good.url) as proxy:
        broker = brokers({"one": proxy.url}, STILL)
        proxy.faults += [Fault(503)] * 5
        await broker.resolve(*(f"acme/generic/one::/{n}" for n in range(5)))
        assert broker.count("store_circuit_state", store="one") == 2
        await broker.backends.call(broker.catalog.stores["one"], lambda client: client.healthy())
        (answer,) = await broker.resolve("acme/generic/one::/1")
        assert answer.value.reveal() == b"value 1"
