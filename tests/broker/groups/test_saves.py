"""Which values were saved since a version was given: found in the activity itself, whatever clocks say and however much was dropped."""

import pytest

from broker.groups.saves import parts_of, saved_since, version_of


def entry(action, key, at=0):
    return {"time": f"2026-01-02T03:04:{at:02}.000+00:00", "who": "ann", "action": action, "key": key, "version": str(at)}


A, B, C = entry("create", "A", 5), entry("edit", "B", 1), entry("restore", "C", 9)  # B's replica has a clock that is behind
LOOK, SHARE = entry("reveal", "A", 6), entry("share", None, 7)


@pytest.mark.parametrize(
    ("seen", "now", "since"),
    [
        pytest.param([], [], [], id="nothing"),
        pytest.param([], [A], [A], id="the-first"),
        pytest.param([A], [A], [], id="none-since"),
        pytest.param([A], [A, LOOK, SHARE], [], id="other-things-are-no-saves"),
        pytest.param([A, LOOK], [A, LOOK, B, C], [B, C], id="a-clock-that-is-behind"),
        pytest.param([A], [LOOK, SHARE], [], id="too-old-and-nothing-saved"),
        pytest.param([A], [LOOK, B, C], [B, C], id="too-old-to-know"),
    ],
)
def test_saved_since(seen, now, since):
    version, mark = parts_of(version_of("8-1f2e3d4c", seen))
    assert (version, saved_since(now, mark)) == ("8-1f2e3d4c", since)


@pytest.mark.parametrize("given", ["", "old", "-", "8-x-"])
def test_what_is_no_version_of_ours_is_none(given):
    assert parts_of(given)[0] in ("", "8-x")
