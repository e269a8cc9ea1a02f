"""A value is carried exactly, or refused with every reason, before anything is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.envfile import LIMITS, cannot_carry, parse
from contract.keys import ENVFILE_KEY
from contract.values import SecretValue
from initcontainer.carry import MODES, VolumeContents, carry, plan_faults
from initcontainer.errors import CannotCarry
from tests.initcontainer.plans import HOST, PASSWORD, container, digest, file, plan, variable


def contents(volume: VolumeContents) -> dict[str, bytes]:
    return {content.path: content.data.reveal() for content in volume.files}


def carried(parts: tuple[str, ...], **values: bytes | None) -> bytes:
    known = {name: None if value is None else SecretValue(value) for name, value in values.items()}
    (volume,) = carry(plan(container(variable("V", *parts))), known)
    return contents(volume)["env/V"]


NEWLINES = st.lists(
    st.sampled_from([b"a", b"'", b"\r", b"\n", b"\0", b"\xff", "é".encode(), b"=", b"#", b" ", b'"', b"$", b"\\", b"x" * 65535])
).map(b"".join)


@given(st.binary() | NEWLINES)
def test_any_value_is_carried_exactly_or_refused_with_a_limit(value: bytes) -> None:
    """What the kubelet will read is what the store has."""
    limit = MODES["envfile"].limit("V", value)
    if limit is None:
        assert digest(parse(carried((PASSWORD,), **{PASSWORD: value}), ENVFILE_KEY)) == digest(value)
    else:
        assert LIMITS[limit.code] is limit
        with pytest.raises(CannotCarry) as caught:
            carried((PASSWORD,), **{PASSWORD: value})
        assert caught.value.problems[0].startswith(f"container app, env V: {limit.sentence}; ")


@given(st.binary(max_size=20), st.binary(max_size=20), st.text(max_size=10))
def test_a_template_is_joined_as_bytes(first: bytes, second: bytes, text: str) -> None:
    """Two halves of a character that meet in a template are one character again."""
    whole = text.encode() + first + b"/" + second
    if cannot_carry(whole) is None:
        content = carried((text, PASSWORD, "/", HOST, ""), **{PASSWORD: first, HOST: second})
        assert digest(parse(content, ENVFILE_KEY)) == digest(whole)


@given(st.binary(max_size=200))
def test_a_file_takes_any_bytes(value: bytes) -> None:
    (volume,) = carry(plan(container(file("f", PASSWORD, 0o440))), {PASSWORD: SecretValue(value)})
    assert digest(volume.files[0].data.reveal()) == digest(value)
    assert volume.files[0].mode == 0o440


@pytest.mark.parametrize(
    ("parts", "read"),
    [
        pytest.param((PASSWORD,), b"", id="a-whole-value-is-left-unset"),
        pytest.param(("", PASSWORD, "", PASSWORD, ""), b"", id="nothing-but-absent-names-is-left-unset"),
        pytest.param(("a", PASSWORD, "b"), b"ab", id="inside-text-it-adds-nothing"),
        pytest.param(("", HOST, ":", PASSWORD, ""), b"host:", id="beside-another-value-it-adds-nothing"),
    ],
)
def test_an_absent_optional_name(parts: tuple[str, ...], read: bytes) -> None:
    assert parse(carried(parts, **{PASSWORD: None, HOST: b"host"}), ENVFILE_KEY) == read


def test_an_absent_optional_file_is_empty() -> None:
    (volume,) = carry(plan(container(file("f", PASSWORD))), {PASSWORD: None})
    assert contents(volume) == {"files/f": b""}


def test_an_empty_value_is_not_an_absent_one() -> None:
    """The kubelet reads both as not found, so the empty one is refused rather than turned into an unset variable."""
    with pytest.raises(CannotCarry, match="the value is empty"):
        carried((PASSWORD,), **{PASSWORD: b""})


def test_every_problem_is_told_with_its_way_out() -> None:
    values = {PASSWORD: SecretValue(b"it's"), HOST: SecretValue(b"a\0b")}
    one = container(variable("QUOTE", PASSWORD), variable("NUL", HOST), variable("FINE", "x", PASSWORD.replace("DB_", ""), ""))
    two = container(variable("QUOTE", PASSWORD), name="side")
    with pytest.raises(CannotCarry) as caught:
        carry(plan(one, two), {**values, PASSWORD.replace("DB_", ""): SecretValue(b"fine")})
    assert caught.value.problems == (
        "container app, env QUOTE: the value holds a single quote ('), for which the kubelet's env files have no escape; mode exec carries it",
        "container app, env NUL: the value holds a NUL byte, which no environment variable can; a file carries it",
        "container side, env QUOTE: the value holds a single quote ('), for which the kubelet's env files have no escape; mode exec carries it",
    )


def test_what_is_carried_hides_itself() -> None:
    (volume,) = carry(plan(container(variable("V", PASSWORD))), {PASSWORD: SecretValue(b"canary-7d2")})
    assert "canary" not in repr(volume)


def test_a_lone_surrogate_in_a_plan_is_refused_like_other_text_that_is_not_utf8() -> None:
    with pytest.raises(CannotCarry, match="not valid UTF-8"):
        carried(("\ud800", PASSWORD, ""), **{PASSWORD: b"x"})


def test_a_container_with_files_alone_is_in_the_webhooks_mode_for_that() -> None:
    """The word is the webhook's `FILES_MODE`; such a container gets its files and nothing else."""
    only = plan(container(file("key", PASSWORD), mode="files"))
    assert plan_faults(only) == []
    (volume,) = carry(only, {PASSWORD: SecretValue(b"x\0'")})
    assert [(content.path, digest(content.data.reveal())) for content in volume.files] == [("files/key", digest(b"x\0'"))]


def test_variables_that_are_too_large_together_for_mode_exec() -> None:
    """Each one alone would do; all of them are past what the launcher reads."""
    many = plan(container(*(variable(f"V{n}", "", PASSWORD, "") for n in range(70)), mode="exec"))
    with pytest.raises(CannotCarry) as caught:
        carry(many, {PASSWORD: SecretValue(b"x" * 130_000)})
    (problem,) = caught.value.problems
    assert problem.startswith("container app: the variables have 91")
    assert problem.endswith(" bytes together; allowed: 8388608; files carry the large ones")


def test_a_variable_in_a_container_with_files_alone_is_a_broken_plan() -> None:
    wrong = plan(container(variable("V", PASSWORD), mode="files"))
    assert plan_faults(wrong) == ["container app: mode 'files' has no variables, and the plan has 1"]
