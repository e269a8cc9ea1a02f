"""How a run ends, as scripts and people see it."""

from pathlib import Path

import pytest

from initcontainer import errors, exits
from initcontainer.errors import InitError
from initcontainer.exits import CRASHED, EXITS, MESSAGE_BYTES, OK, exit_for, termination_message, write_termination


def test_every_error_that_can_end_a_run_has_a_code_of_its_own() -> None:
    ends = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, InitError)}
    assert set(EXITS) == ends - {InitError, errors.Retryable}
    rows = [OK, CRASHED, *EXITS.values()]
    assert len({row.code for row in rows}) == len({row.reason for row in rows}) == len(rows)
    assert all(row.fix.endswith(".") for row in rows[1:])


def test_the_codes_are_what_scripts_rely_on() -> None:
    assert {row.reason: row.code for row in EXITS.values()} == {
        "plan-broken": 10,
        "denied": 11,
        "not-found": 12,
        "cannot-carry": 13,
        "unavailable": 14,
        "cannot-write": 15,
        "refused": 16,
        "untrusted": 17,
        "node-too-old": 18,
        "template-broken": 19,
    }


def test_a_message_says_what_happened_and_what_to_do() -> None:
    message = termination_message(exit_for(errors.NotFound("x")), ["container app, env A: tfy-secret://a:b:c: not_found: no such path"])
    assert message.decode() == (
        "A secret, a version or a field does not exist.\n"
        "container app, env A: tfy-secret://a:b:c: not_found: no such path\n"
        "To fix: Create it, correct the name, or add ?optional=true where the app can do without."
    )


def test_a_problem_of_two_lines_is_told_on_one() -> None:
    message = termination_message(exit_for(errors.PlanBroken("x")), ["found 'x'; allowed: y.\nTo fix: z."])
    assert message.decode().splitlines()[1] == "found 'x'; allowed: y. To fix: z."


@pytest.mark.parametrize("problem", ["x" * 50, "é" * 3000, "\N{GRINNING FACE}" * 700, "a\nb\0c", "\ud800"])
@pytest.mark.parametrize("count", [1, 7, 500])
def test_a_message_fits_and_keeps_its_fix(problem: str, count: int) -> None:
    for end in EXITS.values():
        message = termination_message(end, [problem] * count)
        assert len(message) <= MESSAGE_BYTES
        assert message.decode().endswith(end.fix)
        shown = message.decode().count("\n") - 1
        assert shown == count or f"... and {count - shown + 1} more, see the log" in message.decode()


def test_a_message_is_written_over_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"an older and longer message")
    assert write_termination(str(tmp_path / "log"), b"new")
    assert (tmp_path / "log").read_bytes() == b"new"


def test_a_log_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    assert not exits.write_termination(str(tmp_path / "none" / "log"), b"x")
