"""References inside a value: what is one, what is none and stays as it is, and what is refused for looking like one."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.fqn import Fqn, FqnError, ManagedSecret, StoreSecret
from contract.references import Template, find_references, looks_like_store_path
from tests.contract.names import fqns

SSM = "acme/aws/ssm-prod"
STORES = frozenset({SSM, "acme:hashicorp:main:secret-store:kv"})
A, B = Fqn(ManagedSecret("acme", "payments", "A")), Fqn(ManagedSecret("acme", "mcp", "B"))
PATH = Fqn(StoreSecret(SSM, "/mail/key"))
HINT = "; inside longer text write the name as ${tfy-secret://...}"


@pytest.mark.parametrize(
    ("value", "texts", "found"),
    [
        pytest.param("tfy-secret://acme:payments:A", ("", ""), (A,), id="whole-managed"),
        pytest.param("${tfy-secret://acme:payments:A}", ("", ""), (A,), id="whole-in-braces"),
        pytest.param(f"{SSM}::/mail/key", ("", ""), (PATH,), id="whole-store-path"),
        pytest.param(f"${{{SSM}::/mail/key}}", ("", ""), (PATH,), id="store-path-in-braces"),
        pytest.param(f"smtp://u:${{{SSM}::/mail/key}}@h", ("smtp://u:", "@h"), (PATH,), id="store-path-inside-text-needs-braces"),
        pytest.param("postgres://app:${tfy-secret://acme:payments:A}@db/app", ("postgres://app:", "@db/app"), (A,), id="inside-text"),
        pytest.param("${tfy-secret://acme:payments:A}${tfy-secret://acme:mcp:B}", ("", "", ""), (A, B), id="two-side-by-side"),
        pytest.param("Bearer tfy-secret://acme:mcp:B", ("Bearer ", ""), (B,), id="bare-at-the-end"),
        pytest.param("tfy-secret://acme:mcp:B and more", ("", " and more"), (B,), id="bare-at-the-start"),
        pytest.param("a=tfy-secret://acme:payments:A&b=tfy-secret://acme:mcp:B", ("a=", "&b=", ""), (A, B), id="two-bare"),
        pytest.param('{"k": "tfy-secret://acme:mcp:B"}', ('{"k": "', '"}'), (B,), id="inside-json"),
        pytest.param('["${tfy-secret://acme:mcp:B}"]', ('["', '"]'), (B,), id="braces-inside-json"),
        pytest.param("${HOME}/${tfy-secret://acme:mcp:B}", ("${HOME}/", ""), (B,), id="other-braces-are-text"),
        pytest.param("${X:-tfy-secret://acme:mcp:B}", ("${X:-", "}"), (B,), id="bare-inside-other-braces"),
        pytest.param("$${tfy-secret://acme:mcp:B}", ("$", ""), (B,), id="dollar-in-front"),
        pytest.param("tfy-secret://acme:mcp:B?version=2#f x", ("", " x"), (Fqn(B.secret, "2", False, "f"),), id="bare-with-qualifiers"),
        pytest.param("tfy-secret://acme:mcp:B#tls/a@b", ("", ""), (Fqn(B.secret, None, False, "tls/a@b"),), id="whole-with-any-field"),
        pytest.param("tfy-secret://acme:mcp:B?version=a/b", ("", ""), (Fqn(B.secret, "a/b"),), id="whole-with-any-version"),
        pytest.param("x tfy-secret://acme:mcp:B#f/b", ("x ", "/b"), (Fqn(B.secret, None, False, "f"),), id="bare-field-inside-text"),
        pytest.param("tfy-secret://acme:mcp:B#f$(X)", ("", "$(X)"), (Fqn(B.secret, None, False, "f"),), id="expansion-is-no-field"),
        pytest.param(
            "tfy-secret://acme:mcp:B#f:tfy-secret://acme:payments:A",
            ("", ":", ""),
            (Fqn(B.secret, None, False, "f"), A),
            id="two-bare-with-field",
        ),
        pytest.param("\n\t${tfy-secret://acme:mcp:B}\0", ("\n\t", "\0"), (B,), id="any-text-around"),
    ],
)
def test_found(value: str, texts: tuple[str, ...], found: tuple[Fqn, ...]) -> None:
    """Whole, in `${...}` any number of times, and bare: the texts around are kept to the character."""
    assert find_references(value, STORES) == Template(texts, found)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param("arn:aws:iam::123456789012:role/x", id="arn"),
        pytest.param("[::]:8080", id="any-address"),
        pytest.param("2001:db8::1", id="ipv6"),
        pytest.param("std::vector", id="c++"),
        pytest.param("https://h/a::b", id="url"),
        pytest.param("tests/unit/test_x.py::test_a", id="pytest-node"),
        pytest.param("file:/config/", id="file-url"),
        pytest.param("acme/aws/other::/mail/key", id="store-that-is-not-configured"),
        pytest.param(f"see {SSM}::/mail/key", id="bare-store-path-inside-text"),
        pytest.param(f"{SSM}:/mail/key", id="one-colon"),
        pytest.param("${acme/aws/other::/a}", id="unknown-store-in-braces"),
        pytest.param("${HOME} ${X:-::}", id="shell-variables"),
        pytest.param("tfy-secret:/a:b:c", id="one-slash"),
        pytest.param("TFY-SECRET://a:b:c", id="upper-case-scheme"),
        pytest.param("${${${", id="open-braces"),
        pytest.param("${acme/aws/other::/a", id="unknown-store-in-an-open-brace"),
    ],
)
def test_not_a_reference(value: str) -> None:
    """Everything else is somebody's plain value, and None says that it must not be touched."""
    assert find_references(value, STORES) is None


@pytest.mark.parametrize(
    ("value", "found", "fix"),
    [
        pytest.param(
            "tfy-secret://acme:payments",
            "tfy-secret://acme:payments",
            "add the key's name, e.g. tfy-secret://acme:payments:DB_PASSWORD",
            id="whole",
        ),
        pytest.param(
            "Bearer tfy-secret://acme:payments",
            "tfy-secret://acme:payments",
            f"add the key's name, e.g. tfy-secret://acme:payments:DB_PASSWORD{HINT}",
            id="bare",
        ),
        pytest.param(
            "tfy-secret://acme:mcp:B.",
            "tfy-secret://acme:mcp:B.",
            "correct the key 'B.'",
            id="whole-that-ends-in-a-dot",
        ),
        pytest.param("token tfy-secret://acme:mcp:B.", "tfy-secret://acme:mcp:B.", f"correct the key 'B.'{HINT}", id="sentence-that-ends"),
        pytest.param(
            "http://tfy-secret://a:b:c:8080/",
            "tfy-secret://a:b:c:8080",
            "remove 1 of the 4 parts, or, if text follows the name, write the name as ${tfy-secret://...}",
            id="fourth-part",
        ),
        pytest.param("x ${tfy-secret://a:b}", "tfy-secret://a:b", "add the key's name, e.g. tfy-secret://a:b:DB_PASSWORD", id="in-braces"),
        pytest.param(
            "x ${tfy-secret://a:b:c",
            "${tfy-secret://a:b:c",
            "close the brace; write '{' and '}' in a name as %7B and %7D",
            id="brace-not-closed",
        ),
        pytest.param(
            f"x ${{{SSM}::/a",
            f"${{{SSM}::/a",
            "close the brace; write '{' and '}' in a name as %7B and %7D",
            id="brace-of-a-store-not-closed",
        ),
        pytest.param(
            "tfy-secret://a:b:c#f?version=3",
            "tfy-secret://a:b:c#f?version=3",
            "write the parameters before '#', or a literal '?' in the field's name as %3F",
            id="version-behind-the-field",
        ),
        pytest.param(
            "Bearer tfy-secret://a:b:c#f?optional=true",
            "tfy-secret://a:b:c#f?optional=true",
            f"write the parameters before '#', or a literal '?' in the field's name as %3F{HINT}",
            id="bare-with-a-parameter-behind-the-field",
        ),
        pytest.param(
            "x tfy-secret://a:b:c#f#g",
            "tfy-secret://a:b:c#f#g",
            f"write a blank as %20 and '#' as %23{HINT}",
            id="bare-with-two-fields",
        ),
        pytest.param("tfy-secret://", "tfy-secret://", "name the group and the key, e.g. tfy-secret://:payments:DB_PASSWORD", id="scheme"),
        pytest.param(
            f"{SSM}::/a?x=tfy-secret://a:b:c",
            f"{SSM}::/a?x=tfy-secret://a:b:c",
            "write each name as ${...}, with the text around it",
            id="both-kinds-in-one",
        ),
        pytest.param(f"{SSM}::", f"{SSM}::", "name the secret's path after '::'", id="configured-store-without-a-path"),
        pytest.param(f"${{{SSM}::/a/../b}}", f"{SSM}::/a/../b", "write the path that is meant", id="store-path-in-braces"),
    ],
)
def test_refused(value: str, found: str, fix: str) -> None:
    """What holds the scheme, or a configured store's FQN, and does not parse is refused and never passed on."""
    with pytest.raises(FqnError) as caught:
        find_references(value, STORES)
    assert (caught.value.found, caught.value.fix) == (found, fix)


_FRAGMENTS = st.sampled_from(
    ["tfy-secret://", "a:b:c", "::", "${", "}", "$(", ")", ":", "?version=", "#", "%", "acme/aws/ssm-prod", "/p", " ", "\n", "é", "$$"]
)


@given(st.one_of(st.text(), st.lists(_FRAGMENTS, max_size=12).map("".join)))
def test_any_text_is_none_a_template_or_an_fqn_error(value: str) -> None:
    """Nothing else is raised, and a value that holds the scheme never counts as plain."""
    try:
        found = find_references(value, STORES)
    except FqnError:
        return
    assert (found is None) <= ("tfy-secret://" not in value)
    if found is not None:
        assert len(found.texts) == len(found.fqns) + 1


@given(st.lists(st.tuples(st.text("abc $(){}\n", max_size=5).filter(lambda t: not t.endswith("$")), fqns()), min_size=1, max_size=4))
def test_canonical_names_in_braces_are_found_again(pieces: list[tuple[str, Fqn]]) -> None:
    """A template put together from canonical names is taken apart into the same texts and names."""
    value = "".join(f"{text}${{{fqn}}}" for text, fqn in pieces)
    assert find_references(value, STORES) == Template((*(text for text, _ in pieces), ""), tuple(fqn for _, fqn in pieces))


def test_parts_alternate_text_and_names() -> None:
    """What the plan holds: text, name, text, with empty texts kept."""
    template = Template(("a", "", "b"), (A, B))
    assert template.parts == ("a", "tfy-secret://acme:payments:A", "", "tfy-secret://acme:mcp:B", "b")
    assert (template.whole, Template(("", ""), (A,)).whole) == (False, True)


@pytest.mark.parametrize(
    ("value", "store"),
    [
        pytest.param("acme/aws/smm-prod::/a", "acme/aws/smm-prod", id="three-parts-of-our-tenant"),
        pytest.param("acme:aws:main:secret-store:x::/a", "acme:aws:main:secret-store:x", id="five-parts-of-our-tenant"),
        pytest.param("acme/aws/smm-prod::", None, id="no-path"),
        pytest.param("other/aws/ssm-prod::/a", None, id="other-tenant"),
        pytest.param("acme/tests::test_x", None, id="two-parts"),
        pytest.param("std::vector", None, id="c++"),
    ],
)
def test_a_probable_typing_error_in_a_store(value: str, store: str | None) -> None:
    """A `::` value under our tenant with a store's shape is worth a warning; nothing else is."""
    assert looks_like_store_path(value, "acme") == store


_LARGE = 3 * 1024 * 1024  # characters; the API server takes no larger pod
_SMALL = _LARGE // 32  # where each reference costs microseconds; a quadratic scan would show here as well

_REPEATED = [
    pytest.param("", "${", "", _LARGE, id="open-braces"),
    pytest.param("", "${a", "", _LARGE, id="open-braces-with-text"),
    pytest.param("", "${}", "", _LARGE, id="empty-braces"),
    pytest.param("", "::", "", _LARGE, id="double-colons"),
    pytest.param("", "$", "", _LARGE, id="dollars"),
    pytest.param("", "tfy-secret:/", "", _LARGE, id="nearly-the-scheme"),
    pytest.param("", "${a::b}", "", _SMALL, id="unknown-stores"),
    pytest.param("", "${tfy-secret://a:b:c}", "", _SMALL, id="references"),
    pytest.param("", "tfy-secret://a:b:c ", "", _SMALL, id="bare-references"),
    pytest.param("", "${x tfy-secret://a:b:c", "", _SMALL, id="bare-inside-open-braces"),
    pytest.param("tfy-secret://a:b:", "a", "", _LARGE, id="key-without-end"),
    pytest.param("tfy-secret://a:b:c", "-", "", _LARGE, id="key-that-never-ends-well"),
    pytest.param("tfy-secret://", "a:", "", _LARGE, id="parts-without-end"),
    pytest.param("x tfy-secret://a:b:c?version=", "a", "", _LARGE, id="version-without-end"),
    pytest.param(f"{SSM}::", "/..", "", _LARGE, id="path-without-end"),
    pytest.param("${tfy-secret://a:b:c", "{", "}", _LARGE, id="name-of-braces"),
    pytest.param("${", "tfy-secret://", "", _LARGE, id="brace-that-is-not-closed"),
]


@pytest.mark.parametrize(("head", "unit", "tail", "size"), _REPEATED)
def test_linear_time(head: str, unit: str, tail: str, size: int) -> None:
    """Twice the text costs about twice the time, up to 3 MiB, whatever repeats in it, and whether it is found or refused."""
    ratios = (_time(head, unit, tail, size) / _time(head, unit, tail, size // 2) for _ in range(3))
    assert any(ratio < 4 for ratio in ratios)


def _time(head: str, unit: str, tail: str, size: int) -> float:
    """Processor time, the least of two runs; at least a millisecond, so that a ratio means something."""
    value = head + unit * (size // len(unit)) + tail
    best = 1e9
    for _ in range(2):
        start = time.thread_time()
        with suppress(FqnError):
            find_references(value, STORES)
        best = min(best, time.thread_time() - start)
    return max(best, 0.001)
