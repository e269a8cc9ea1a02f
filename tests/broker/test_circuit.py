"""The circuit opens after failures in a row, lets one trial through, and closes with any answer; a state machine plays all of it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker.circuit import AFTER, FIRST_SECONDS, LONGEST_SECONDS, Circuit, State
from tests.broker.fake_time import FakeTime


@pytest.fixture
def clock():
    return FakeTime()


@pytest.fixture
def changes():
    return []


@pytest.fixture
def circuit(clock, changes):
    circuit = Circuit(clock.timing, lambda: changes.append(circuit.state))
    return circuit


def fail(circuit, times=1):
    for _ in range(times):
        circuit.failed(circuit.begin())


def test_it_opens_after_failures_in_a_row(circuit, changes):
    fail(circuit, AFTER - 1)
    circuit.answered(circuit.begin())
    fail(circuit, AFTER - 1)
    assert (circuit.state, circuit.left_alone(), changes) == (State.CLOSED, None, [])
    fail(circuit)
    assert (circuit.state, circuit.left_alone(), changes) == (State.OPEN, FIRST_SECONDS, [State.OPEN])
    assert circuit.begin() is None


def test_one_trial_decides(circuit, clock, changes):
    fail(circuit, AFTER)
    clock.now += FIRST_SECONDS
    assert (circuit.state, circuit.left_alone()) == (State.HALF_OPEN, None)
    trial = circuit.begin()
    assert (circuit.begin(), circuit.left_alone()) == (None, 0.0), "the others wait for the trial"
    circuit.answered(trial)
    assert (circuit.state, changes) == (State.CLOSED, [State.OPEN, State.CLOSED])


def test_each_opening_in_a_row_is_longer_up_to_a_bound(circuit, clock):
    fail(circuit, AFTER)
    opened = []
    for _ in range(7):
        opened.append(circuit.left_alone())
        clock.now += opened[-1]
        fail(circuit)
    assert opened == [2, 4, 8, 16, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]
    clock.now += LONGEST_SECONDS
    circuit.answered(circuit.begin())
    fail(circuit, AFTER)
    assert circuit.left_alone() == FIRST_SECONDS, "an answer ends the row"


@pytest.mark.parametrize(("asked", "seconds"), [(0.5, FIRST_SECONDS), (7.0, 7.0), (3600.0, LONGEST_SECONDS)])
def test_what_the_store_asks_for_is_kept_up_to_the_bound(circuit, asked, seconds):
    for _ in range(AFTER):
        circuit.failed(circuit.begin(), asked)
    assert circuit.left_alone() == seconds


def test_replicas_do_not_come_back_together(clock):
    least = Circuit(FakeTime(lambda least, _most: least).timing)
    fail(least, AFTER)
    assert least.left_alone() == FIRST_SECONDS / 2


def test_a_trial_that_tells_nothing_leaves_the_next_one(circuit, clock):
    fail(circuit, AFTER)
    clock.now += FIRST_SECONDS
    circuit.undecided(circuit.begin())
    assert circuit.state is State.HALF_OPEN
    fail(circuit)
    assert circuit.left_alone() == 2 * FIRST_SECONDS


def test_what_began_before_does_not_count(circuit, clock):
    old = [circuit.begin() for _ in range(20)]
    fail(circuit, AFTER)
    for ticket in old[:9]:
        circuit.failed(ticket)
    assert circuit.left_alone() == FIRST_SECONDS, "not opened for longer"
    clock.now += FIRST_SECONDS
    trial = circuit.begin()
    circuit.failed(old[9])
    circuit.undecided(old[10])
    assert (circuit.state, circuit.begin()) == (State.HALF_OPEN, None), "nor does it end the trial"
    circuit.answered(trial)
    for ticket in old[11:]:
        circuit.failed(ticket)
    assert circuit.state is State.CLOSED


def test_a_late_answer_closes(circuit):
    old = circuit.begin()
    fail(circuit, AFTER)
    circuit.answered(old)
    assert circuit.state is State.CLOSED


def test_a_probe_closes_and_the_next_failure_opens_for_longer(circuit, changes):
    """A store whose health looks good and whose reads fail does not get a new start each time."""
    fail(circuit, AFTER)
    circuit.probed()
    assert (circuit.state, changes) == (State.CLOSED, [State.OPEN, State.CLOSED])
    fail(circuit)
    assert circuit.left_alone() == 2 * FIRST_SECONDS
    circuit.probed()
    assert (circuit.state, changes[2:]) == (State.HALF_OPEN, [State.OPEN]), "no longer believed, but one call may try"
    trial = circuit.begin()
    circuit.probed()
    assert circuit.begin() is None, "one"
    circuit.answered(trial)
    fail(circuit, AFTER - 1)
    assert circuit.state is State.CLOSED, "a read that was answered is a new start"


def test_a_probe_of_a_closed_circuit_changes_nothing(circuit):
    fail(circuit, AFTER - 1)
    circuit.probed()
    fail(circuit)
    assert circuit.state is State.OPEN


class Machine(RuleBasedStateMachine):
    """Calls in flight with their tickets, time, probes; beside it a model that counts what must hold whatever the order."""

    @initialize()
    def start(self):
        self.clock = FakeTime()
        self.changes = []
        self.circuit = Circuit(self.clock.timing, lambda: self.changes.append(self.circuit.state))
        self.flying = []  # tickets
        self.row = 0  # failures that may count, since the last answer
        self.trial = None
        self.probed_since_answer = False

    @rule()
    def begin(self):
        before = self.circuit.state
        ticket = self.circuit.begin()
        if before is State.CLOSED:
            assert ticket is not None
        if before is State.OPEN or (before is State.HALF_OPEN and self.trial is not None):
            assert ticket is None
        if ticket is not None:
            self.flying.append(ticket)
            if before is State.HALF_OPEN:
                self.trial = ticket

    def end(self, data):
        ticket = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        was_trial, before = ticket == self.trial, self.circuit.state
        if was_trial:
            self.trial = None
        return ticket, was_trial, before

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def answered(self, data):
        ticket, _, _ = self.end(data)
        self.circuit.answered(ticket)
        self.row, self.trial, self.probed_since_answer = 0, None, False
        assert self.circuit.state is State.CLOSED

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def failed(self, data):
        ticket, was_trial, before = self.end(data)
        self.row += 1
        self.circuit.failed(ticket)
        after = self.circuit.state
        if was_trial:
            assert after is State.OPEN
        elif before is not State.CLOSED:
            assert after is before, "a late failure changes nothing"
        elif after is State.OPEN:
            assert self.row >= AFTER

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def undecided(self, data):
        ticket, _, before = self.end(data)
        self.circuit.undecided(ticket)
        assert self.circuit.state is before

    @rule()
    def probed(self):
        before = self.circuit.state
        self.circuit.probed()
        after = self.circuit.state
        if before is not State.CLOSED and after is State.CLOSED:
            assert not self.probed_since_answer, "believed once"
            self.row, self.trial, self.probed_since_answer = AFTER - 1, None, True
        elif before is not State.CLOSED:
            assert after is State.HALF_OPEN

    @rule(seconds=st.floats(0.1, 40))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @invariant()
    def bounded(self):
        left = self.circuit.left_alone()
        assert left is None or 0 <= left <= LONGEST_SECONDS
        assert (self.circuit.state is State.OPEN) == (left is not None and left > 0)

    @invariant()
    def every_change_is_told(self):
        assert all(one is not other for one, other in zip(self.changes, self.changes[1:]) if one is State.CLOSED)
        if self.changes:
            assert (self.changes[-1] is State.CLOSED) == (self.circuit.state is State.CLOSED)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
