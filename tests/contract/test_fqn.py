"""The grammar of a whole FQN: what it takes, what it refuses and in which words, and its canonical spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.fqn import MAX_LENGTH, Fqn, FqnError, ManagedSecret, StoreSecret, is_part, parse_fqn, shorten
from tests.contract.names import fqns

KEY = ManagedSecret("acme", "payments", "DB_PASSWORD")
SSM, VAULT = "acme/aws/ssm-prod", "acme:hashicorp:main:secret-store:kv"
STORES = frozenset({SSM, VAULT})
MANAGED = "tfy-secret://<tenant>:<group>:<key>"
PART = f"{MANAGED}, each part of letters, digits, '.', '_' and '-', with a letter or digit at both ends"
THREE = f"{MANAGED}, exactly three parts"
QUALIFIERS = "?version=V, ?optional=true (joined with &), then #field"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("tfy-secret://acme:payments:DB_PASSWORD", Fqn(KEY), id="managed"),
        pytest.param("tfy-secret://a:b:c", Fqn(ManagedSecret("a", "b", "c")), id="parts-of-one-character"),
        pytest.param("tfy-secret://a.b-c_d:9:tls.crt", Fqn(ManagedSecret("a.b-c_d", "9", "tls.crt")), id="dots-dashes-underscores-digits"),
        pytest.param("tfy-secret://acme:payments:DB_PASSWORD?version=3", Fqn(KEY, "3"), id="version"),
        pytest.param("tfy-secret://acme:payments:DB_PASSWORD?optional=true", Fqn(KEY, None, True), id="optional"),
        pytest.param("tfy-secret://acme:payments:DB_PASSWORD#user", Fqn(KEY, None, False, "user"), id="field"),
        pytest.param(
            "tfy-secret://acme:payments:DB_PASSWORD?version=a1&optional=true#db.user", Fqn(KEY, "a1", True, "db.user"), id="all-in-order"
        ),
        pytest.param("tfy-secret://acme:payments:DB_PASSWORD#a%3Fb", Fqn(KEY, None, False, "a?b"), id="question-mark-in-a-field"),
        pytest.param("tfy-secret://acme:payments:DB_PASSWORD#tls/a:b@c", Fqn(KEY, None, False, "tls/a:b@c"), id="punctuation-in-a-field"),
        pytest.param("tfy-secret://acme:payments:DB_PASSWORD#%23%20%25", Fqn(KEY, None, False, "# %"), id="encoded-field"),
        pytest.param("tfy-secret://acme:payments:DB_PASSWORD?version=a%26b%20c", Fqn(KEY, "a&b c"), id="encoded-version"),
        pytest.param(f"{SSM}::/tfy/x", Fqn(StoreSecret(SSM, "/tfy/x")), id="store-path-keeps-its-leading-slash"),
        pytest.param(f"{SSM}::plain", Fqn(StoreSecret(SSM, "plain")), id="store-path-without-leading-slash"),
        pytest.param(f"{VAULT}::app/db", Fqn(StoreSecret(VAULT, "app/db")), id="store-of-five-parts"),
        pytest.param(f"{SSM}::a::b", Fqn(StoreSecret(SSM, "a::b")), id="split-at-the-first-double-colon"),
        pytest.param(f"{SSM}:::a", Fqn(StoreSecret(SSM, ":a")), id="third-colon-belongs-to-the-path"),
        pytest.param(f"{SSM}::/a b/ü", Fqn(StoreSecret(SSM, "/a b/ü")), id="blanks-and-letters-are-verbatim"),
        pytest.param(f"{SSM}::/a%3Fb%23c%25d", Fqn(StoreSecret(SSM, "/a?b#c%d")), id="question-hash-percent-encoded"),
        pytest.param(f"{SSM}::/%C3%BC", Fqn(StoreSecret(SSM, "/ü")), id="encoded-utf-8"),
        pytest.param(f"{SSM}::/a?version=7&optional=true#f", Fqn(StoreSecret(SSM, "/a"), "7", True, "f"), id="store-path-qualifiers"),
    ],
)
def test_parses(text: str, expected: Fqn) -> None:
    """Each form of the design's grammar is read as written."""
    assert parse_fqn(text, STORES) == expected


@pytest.mark.parametrize(
    ("text", "allowed", "fix"),
    [
        pytest.param("", f"{MANAGED} or <store-fqn>::<path>", "write e.g. tfy-secret://acme:payments:DB_PASSWORD", id="nothing"),
        pytest.param("::/a", f"{MANAGED} or <store-fqn>::<path>", "write e.g. tfy-secret://acme:payments:DB_PASSWORD", id="no-store"),
        pytest.param(
            "acme/aws/other::/a",
            "a configured store's FQN before '::'",
            "use the FQN of a SecretStore (kubectl get secretstores)",
            id="unknown-store",
        ),
        pytest.param("tfy-secret://acme:payments", THREE, "add the key's name, e.g. tfy-secret://acme:payments:DB_PASSWORD", id="no-key"),
        pytest.param("tfy-secret://acme", THREE, "name the group and the key, e.g. tfy-secret://acme:payments:DB_PASSWORD", id="no-group"),
        pytest.param(
            "tfy-secret://a:b:c:d",
            THREE,
            "remove 1 of the 4 parts, or, if text follows the name, write the name as ${tfy-secret://...}",
            id="four-parts",
        ),
        pytest.param("tfy-secret://:b:c", PART, "name the tenant", id="empty-tenant"),
        pytest.param("tfy-secret://a::c", PART, "name the group", id="empty-group"),
        pytest.param("tfy-secret://a:b:", PART, "name the key", id="empty-key"),
        pytest.param("tfy-secret://a:b:c.", PART, "correct the key 'c.'", id="dot-at-the-end"),
        pytest.param("tfy-secret://-a:b:c", PART, "correct the tenant '-a'", id="dash-at-the-start"),
        pytest.param("tfy-secret://a:b c:d", PART, "correct the group 'b c'", id="blank-in-a-part"),
        pytest.param("tfy-secret://a:b:ä", PART, "correct the key 'ä'", id="letter-beyond-ascii"),
        pytest.param("tfy-secret://a:b:c/d", PART, "correct the key 'c/d'", id="slash-in-a-part"),
        pytest.param(
            "tfy-secret://a:b:c?", QUALIFIERS, "give a parameter after '?', or percent-encode a literal '?' as %3F", id="empty-query"
        ),
        pytest.param(
            "tfy-secret://a:b:c?ver=1",
            QUALIFIERS,
            "remove the unknown parameter 'ver', or percent-encode a literal '?' as %3F",
            id="unknown-parameter",
        ),
        pytest.param(
            "tfy-secret://a:b:c?version=1&", QUALIFIERS, "give a parameter after '?', or percent-encode a literal '?' as %3F", id="loose-&"
        ),
        pytest.param(
            "tfy-secret://a:b:c#f?version=1",
            QUALIFIERS,
            "write the parameters before '#', or a literal '?' in the field's name as %3F",
            id="parameter-behind-the-field",
        ),
        pytest.param("tfy-secret://a:b:c?version=", QUALIFIERS, "give the version, e.g. ?version=3", id="empty-version"),
        pytest.param("tfy-secret://a:b:c?version=1&version=2", QUALIFIERS, "write version once, without blanks or '?'", id="version-twice"),
        pytest.param("tfy-secret://a:b:c?version=1 2", QUALIFIERS, "write version once, without blanks or '?'", id="blank-in-version"),
        pytest.param(
            "tfy-secret://a:b:c?optional=true&version=1",
            QUALIFIERS,
            "write version once, before optional, without blanks",
            id="wrong-order",
        ),
        pytest.param("tfy-secret://a:b:c?optional=1", QUALIFIERS, "write optional=true once, or leave it out", id="optional-of-one"),
        pytest.param(
            "tfy-secret://a:b:c?optional=true&optional=true", QUALIFIERS, "write optional=true once, or leave it out", id="optional-twice"
        ),
        pytest.param("tfy-secret://a:b:c#", "a field's name after '#'", "name the field, or remove the '#'", id="empty-field"),
        pytest.param(
            "tfy-secret://a:b:c#x#y",
            "one field, its blanks and '#' percent-encoded",
            "write a blank as %20 and '#' as %23",
            id="two-fields",
        ),
        pytest.param(
            "tfy-secret://a:b:c#x y",
            "one field, its blanks and '#' percent-encoded",
            "write a blank as %20 and '#' as %23",
            id="blank-in-a-field",
        ),
        pytest.param(
            f"{SSM}::/50%", "'%' and two hexadecimal digits in the path", "write a literal '%' as %25", id="percent-without-digits"
        ),
        pytest.param(f"{SSM}::/%FF", "UTF-8 in the percent-encoded path", "encode the path as UTF-8", id="encoded-not-utf-8"),
        pytest.param(f"{SSM}::/a%00", "no control characters in the path", "remove them", id="encoded-nul"),
        pytest.param(f"{SSM}::/a\nb", "no control characters in the path", "remove them", id="newline"),
        pytest.param(f"{SSM}::", "<store-fqn>::<path>", "name the secret's path after '::'", id="no-path"),
        pytest.param(f"{SSM}:://", "<store-fqn>::<path>", "name the secret's path after '::'", id="path-of-slashes"),
        pytest.param(f"{SSM}::/a/../b", "a path without '.' and '..' segments", "write the path that is meant", id="dots-that-climb"),
        pytest.param(
            f"{SSM}::/a/%2E%2E/b", "a path without '.' and '..' segments", "write the path that is meant", id="encoded-dots-that-climb"
        ),
        pytest.param(f"{SSM}::/\ud800", "text in UTF-8", "remove the lone halves of surrogate pairs", id="half-a-surrogate-pair"),
    ],
)
def test_refuses(text: str, allowed: str, fix: str) -> None:
    """What is not an FQN is refused with what was found, what is allowed and how to fix it."""
    with pytest.raises(FqnError) as caught:
        parse_fqn(text, STORES)
    assert (caught.value.found, caught.value.allowed, caught.value.fix) == (shorten(text), allowed, fix)
    assert str(caught.value) == f"found '{shorten(text)}'; allowed: {allowed}.\nTo fix: {fix}."


def test_any_store_is_taken_where_the_name_was_checked_before() -> None:
    """The init container and the broker read names whose store the webhook or the catalog decides on."""
    assert parse_fqn("some/other/store::/a").secret == StoreSecret("some/other/store", "/a")


@pytest.mark.parametrize("extra", [0, 1])
def test_length_limit_is_exact(extra: int) -> None:
    """A name of MAX_LENGTH characters is taken, one more is not."""
    text = "tfy-secret://a:b:" + "c" * (MAX_LENGTH - len("tfy-secret://a:b:") + extra)
    if extra == 0:
        assert str(parse_fqn(text)) == text
        return
    with pytest.raises(FqnError, match=r"at most 4096 characters"):
        parse_fqn(text)


def test_a_name_never_outgrows_the_limit_by_its_canonical_spelling() -> None:
    """Braces are percent-encoded in the canonical spelling, which the plan holds and must be able to read again."""
    longest = (MAX_LENGTH - len("s::")) // 3
    assert len(str(parse_fqn("s::" + "{" * longest))) <= MAX_LENGTH
    with pytest.raises(FqnError, match=r"at most 4096 characters"):
        parse_fqn("s::" + "}" * (longest + 1))


@given(fqns())
def test_canonical_spelling_round_trips(fqn: Fqn) -> None:
    """Parsing the canonical spelling gives the same name, whatever its parts hold."""
    assert parse_fqn(str(fqn)) == fqn


@given(fqns())
def test_required_is_the_same_name_that_may_not_be_missing(fqn: Fqn) -> None:
    """The broker is asked for the name without `optional`."""
    required = fqn.required
    assert not required.optional
    assert (required.secret, required.version, required.field) == (fqn.secret, fqn.version, fqn.field)


@given(st.one_of(st.text(), st.text(alphabet="tfy-secret://:?#%&=.ab{}$ \n\ud800", max_size=60)))
def test_any_text_is_an_fqn_or_an_fqn_error(text: str) -> None:
    """No text makes the parser raise anything else, and what it accepts has a canonical spelling."""
    try:
        found = parse_fqn(text)
    except FqnError as error:
        assert str(error).encode()
        assert "\n" not in error.found
        return
    assert parse_fqn(str(found)) == found


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        pytest.param("abc", 3, "abc", id="what-fits-is-whole"),
        pytest.param("abcd", 3, "abc...", id="what-does-not-is-cut"),
        pytest.param(
            "a\nb\x7f\udfff", 9, "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}", id="one-line-of-UTF-8"
        ),
    ],
)
def test_shorten(text: str, limit: int, shown: str) -> None:
    """Found text is shown on one line, not endless, and can always be encoded."""
    assert shorten(text, limit) == shown


def test_is_part_is_the_alphabet_of_tenants_groups_and_keys() -> None:
    """A letter or digit at both ends; dots, dashes and underscores between."""
    good, bad = ["a", "A9", "a.b_c-d", "9"], ["", "-a", "a-", "a b", "a/b", "a:b", "ä", "a\n"]
    assert [is_part(text) for text in good + bad] == [True] * len(good) + [False] * len(bad)
