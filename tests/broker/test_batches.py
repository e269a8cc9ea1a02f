"""The line: nothing is lost, nothing doubled, order is kept, and a call takes no more than it may."""

from concurrent.futures import Future  # as asyncio's, without a loop

from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.batches import Job, Waiting
from broker.stores.store import Asked


def read(path, version=None):
    return Job("read", Asked(path, version), None, True, 8.0, Future())


def write():
    return Job("write", None, None, False, 8.0, Future())


def filled(*jobs, most=100):
    line = Waiting(most)
    for job in jobs:
        assert line.put(job)
    return line


def test_reads_go_together_up_to_the_bound():
    jobs = [read(f"/{n}") for n in range(25)]
    line = filled(*jobs)
    assert [line.take(10) for _ in range(4)] == [jobs[:10], jobs[10:20], jobs[20:], []]


def test_equal_reads_share_one_place_and_versions_are_different_things():
    jobs = [read("/a"), read("/a", "1"), read("/a"), read("/b"), read("/a")]
    line = filled(*jobs)
    assert line.take(2) == jobs[:3]
    assert line.take(1) == [jobs[3]]
    assert line.take(1) == [jobs[4]]


def test_a_write_goes_alone_and_in_its_turn():
    jobs = [read("/a"), write(), write(), read("/b"), read("/c")]
    line = filled(*jobs)
    assert [line.take(10) for _ in range(4)] == [jobs[:1], jobs[1:2], jobs[2:3], jobs[3:]]


def test_whoever_has_gone_is_passed_over():
    jobs = [read(f"/{n}") for n in range(4)]
    line = filled(*jobs)
    jobs[0].answer.cancel()
    line.drop(jobs[2])
    line.drop(jobs[2])
    assert line.take(10) == [jobs[1], jobs[3]]
    assert len(line) == 0


def test_the_line_is_bounded_and_what_comes_back_was_let_in_before():
    jobs = [read(f"/{n}") for n in range(4)]
    line = filled(*jobs[:2], most=2)
    assert not line.put(jobs[2])
    taken = line.take(10)
    assert not line.put(jobs[2], beside=2), "those that rest count too"
    assert line.put(jobs[2])
    assert line.put(jobs[3])
    line.put_back(taken)
    assert line.take(10) == jobs


@settings(max_examples=300, deadline=None)
@example(2, 3, [("read", 0), ("write", 0), ("read", 1), ("cancel", 1), ("take", 0)])  # one who left does not end a batch
@given(
    st.integers(1, 20),
    st.integers(1, 30),
    st.lists(
        st.one_of(
            st.tuples(st.just("read"), st.integers(0, 6)),
            st.tuples(st.sampled_from(["write", "take", "back", "cancel", "drop"]), st.integers(0, 30)),
        ),
        max_size=80,
    ),
)
def test_nothing_is_lost_doubled_or_out_of_order(batch, most, steps):
    """Whatever comes, goes and comes back: every job is in one place, and reads of one call are at most so many different ones."""
    line, waiting, taken = Waiting(most), [], []
    for step, number in steps:
        if step in ("read", "write"):
            job = read(f"/{number}") if step == "read" else write()
            room = len(line) < most
            assert line.put(job) is room
            waiting += [job] * room
        elif step == "take":
            found = line.take(batch)
            alive = [job for job in waiting if not job.answer.done()]
            assert found == alive[: len(found)], "from the head, in order"
            assert bool(found) == bool(alive)
            assert len({job.asked for job in found}) <= batch
            assert len(found) == 1 or all(job.asked is not None for job in found)
            following = alive[len(found) :]
            if following and found and found[0].asked is not None and following[0].asked is not None:
                assert len({job.asked for job in found}) == batch, "as many as may go together do"
            waiting = following
            taken.append(found)
        elif step == "back" and taken:
            found = taken.pop()
            line.put_back(found)
            waiting = [job for job in found if not job.answer.done()] + waiting
        elif step == "cancel" and waiting:
            waiting[number % len(waiting)].answer.cancel()
        elif step == "drop" and waiting:
            line.drop(waiting.pop(number % len(waiting)))
    assert [job for job in line.take_all() if not job.answer.done()] == [job for job in waiting if not job.answer.done()]
    assert len(line) == 0
