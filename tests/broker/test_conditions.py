"""`Ready` says what the broker knows, once, and leaves other conditions alone."""

from datetime import UTC, datetime

import pytest

from broker.conditions import Conditions, merged
from broker.errors import StoreRefused
from broker.probes import Probes
from broker.readiness import Condition
from tests.broker.api_server import ApiServer
from tests.broker.fake_time import FakeTime, settle
from tests.broker.world import group, manifests, store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def api(world):
    async with ApiServer() as server:
        for manifest in manifests():
            server.put(manifest)
        yield server


@pytest.fixture
async def probes(world):
    probes = Probes(world.backends, world.metrics, FakeTime().timing)
    yield probes
    await probes.close()


class Round:
    """Conditions whose stores are asked first: what `serve` does with the catalog's changes."""

    def __init__(self, conditions, probes, catalog):
        self.conditions, self._probes, self._catalog = conditions, probes, catalog

    async def __call__(self):
        self._probes.follow(self._catalog.stores)
        await settle()
        await self.conditions.round()


@pytest.fixture
def conditions(api, world, probes):
    return Conditions(api.kube, world.catalog, probes, lambda: NOW)


@pytest.fixture
def a_round(conditions, probes, world):
    return Round(conditions, probes, world.catalog)


async def test_everything_gets_its_condition_once(conditions, a_round, api):
    await a_round()
    assert api.condition("secretstores", "main") == {
        "type": "Ready",
        "status": "True",
        "reason": "Available",
        "message": "the store answers",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    assert api.condition("secretgroups", "payments")["status"] == "True"
    lost = api.condition("secretgroups", "lost")
    assert (lost["status"], lost["reason"], lost["message"]) == (
        "False",
        "StoreMissing",
        "SecretStore 'gone' does not exist or cannot be used",
    )
    assert len(api.patches) == 4
    await a_round()
    assert len(api.patches) == 4


async def test_a_store_that_fails_its_probe(conditions, a_round, api, world):
    world.store.error = StoreRefused("the store refuses the broker's token")
    await a_round()
    found = api.condition("secretstores", "main")
    assert (found["status"], found["reason"]) == ("False", "StoreRefused")
    assert found["message"] == "the store refuses the broker's token. Who acts: whoever gives the broker its rights in the store"
    assert world.store.reads == 0


async def test_a_crash_is_told_without_its_message(conditions, a_round, api, world):
    world.store.error = RuntimeError("CANARY")
    await a_round()
    assert api.condition("secretstores", "main")["reason"] == "Internal"
    assert "CANARY" not in str(api.patches)


async def test_an_invalid_object(conditions, a_round, api, world):
    broken = store(name="broken", provider={"embedded": {}, "generic": {}})
    world.catalog.put(broken)
    api.put(broken)
    await a_round()
    found = api.condition("secretstores", "broken")
    assert (found["status"], found["reason"]) == ("False", "Invalid")
    assert "spec.provider: found embedded, generic; allowed: exactly one of" in found["message"]


async def test_a_store_that_was_not_asked_yet_has_no_condition(conditions, api):
    await conditions.round()
    assert "status" not in api.objects["secretstores"]["main"]
    assert api.condition("secretgroups", "payments")["status"] == "True"


async def test_a_conflict_is_no_loss(conditions, a_round, api):
    """Another replica wrote between our read and our write: nothing is overwritten, and we look again."""
    listed = conditions._listed

    async def stale(kind):
        found = await listed(kind)
        for item in found:
            item["metadata"]["resourceVersion"] = "0"
        return found

    conditions._listed = stale
    await a_round()
    assert (api.patches, api.conflicts > 0) == ([], True)
    assert conditions._changed.is_set()


async def test_it_follows_changes(conditions, probes, api, world, monkeypatch):
    """Started, it writes at once, and again when catalog or probes tell of a change."""
    import asyncio

    monkeypatch.setattr("broker.conditions.SETTLE_SECONDS", 0)
    probes.on_change(conditions.touch)
    conditions.start()
    probes.follow(world.catalog.stores)
    async with asyncio.timeout(5):
        while len(api.patches) < 4:
            await asyncio.sleep(0.005)
        world.catalog.put(group("lost", ["KEY"], of="main"))
        conditions.touch()
        while api.condition("secretgroups", "lost")["status"] != "True":
            await asyncio.sleep(0.005)
    await conditions.close()


OLD = {
    "type": "Ready",
    "status": "True",
    "reason": "Available",
    "message": "m",
    "observedGeneration": 3,
    "lastTransitionTime": "2025-01-01T00:00:00Z",
}
OTHER = {"type": "Other", "status": "False"}


def test_nothing_new_is_not_written():
    assert merged([OTHER, OLD], Condition(True, "Available", "m"), 3, NOW) is None


def test_the_transition_time_moves_with_the_status_alone():
    kept = merged([OTHER, OLD], Condition(True, "Available", "m"), 4, NOW)
    assert kept == [OTHER, OLD | {"observedGeneration": 4}]
    moved = merged([OLD], Condition(False, "Unavailable", "down"), 3, NOW)
    assert (moved[0]["status"], moved[0]["lastTransitionTime"]) == ("False", "2026-01-02T03:04:05Z")


def test_messages_are_bounded():
    assert len(merged([], Condition(False, "Invalid", "x" * 5000), 1, NOW)[0]["message"]) == 1024
