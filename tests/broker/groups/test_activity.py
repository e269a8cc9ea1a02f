"""What is kept of what people did: within bounds, and no crowd of looks at values pushes out the changes."""

from datetime import UTC, datetime, timedelta

from broker.groups.activity import MAX_BYTES, MAX_ENTRIES, MAX_LOOKS, decode, merged
from broker.groups.model import Activity

START = datetime(2026, 1, 2, tzinfo=UTC)


def did(n, action, who="ann"):
    return Activity(START + timedelta(seconds=n), who, action, f"K{n}")


def kept(entries):
    """All at once, and one by one: the same."""
    found = merged([], entries)
    one_by_one = []
    for entry in entries:
        one_by_one = merged(one_by_one, [entry])
    assert found == one_by_one
    return [(entry.action, entry.key) for entry in reversed(decode(found))]


def test_looks_push_out_no_change():
    changes = [did(n, "edit") for n in range(40)]
    found = kept([*changes, *(did(n, "reveal") for n in range(40, 400))])
    assert found[:40] == [("edit", f"K{n}") for n in range(40)]
    assert found[40:] == [("reveal", f"K{n}") for n in range(340, 400)]


def test_changes_push_out_the_oldest():
    found = kept([did(n, ("edit", "reveal")[n % 2]) for n in range(400)])
    assert (len(found), [action for action, _ in found].count("reveal")) == (MAX_ENTRIES, MAX_LOOKS)
    assert found == [(("edit", "reveal")[n % 2], f"K{n}") for n in range(300, 400)]
    assert kept([did(n, "edit") for n in range(130)]) == [("edit", f"K{n}") for n in range(30, 130)]
    assert kept([did(n, "reveal") for n in range(130)]) == [("reveal", f"K{n}") for n in range(30, 130)]


def test_what_is_no_entry_is_left_out():
    assert [entry["key"] for entry in merged([None, "x", 7, ["a"]], [did(1, "edit")])] == ["K1"]


def test_bytes_are_bounded_too():
    found = merged([], [did(n, "edit", "é" * 300) for n in range(90)])
    assert 0 < len(found) < 90
    assert len(str(found).encode()) < 2 * MAX_BYTES
    assert found[-1]["key"] == "K89"
