"""`Ready` says what the broker knows, once, and leaves other conditions alone."""

from datetime import UTC, datetime

import pytest

from broker.conditions import Condition, Conditions, merged
from broker.errors import StoreRefused
from tests.broker.api_server import ApiServer
from tests.broker.world import group, manifests, store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def api(world):
    async with ApiServer() as server:
        for manifest in manifests():
            server.put(manifest)
        yield server


@pytest.fixture
def conditions(api, world):
    return Conditions(api.kube, world.catalog, world.backends, lambda: NOW)


async def test_everything_gets_its_condition_once(conditions, api):
    await conditions.round()
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
    await conditions.round()
    assert len(api.patches) == 4


async def test_a_store_that_fails_its_probe(conditions, api, world):
    world.store.error = StoreRefused("the store refuses the broker's token")
    await conditions.round()
    found = api.condition("secretstores", "main")
    assert (found["status"], found["reason"], found["message"]) == ("False", "StoreRefused", "the store refuses the broker's token")
    assert world.store.reads == 0


async def test_a_crash_is_told_without_its_message(conditions, api, world):
    world.store.error = RuntimeError("CANARY")
    await conditions.round()
    assert api.condition("secretstores", "main")["reason"] == "Internal"
    assert "CANARY" not in str(api.patches)


async def test_an_invalid_object(conditions, api, world):
    broken = store(name="broken", provider={"embedded": {}, "generic": {}})
    world.catalog.put(broken)
    api.put(broken)
    await conditions.round()
    found = api.condition("secretstores", "broken")
    assert (found["status"], found["reason"]) == ("False", "Invalid")
    assert "spec.provider: found embedded, generic; allowed: exactly one of" in found["message"]


async def test_a_store_is_probed_when_it_changes_and_not_at_every_change(conditions, api, world, monkeypatch):
    probes = []

    async def healthy():
        probes.append(1)

    monkeypatch.setattr(world.store, "healthy", healthy)
    await conditions.round()
    world.catalog.put(group("more", ["A"]))
    await conditions.round()
    assert len(probes) == 1
    world.catalog.put(store(fqn="acme/embedded/renamed"))
    await conditions.round()
    assert len(probes) == 2


async def test_a_conflict_is_no_loss(conditions, api):
    """Another replica wrote between our read and our write: nothing is overwritten, and we look again."""
    listed = conditions._listed

    async def stale(kind):
        found = await listed(kind)
        for item in found:
            item["metadata"]["resourceVersion"] = "0"
        return found

    conditions._listed = stale
    await conditions.round()
    assert (api.patches, api.conflicts > 0) == ([], True)
    assert conditions._changed.is_set()


async def test_it_follows_changes(conditions, api, world, monkeypatch):
    """Started, it writes at once, and again when the catalog tells of a change."""
    import asyncio

    monkeypatch.setattr("broker.conditions.SETTLE_SECONDS", 0)
    conditions.start()
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
