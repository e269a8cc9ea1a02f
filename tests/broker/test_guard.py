"""Kind to the store, quick to its callers: what goes together, what is tried again, when a store is left alone, who is told what."""

import asyncio

import pytest

from broker.backends import Backends
from broker.circuit import AFTER, State
from broker.errors import (
    BrokerError,
    Disabled,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    NotSent,
    Sealed,
    StoreRefused,
    Throttled,
    Unavailable,
)
from broker.guard import Guard
from broker.lane import TRIES
from broker.limits import Limits
from broker.metrics import Metrics
from broker.stores.store import Stored
from contract.resources import parse_store
from contract.values import SecretValue
from tests.broker.fake_time import FakeTime, settle
from tests.broker.scripted_store import Scripted, ScriptedBatch
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
        return [asyncio.create_task(_outcome(self.guard.read(path))) for path in paths]

    def start(self, call):
        return asyncio.create_task(_outcome(call))

    async def open_circuit(self, error=None):
        self.client.script = [error or Unavailable("down")] * AFTER
        found = await settled(*(self.start(self.guard.versions(f"/{n}")) for n in range(AFTER)))
        assert {type(one) for one in found} == {type(error or Unavailable("down"))}, "each learns what it met"
        assert self.guard.lane.circuit.state is State.OPEN
        self.client.script.clear()
        self.client.calls.clear()

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"tfy_secret_broker_{name}", {"store": "main", **labels}) or 0


async def _outcome(call):
    try:
        return await call
    except BrokerError as error:
        return error


async def settled(*tasks):
    await settle()
    assert all(task.done() for task in tasks)
    return [task.result() for task in tasks]


@pytest.fixture
async def bench():
    made = []

    def make(client=None, **limits):
        made.append(Bench(client or Scripted(), **limits))
        return made[-1]

    yield make
    for one in made:
        await one.guard.close()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


# --- together ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "sizes"), [(1, [1]), (2, [2]), (10, [10]), (11, [10, 1]), (35, [10, 10, 10, 5])])
async def test_what_is_asked_in_one_moment_goes_together(bench, names, sizes):
    one = bench(ScriptedBatch())
    found = await settled(*one.ask(*(f"/{n}" for n in range(names))))
    assert one.client.sizes() == sizes
    assert [outcome.value.reveal().decode() for outcome in found] == [f"/{n}" for n in range(names)]
    assert one.clock.slept == [], "nothing waits in order to be joined"


async def test_a_store_without_batches_gets_single_reads(bench):
    one = bench(Scripted())
    await settled(*one.ask("/a", "/b", "/c"))
    assert one.client.calls == [("read", "/a", None), ("read", "/b", None), ("read", "/c", None)]


async def test_what_waited_while_the_store_was_busy_goes_together(bench):
    one = bench(ScriptedBatch(), at_once=1)
    one.client.gate = asyncio.Event()
    tasks = one.ask("/first")
    for n in range(13):
        await settle()
        tasks += one.ask(f"/{n}")
    one.client.gate.set()
    await settled(*tasks)
    assert one.client.sizes() == [1, 10, 3]


async def test_one_bad_name_hides_no_other(bench):
    one = bench(ScriptedBatch())
    one.client.bad = {"/2": NotFound("'/2' is not there"), "/4": StoreRefused("no rights to '/4'")}
    found = await settled(*one.ask(*(f"/{n}" for n in range(6))))
    assert [type(outcome) for outcome in found] == [Stored, Stored, NotFound, Stored, StoreRefused, Stored]
    assert one.client.sizes() == [6]


async def test_equal_reads_of_two_people_share_a_place(bench):
    one = bench(ScriptedBatch())
    await settled(*one.ask("/a", "/a", "/b"))
    assert one.client.calls == [("read_batch", ["/a", "/b"])]


async def test_no_batch_mixes_stores():
    clients = {"one": ScriptedBatch(), "two": ScriptedBatch()}
    stores = [parse_store(store(name=name, fqn=f"acme/embedded/{name}")) for name in clients]
    backends = Backends(lambda found: clients[found.name], Limits(), Metrics())
    await asyncio.gather(*(backends.call(stores[n % 2], lambda client, n=n: client.read(f"/{n}")) for n in range(12)))
    assert clients["one"].calls == [("read_batch", [f"/{n}" for n in range(0, 12, 2)])]
    assert clients["two"].calls == [("read_batch", [f"/{n}" for n in range(1, 12, 2)])]
    await backends.close()


async def test_so_many_calls_at_once_and_no_more(bench):
    one = bench(ScriptedBatch(), at_once=3)
    one.client.gate = asyncio.Event()
    tasks = one.ask(*(f"/{n}" for n in range(100)))
    await settle()
    assert (len(one.client.calls), one.guard.lane.waiting) == (3, 70)
    one.client.gate.set()
    await settled(*tasks)
    assert one.client.most_at_once == 3


async def test_a_full_line_is_told_at_once(bench):
    one = bench(Scripted(), at_once=1, waiting=3)
    one.client.gate = asyncio.Event()
    running = one.ask("/running")
    await settle()
    tasks = one.ask(*(f"/{n}" for n in range(5)))
    await settle()
    refused = [task.result() for task in tasks if task.done()]
    assert [(type(e), e.message, e.retry_after) for e in refused] == [
        (Unavailable, f"the store '{FQN}' has as many calls waiting as it takes; try again", 1.0)
    ] * 2
    assert one.count("store_not_asked_total", reason="waiting") == 2
    one.client.gate.set()
    assert all(isinstance(found, Stored) for found in await settled(*running, *tasks[:3]))


# --- again -------------------------------------------------------------------------------------------------------

AGAIN = [
    # what the first try meets, how many tries a read has and a write
    (Throttled("slow down"), 2, 2),
    (NotSent("no connection"), 2, 2),
    (Unavailable("lost"), 2, 1),
    (Sealed("sealed"), 1, 1),
    (NotFound("gone"), 1, 1),
    (Disabled("off"), 1, 1),
    (StoreRefused("no rights"), 1, 1),
    (Malformed("nonsense"), 1, 1),
    (Misconfigured("no file"), 1, 1),
    (InvalidRequest("bad path"), 1, 1),
]


@pytest.mark.parametrize(("error", "reads", "writes"), AGAIN, ids=[type(row[0]).__name__ for row in AGAIN])
@pytest.mark.parametrize("operation", ["read", "versions", "write", "delete"])
async def test_what_is_tried_again(bench, operation, error, reads, writes):
    one = bench()
    one.client.script = [error]
    calls = {"read": ("/a",), "versions": ("/a",), "write": ("/a", VALUE), "delete": ("/a",)}
    task = one.start(getattr(one.guard, operation)(*calls[operation]))
    await one.clock.pass_(3)
    tries = reads if operation in ("read", "versions") else writes
    assert len(one.client.calls) == tries
    (found,) = await settled(task)
    assert (type(found) is type(error)) == (tries == 1)


@pytest.mark.parametrize("operation", ["write", "delete"])
async def test_a_write_that_may_have_been_done_says_so(bench, operation):
    one = bench()
    one.client.script = [Unavailable("SecretStore main: the connection was lost", 7)]
    (found,) = await settled(one.start(getattr(one.guard, operation)(*(("/a", VALUE) if operation == "write" else ("/a",)))))
    assert found.message == (
        "SecretStore main: the connection was lost. It may have been done all the same: look at what the store has before you do it again"
    )
    assert found.retry_after == 7


@pytest.mark.parametrize("error", [NotSent("no connection"), Sealed("sealed"), Throttled("slow down", 60)], ids=lambda e: type(e).__name__)
async def test_a_write_that_was_not_done_does_not_say_so(bench, error):
    one = bench()
    one.client.script = [error] * TRIES
    task = one.start(one.guard.write("/a", VALUE))
    await one.clock.pass_(5)
    assert (await settled(task))[0].message == error.message


async def test_so_many_tries_with_growing_waits(bench):
    one = bench()
    one.client.script = [Unavailable(f"down {n}") for n in range(9)]
    task = one.ask("/a")
    await one.clock.pass_(8)
    (found,) = await settled(*task)
    assert (found.message, len(one.client.calls)) == ("down 2", TRIES)
    assert one.clock.slept == [0.2, 0.4]
    assert one.count("store_retries_total", reason="unavailable") == 2


async def test_a_batch_that_failed_is_tried_again_as_one(bench):
    """Jitter for each secret would make one refused call into ten."""
    one = bench(ScriptedBatch())
    one.client.script = [Unavailable("down"), Throttled("slow down")]
    tasks = one.ask(*(f"/{n}" for n in range(10)))
    await one.clock.pass_(2)
    assert all(isinstance(found, Stored) for found in await settled(*tasks))
    assert one.client.sizes() == [10, 10, 10]


async def test_what_failed_in_a_good_batch_is_tried_again_alone(bench):
    one = bench(ScriptedBatch())
    one.client.bad = {"/1": Throttled("slow down"), "/2": Unavailable("down"), "/3": NotFound("gone")}
    tasks = one.ask(*(f"/{n}" for n in range(5)))
    await settle()
    one.client.bad.clear()
    await one.clock.pass_(2)
    assert [type(found) for found in await settled(*tasks)] == [Stored, Stored, Stored, NotFound, Stored]
    assert [sorted(call[1]) for call in one.client.calls[1:]] == [["/1", "/2"]]


@pytest.mark.parametrize("error", [Throttled("m", 3), Unavailable("m", 3), NotSent("m", 3)], ids=lambda error: type(error).__name__)
async def test_retry_after_is_waited_for(bench, error):
    one = bench()
    one.client.script = [error]
    (task,) = one.ask("/a")
    await one.clock.pass_(2.9)
    assert len(one.client.calls) == 1
    await one.clock.pass_(0.6)
    assert isinstance(task.result(), Stored)


@pytest.mark.parametrize("error", [Throttled("m", 60), Unavailable("m", 60)], ids=lambda error: type(error).__name__)
async def test_a_retry_after_past_the_time_is_told_at_once(bench, error):
    one = bench()
    one.client.script = [error]
    (found,) = await settled(*one.ask("/a"))
    assert (type(found), found.retry_after) == (type(error), 60)
    assert one.client.sizes() == [1]


async def test_a_store_that_wants_a_long_rest_has_it(bench):
    """Nobody else asks meanwhile, and each caller learns at once for how long."""
    one = bench()
    one.client.script = [Throttled("m", 30)]
    await settled(*one.ask("/a"))
    await one.clock.pass_(10)
    (found,) = await settled(*one.ask("/b"))
    assert (type(found), found.message) == (
        Throttled,
        f"the store '{FQN}' asks for fewer calls; it is left alone until 03:00:30Z",
    )
    assert found.retry_after == pytest.approx(20.4)
    assert one.count("store_not_asked_total", reason="throttled") == 1
    await one.clock.pass_(15)
    (task,) = one.ask("/c")
    await one.clock.pass_(5.3)
    assert not task.done()
    await one.clock.pass_(0.2)
    assert isinstance(task.result(), Stored)


async def test_all_wait_when_one_is_throttled(bench):
    """A store that refuses one call refuses 32: one refused call each pause, and not one for all that wait."""
    one = bench(at_once=1)
    one.client.script = [Throttled("m"), Throttled("m")]
    tasks = one.ask(*(f"/{n}" for n in range(20)))
    await settle()
    assert len(one.client.calls) == 1
    await one.clock.pass_(0.4)
    assert len(one.client.calls) == 2
    await one.clock.pass_(0.8)
    assert len(one.client.calls) == 22
    await settled(*tasks)


class Bucket(Scripted):
    """So many calls a second, as a token bucket of a second's calls; each call takes its time."""

    def __init__(self, clock, rate):
        super().__init__()
        self._clock, self._rate, self._tokens, self._at = clock, rate, float(rate), 0.0

    async def read(self, path, version=None):
        now = self._clock.now
        self._tokens, self._at = min(self._rate, self._tokens + (now - self._at) * self._rate), now
        self.calls.append(path)
        await self._clock.sleep(0.002)
        if self._tokens < 1:
            raise Throttled("slow down")
        self._tokens -= 1
        return self._found(path, version)


async def test_a_store_of_forty_a_second_is_not_hammered(bench):
    """300 reads at once: it gives what it has, and not one call in four is refused, the first burst of 32 included."""
    one = bench(at_once=32)
    one.client = one.guard._client = one.guard._tries._client = Bucket(one.clock, 40)
    tasks = one.ask(*(f"/{n}" for n in range(300)))
    for _ in range(200):
        await one.clock.pass_(0.04)
        if all(task.done() for task in tasks):
            break
    found = [task.result() for task in tasks if task.done()]
    assert len(found) == 300
    assert sum(isinstance(outcome, Stored) for outcome in found) == 300
    assert one.clock.now < 1.25 * (300 - 40) / 40
    assert len(one.client.calls) < 1.25 * 300
    assert one.guard.lane.slots.limit < 32


# --- left alone --------------------------------------------------------------------------------------------------


async def test_a_dead_store_is_left_alone_and_callers_are_told_at_once(bench):
    one = bench()
    await one.open_circuit(NotSent("cannot be reached"))
    (found,) = await settled(*one.ask("/other"))
    assert found.message == (
        f"the store '{FQN}' is left alone until 03:00:02Z: its last calls failed (it cannot be reached). "
        "Its SecretStore's status tells more"
    )
    assert found.retry_after == 2.0
    assert (one.client.calls, one.changes) == ([], [State.OPEN])
    assert one.count("store_not_asked_total", reason="circuit") == 1, "those who were there learnt what they met"
    assert one.count("store_circuit_openings_total") == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Sealed("'/tfy-secret/acme/hidden/KEY': sealed"), "it is sealed"),
        (Unavailable("'/tfy-secret/acme/hidden/KEY': fails"), "it did not answer, or answered that it fails"),
    ],
)
async def test_the_reason_tells_no_one_elses_path(bench, error, reason):
    one = bench()
    await one.open_circuit(error)
    (found,) = await settled(*one.ask("/mine"))
    assert f"({reason})" in found.message
    assert "hidden" not in found.message


async def test_those_in_the_line_are_told_when_it_opens(bench):
    """And those between two tries: all of them at once, and not after their time."""
    one = bench(at_once=AFTER)
    one.client.gate = asyncio.Event()
    one.client.script = [Unavailable("down")] * 100
    tasks = one.ask(*(f"/{n}" for n in range(50)))
    await settle()
    assert len(one.client.calls) == AFTER
    one.client.gate.set()
    found = await settled(*tasks)
    assert len(one.client.calls) < 2 * AFTER
    assert sum(outcome.message == "down" for outcome in found) == len(one.client.calls), "those who were there when it failed"
    assert sum("is left alone until" in outcome.message for outcome in found) == 50 - len(one.client.calls)
    assert one.guard.lane.waiting == 0


@pytest.mark.parametrize(
    "error",
    [Throttled("m"), NotFound("m"), StoreRefused("m"), Misconfigured("m"), InvalidRequest("m")],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_no_outage_opens_nothing(bench, error):
    one = bench()
    one.client.script = [error] * (3 * AFTER)
    for n in range(3 * AFTER):
        task = one.start(one.guard.write(f"/{n}", VALUE))
        await one.clock.pass_(10)
        await settled(task)
    assert one.changes == []


async def test_one_trial_and_the_others_are_told(bench):
    one = bench(ScriptedBatch())
    await one.open_circuit()
    await one.clock.pass_(2)
    one.client.gate = asyncio.Event()
    tasks = one.ask(*(f"/{n}" for n in range(12)))
    await settle()
    assert one.client.sizes() == [10], "what goes together is one trial"
    (late,) = await settled(*one.ask("/late"))
    assert "is left alone while one call tries it" in late.message
    one.client.gate.set()
    found = await settled(*tasks)
    assert [isinstance(outcome, Stored) for outcome in found] == [True] * 10 + [False] * 2
    assert one.changes == [State.OPEN, State.CLOSED]


async def test_a_trial_that_fails_is_one_call(bench):
    one = bench()
    await one.open_circuit()
    await one.clock.pass_(2)
    one.client.script = [Unavailable("still down")]
    (found,) = await settled(*one.ask("/a"))
    assert (found.message, len(one.client.calls)) == ("still down", 1)
    assert one.guard.lane.circuit.left_alone() == 4.0


async def test_the_probe_closes_it(bench):
    one = bench()
    await one.open_circuit()
    one.client.script = [Unavailable("still down")]
    await settled(one.start(one.guard.healthy()))
    assert one.changes == [State.OPEN], "a probe that fails changes nothing"
    await settled(one.start(one.guard.healthy()))
    assert one.changes == [State.OPEN, State.CLOSED]
    (found,) = await settled(*one.ask("/a"))
    assert isinstance(found, Stored)


async def test_a_probe_that_is_refused_shows_that_the_store_answers(bench):
    one = bench()
    await one.open_circuit()
    one.client.script = [StoreRefused("no rights")]
    (found,) = await settled(one.start(one.guard.healthy()))
    assert (type(found), one.guard.lane.circuit.state) == (StoreRefused, State.CLOSED)


async def test_failing_probes_alone_open_nothing(bench):
    """Reads may work where health does not answer: a probe must not take them away."""
    one = bench()
    one.client.script = [Unavailable("down")] * 20
    for _ in range(20):
        await settled(one.start(one.guard.healthy()))
    assert one.changes == []


async def test_a_probe_does_not_wait_in_the_line(bench):
    one = bench(at_once=1)
    one.client.gate = asyncio.Event()
    one.ask("/a", "/b")
    await settle()
    probe = one.start(one.guard.healthy())
    await settle()
    assert one.client.calls[-1] == ("healthy",)
    one.client.gate.set()
    await settled(probe)


async def test_another_store_is_not_slowed():
    """A dead store that holds every call, and a good one in the same broker."""
    dead, good = Scripted(), Scripted()
    dead.gate = asyncio.Event()
    stores = [parse_store(store(name=name, fqn=f"acme/embedded/{name}")) for name in ("dead", "good")]
    backends = Backends(lambda found: dead if found.name == "dead" else good, Limits(call_seconds=4.0, try_seconds=2.0), Metrics())
    stuck = [asyncio.create_task(_outcome(backends.call(stores[0], lambda client, n=n: client.read(f"/{n}")))) for n in range(200)]
    await settle()
    for n in range(50):
        assert isinstance(await backends.call(stores[1], lambda client, n=n: client.read(f"/{n}")), Stored)
    assert not any(task.done() for task in stuck)
    async with asyncio.timeout(5):
        found = await asyncio.gather(*stuck)
    assert all(isinstance(outcome, Unavailable) for outcome in found)
    assert len(dead.calls) < 50
    await backends.close()


# --- who goes, what ends -----------------------------------------------------------------------------------------


async def test_one_who_leaves_takes_nobody_along(bench):
    one = bench(ScriptedBatch(), at_once=1)
    one.client.gate = asyncio.Event()
    tasks = one.ask("/0", "/1", "/2")
    await settle()
    tasks += one.ask("/3", "/4")
    await settle()
    assert one.guard.lane.waiting == 2
    for task in (tasks[1], tasks[3]):
        task.cancel()
    await settle()
    assert one.guard.lane.waiting == 1, "a place in the line for someone else"
    one.client.gate.set()
    await settle()
    assert [task.cancelled() for task in tasks] == [False, True, False, True, False]
    assert [isinstance(task.result(), Stored) for task in (tasks[0], tasks[2], tasks[4])] == [True] * 3
    assert one.client.calls == [("read_batch", ["/0", "/1", "/2"]), ("read", "/4", None)], "whoever left before is not read for"


async def test_nothing_is_sent_for_one_who_left_between_two_tries(bench):
    one = bench()
    one.client.script = [Unavailable("down")]
    (task,) = one.ask("/a")
    await settle()
    assert one.guard.lane.waiting == 1
    task.cancel()
    await settle()
    assert one.guard.lane.waiting == 0
    await one.clock.pass_(3)
    assert len(one.client.calls) == 1


async def test_closing_ends_what_is_left(bench):
    one = bench(at_once=1)
    one.client.gate = asyncio.Event()
    tasks = one.ask("/running", "/waiting")
    await settle()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert one.client.running == 1
    await one.guard.close()
    assert (one.client.running, one.client.closed) == (0, 1)


@pytest.mark.parametrize(
    ("operation", "sent", "message"),
    [
        ("read", True, "did not answer within 0.03 seconds"),
        ("write", True, "did not answer within 0.03 seconds. It may have been done all the same: "),
        ("read", False, "had no room for this call within 0.03 seconds, and nothing was done; try again"),
        ("write", False, "had no room for this call within 0.03 seconds, and nothing was done; try again"),
    ],
)
async def test_who_is_too_late_learns_whether_it_was_sent(bench, operation, sent, message):
    one = bench(at_once=1, call_seconds=0.03)
    one.client.gate = asyncio.Event()
    first = one.ask("/first") if not sent else []
    await settle()
    found = await _outcome(one.guard.read("/a") if operation == "read" else one.guard.write("/a", VALUE))
    assert found.message.startswith(f"the store '{FQN}' {message}")
    await asyncio.gather(*first)


async def test_who_is_too_late_between_two_tries_learns_that_nothing_was_done(bench):
    one = bench(call_seconds=0.45)  # the store's rest of 0.4 s fits, and never ends here
    one.client.script = [Throttled("slow down")]
    found = await _outcome(one.guard.write("/a", VALUE))
    assert "and nothing was done" in found.message
    assert len(one.client.calls) == 1


async def test_a_try_has_its_time_and_the_next_one_follows(bench):
    """A connection that hangs costs one try, not the call."""
    one = bench(try_seconds=0.02, call_seconds=5)
    one.client.gate = asyncio.Event()
    (task,) = one.ask("/a")
    async with asyncio.timeout(2):
        while not one.clock.slept:
            await asyncio.sleep(0.005)
    one.client.gate.set()
    await one.clock.pass_(1)
    assert isinstance(task.result(), Stored)
    assert len(one.client.calls) == 2


# --- surprises ---------------------------------------------------------------------------------------------------


async def test_a_crash_is_an_error_without_its_message(bench, logs):
    one = bench(ScriptedBatch())
    one.client.script = [RuntimeError("CANARY")]
    found = await settled(*one.ask("/a", "/b"))
    assert [(type(error), error.message) for error in found] == [
        (BrokerError, f"the store '{FQN}' could not be used; the broker's log says where it failed")
    ] * 2
    assert all(error.__context__ is None and error.__cause__ is None for error in found)
    assert [event["event"] for event in logs] == ["store_crashed"]
    assert "CANARY" not in str(logs)


async def test_a_librarys_own_cancellation_is_a_crash_and_leaves_no_one_waiting(bench, logs):
    one = bench()
    await one.open_circuit()
    await one.clock.pass_(2)
    one.client.script = [asyncio.CancelledError("CANARY")]
    (found,) = await settled(*one.ask("/a"))
    assert type(found) is BrokerError
    assert "CANARY" not in str(logs)
    (found,) = await settled(*one.ask("/a"))
    assert isinstance(found, Stored), "the next one may be the trial"


async def test_a_clients_error_goes_on_without_what_it_came_from(bench):
    one = bench()
    error = Unavailable("down")
    error.__cause__ = error.__context__ = RuntimeError("CANARY")
    one.client.script = [error] * TRIES
    task = one.ask("/a")
    await one.clock.pass_(5)
    (found,) = await settled(*task)
    assert (found.__cause__, found.__context__) == (None, None)


async def test_a_batch_with_too_few_outcomes_gives_nothing(bench, logs):
    """Better no value than another name's."""
    one = bench(ScriptedBatch())

    async def short(asked):
        return [one.client._found(*name) for name in asked][1:]

    one.client.read_batch = short
    found = await settled(*one.ask("/a", "/b"))
    assert {type(outcome) for outcome in found} == {BrokerError}


# --- counted -----------------------------------------------------------------------------------------------------


async def test_calls_are_counted(bench):
    one = bench(ScriptedBatch())
    one.client.script = [Throttled("m"), None, None]
    tasks = one.ask(*(f"/{n}" for n in range(12)))
    await one.clock.pass_(2)
    await settled(*tasks, one.start(one.guard.write("/a", VALUE)), one.start(one.guard.healthy()))
    assert one.count("store_calls_total", operation="read_batch", outcome="throttled") == 1
    assert one.count("store_calls_total", operation="read_batch", outcome="ok") == 2
    assert one.count("store_calls_total", operation="write", outcome="ok") == 1
    assert one.count("store_calls_total", operation="healthy", outcome="ok") == 1
    assert one.count("store_retries_total", reason="throttled") == 10
    assert one.count("store_batch_size_sum") == 22
    assert one.count("store_call_seconds_count", operation="read_batch") == 3


async def test_gauges_follow_a_store_and_go_with_it():
    client, metrics = Scripted(), Metrics()
    client.gate = asyncio.Event()
    found = parse_store(store())
    backends = Backends(lambda _: client, Limits(at_once=2), metrics)

    def gauge(name):
        return metrics.registry.get_sample_value(f"tfy_secret_broker_store_{name}", {"store": "main"})

    tasks = [asyncio.create_task(backends.call(found, lambda client, n=n: client.read(f"/{n}"))) for n in range(5)]
    await settle()
    assert (gauge("waiting"), gauge("slots"), gauge("circuit_state")) == (3, 2, 0)
    client.gate.set()
    await asyncio.gather(*tasks)
    backends.keep_only({})
    assert gauge("waiting") is None
    await backends.close()
