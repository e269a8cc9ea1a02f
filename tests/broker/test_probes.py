"""Each store is asked at its own pace, soon after there is a reason to, and no store waits for another."""

import asyncio
import os

import pytest

from broker.backends import Backends
from broker.circuit import AFTER, State
from broker.errors import BrokerError, NotSent, Sealed, StoreRefused
from broker.limits import Limits
from broker.metrics import Metrics
from broker import probes
from broker.probes import LOOK_SECONDS, PROBE_SECONDS, SOON_SECONDS, Probes
from contract.resources import parse_store
from tests.broker.fake_time import FakeTime, settle
from tests.broker.scripted_store import Scripted
from tests.broker.world import store


class Watch:
    """Probes over scripted stores, in fake time whose dice show the middle."""

    def __init__(self):
        self.clock = FakeTime(lambda least, most: (least + most) / 2)
        self.clients, self.metrics, self.changes = {}, Metrics(), []
        self.backends = Backends(lambda found: self.clients.setdefault(found.name, Scripted()), Limits(), self.metrics, self.clock.timing)
        self.probes = Probes(self.backends, self.metrics, self.clock.timing)
        self.probes.on_change(lambda: self.changes.append(1))

    def follow(self, *manifests):
        self.stores = {found.name: found for found in map(parse_store, manifests)}
        self.backends.keep_only(self.stores)
        self.probes.follow(self.stores)

    def client(self, name="main"):
        return self.clients.setdefault(name, Scripted())

    def asked(self, name="main"):
        return len([call for call in self.client(name).calls if call == ("healthy",)])

    def known(self, name="main"):
        return self.probes.known(self.stores[name])

    def ready(self, name="main"):
        return self.metrics.registry.get_sample_value("tfy_secret_broker_store_ready", {"store": name})


@pytest.fixture
async def watch():
    watch = Watch()
    yield watch
    await watch.probes.close()
    await watch.backends.close()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


async def test_a_store_is_asked_at_once_and_then_at_its_pace(watch, logs):
    watch.follow(store())
    await settle()
    assert (watch.asked(), watch.known().reason, watch.ready()) == (1, "Available", 1)
    await watch.clock.pass_(PROBE_SECONDS - 1)
    assert watch.asked() == 1
    await watch.clock.pass_(2)
    assert (watch.asked(), len(watch.changes)) == (2, 1), "told once"
    assert [event["event"] for event in logs] == ["store_opened", "store_ready"]


async def test_one_that_fails_is_asked_soon_and_then_less_often(watch, logs):
    watch.client().script = [StoreRefused("no rights")] * 9
    watch.follow(store())
    asked = []
    while len(asked) < 6:
        await settle()
        if watch.asked() > len(asked):
            asked.append(round(watch.clock.now))
        await watch.clock.pass_(0.5)
    assert asked == [0, 4, 12, 28, 58, 88]
    assert (watch.known().reason, watch.ready(), len(watch.changes)) == ("StoreRefused", 0, 1)
    assert [(e["event"], e["reason"]) for e in logs if "reason" in e] == [("store_not_ready", "StoreRefused")]


async def test_a_slow_store_delays_no_other(watch):
    watch.client("slow").gate = asyncio.Event()
    watch.follow(store(name="slow", fqn="acme/embedded/slow"), store())
    await settle()
    assert (watch.known("slow"), watch.known().reason) == (None, "Available")
    await watch.clock.pass_(3 * PROBE_SECONDS)
    assert (watch.asked("slow"), watch.asked()) == (1, 4)
    watch.client("slow").gate.set()
    await settle()
    assert watch.known("slow").ready


async def test_who_looks_waits_a_moment_for_the_first_answer(watch):
    """Never longer than FIRST_SECONDS for all of them together; what is known is given at once, however old."""
    watch.client("slow").gate = asyncio.Event()
    watch.follow(store(name="slow", fqn="acme/embedded/slow"), store())
    look = asyncio.create_task(watch.probes.look(watch.stores.values()))
    await settle()
    assert not look.done() and watch.known().ready
    watch.client("slow").gate.set()
    assert {name: found.reason for name, found in (await look).items()} == {"main": "Available", "slow": "Available"}
    watch.client("slow").gate.clear()
    await watch.clock.pass_(2 * PROBE_SECONDS)
    assert watch.client("slow").running == 1, "it is being asked"
    assert set(await watch.probes.look(watch.stores.values())) == {"main", "slow"}


async def test_a_store_that_is_too_slow_is_missing(watch, monkeypatch):
    monkeypatch.setattr(probes, "FIRST_SECONDS", 0.0)
    watch.client("slow").gate = asyncio.Event()
    watch.follow(store(name="slow", fqn="acme/embedded/slow"), store())
    await settle()
    unknown = parse_store(store(name="new", fqn="acme/embedded/new"))
    assert set(await watch.probes.look([*watch.stores.values(), unknown])) == {"main"}
    watch.follow(store())
    assert set(await watch.probes.look([unknown])) == set(), "nobody follows it"


async def test_it_looks_soon_after_a_circuit_opened_and_closes_it(watch):
    watch.follow(store())
    await watch.clock.pass_(1)
    watch.client().script = [NotSent("down")] * AFTER
    reads = [
        asyncio.create_task(watch.backends.call(watch.stores["main"], lambda client, n=n: client.versions(f"/{n}"))) for n in range(AFTER)
    ]
    await asyncio.gather(*reads, return_exceptions=True)
    lane = watch.backends._backends["main"].guard.lane
    assert (lane.circuit.state, watch.asked()) == (State.OPEN, 1)
    await watch.clock.pass_(LOOK_SECONDS)
    assert (lane.circuit.state, watch.asked()) == (State.CLOSED, 2)


async def test_a_dead_stores_condition_follows_its_circuit(watch):
    watch.follow(store())
    await watch.clock.pass_(1)
    watch.client().script = [NotSent("SecretStore main: cannot be reached")] * (AFTER + 1)
    for n in range(AFTER):
        asyncio.create_task(watch.backends.call(watch.stores["main"], lambda client, n=n: client.versions(f"/{n}"))).add_done_callback(
            lambda task: task.exception()
        )
    await watch.clock.pass_(2 * LOOK_SECONDS)
    assert (watch.known().reason, watch.ready()) == ("Unavailable", 0)
    assert watch.known().message.startswith("SecretStore main: cannot be reached. Who acts: ")
    await watch.clock.pass_(SOON_SECONDS)
    assert watch.known().ready


@pytest.mark.parametrize("change", ["written", "removed", "made", "swapped"])
async def test_it_looks_soon_after_a_file_that_is_named_changed(watch, tmp_path, change):
    file = tmp_path / "token"
    if change != "made":
        file.write_text("x")
    watch.follow(store(provider={"generic": {"baseUrl": "https://x.example", "headerFiles": {"X-Key": str(file)}}}))
    await watch.clock.pass_(5)
    assert watch.asked() == 1
    if change == "removed":
        file.unlink()
    elif change == "swapped":  # as the kubelet does it, through a link
        (tmp_path / "new").write_text("y")
        os.replace(tmp_path / "new", file)
    else:
        file.write_text("changed")
    await watch.clock.pass_(LOOK_SECONDS)
    assert watch.asked() == 2
    await watch.clock.pass_(5)
    assert watch.asked() == 2


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ({"awsParameterStore": {"region": "eu-west-1"}}, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ({"awsSecretsManager": {"region": "eu-west-1"}}, "AWS_SHARED_CREDENTIALS_FILE"),
        ({"googleSecretManager": {"project": "acme-prod"}}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ({"azureKeyVault": {"vaultUrl": "https://acme.vault.azure.net"}}, "AZURE_FEDERATED_TOKEN_FILE"),
    ],
)
async def test_it_looks_soon_after_a_file_of_the_login_changed(watch, tmp_path, monkeypatch, provider, variable):
    """A cloud's login is named by the environment: when what was missing is mounted, that is seen in seconds too."""
    file = tmp_path / "token"
    monkeypatch.setenv(variable, str(file))
    watch.follow(store(provider=provider))
    await watch.clock.pass_(5)
    assert watch.asked() == 1
    file.write_text("x")
    await watch.clock.pass_(LOOK_SECONDS)
    assert watch.asked() == 2


async def test_a_changed_manifest_is_another_store(watch):
    watch.follow(store())
    await settle()
    first = watch.stores["main"]
    watch.follow(store(fqn="acme/embedded/renamed"))
    assert (watch.probes.known(first), watch.known()) == (None, None)
    await settle()
    assert (watch.asked(), watch.known().reason) == (2, "Available")
    watch.follow(store(fqn="acme/embedded/renamed"))
    await settle()
    assert watch.asked() == 2, "told the same again"
    watch.follow()
    await settle()
    assert watch.ready() is None


@pytest.mark.parametrize("error", [Sealed("sealed"), RuntimeError("CANARY")], ids=lambda error: type(error).__name__)
async def test_what_is_wrong_is_known_by_its_word(watch, error, logs):
    watch.client().script = [error]
    watch.follow(store())
    await settle()
    assert watch.known().reason == ("Sealed" if isinstance(error, BrokerError) else "Internal")
    assert "CANARY" not in watch.known().message + str(logs)
