"""`python -m tests.bench.batch_broker serve`: the broker, whose generic stores read ten secrets in a call, as SSM's GetParameters does."""

import json
import os
import sys
from collections.abc import Sequence

from broker.cli import run
from broker.errors import BrokerError
from broker.stores import registry
from broker.stores.generic import Generic, failure
from broker.stores.registry import Provider, StoreSettings
from broker.stores.store import Asked, Stored
from contract.resources import SecretStore
from contract.values import SecretValue


class Batches(Generic):
    batch = 10

    async def read_batch(self, asked: Sequence[Asked]) -> list[Stored | BrokerError]:
        answer = await self.exchange.send("POST", "/batch", json.dumps([one.path for one in asked]).encode())
        if answer.status != 200:
            raise failure(self.exchange.place, answer)
        return [Stored(SecretValue(value.encode()), None) for value in json.loads(answer.body)]


def open_client(store: SecretStore, settings: StoreSettings) -> Batches:
    return Batches(store, reach=settings.reach)


if __name__ == "__main__":
    registry.PROVIDERS["generic"] = Provider("tests.bench.batch_broker")
    sys.exit(run(sys.argv[1:], os.environ))
