"""A guard over a scripted client, in fake time."""

import asyncio

from broker.circuit import AFTER, State
from broker.errors import (
    BrokerError,
    Unavailable,
)
from broker.guard import Guard
from broker.limits import Limits
from broker.metrics import Metrics
from contract.resources import parse_store
from contract.values import SecretValue
from tests.broker.fake_time import FakeTime, settle
from tests.broker.world import store

FQN = "acme/embedded/main"
VALUE = SecretValue(b"v")


class Bench:
    """A guard over a scripted client, in fake time."""

    def __init__(self, client, **limits):
        self.client, self.clock, self.metrics, self.changes = client, FakeTime(), Metrics(), []
        self.guard = Guard(
            parse_store(store()),
            client,
            Limits(**limits),
            self.metrics,
            self.clock.timing,
            lambda: self.changes.append(self.guard.lane.circuit.state),
        )

    def ask(self, *paths):
        return [asyncio.create_task(outcome(self.guard.read(path))) for path in paths]

    def start(self, call):
        return asyncio.create_task(outcome(call))

    async def open_circuit(self, error=None):
        self.client.script = [error or Unavailable("down")] * AFTER
        found = await settled(*(self.start(self.guard.versions(f"/{n}")) for n in range(AFTER)))
        assert {type(one) for one in found} == {type(error or Unavailable("down"))}, "each learns what it met"
        assert self.guard.lane.circuit.state is State.OPEN
        self.client.script.clear()
        self.client.calls.clear()

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"tfy_secret_broker_{name}", {"store": "main", **labels}) or 0


async def outcome(call):
    try:
        return await call
    except BrokerError as error:
        return error


async def settled(*tasks):
    await settle()
    assert all(task.done() for task in tasks)
    return [task.result() for task in tasks]
