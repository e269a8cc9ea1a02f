"""Names in Google's character set: one for each path, each gives its path back, and none that is managed under another spelling."""

import re
from string import ascii_letters, digits

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.errors import InvalidRequest, NotFound
from broker.stores.google.names import MAX_ID, Name, decode, encode, find_name, number_of

PARENT = "projects/acme-prod"
REGIONAL = "projects/acme-prod/locations/europe-west1"
ALNUM = st.sampled_from(ascii_letters + digits)
MIDDLE = st.text(st.sampled_from(ascii_letters + digits + "._-" * 8), max_size=12)
PART = st.one_of(ALNUM, st.builds("{}{}{}".format, ALNUM, MIDDLE, ALNUM))
PARTS = st.tuples(PART, PART, PART)


@settings(deadline=None)
@given(PARTS)
@example(("a", "b-d-c", "a--d-b"))
@example(("a", "a_b", "a.b"))
@example(("a", "a__b", "a-_-.b"))
def test_a_name_is_in_googles_set_and_gives_its_path_back(parts: tuple[str, str, str]) -> None:
    name = encode(*parts)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name)
    assert decode(name) == parts


@settings(deadline=None)
@given(PARTS, PARTS)
def test_two_paths_never_have_one_name(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    assert (encode(*one) == encode(*two)) == (one == two)


@settings(deadline=None)
@given(st.text(st.sampled_from("tfy-secret_dhuab12"), max_size=40).map("tfy-secret__a__b__a{}".format))
@example("tfy-secret__a__b__a--h-b")
@example("tfy-secret__a__b__a--u-b")
@example("tfy-secret__a__b__a--dh-b")
def test_a_name_that_gives_a_path_is_that_paths_name(name: str) -> None:
    """So a name that was not made by `encode` is nobody's."""
    parts = decode(name)
    assert parts is None or encode(*parts) == name


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("/tfy-secret/acme/payments/DB_PASSWORD", "tfy-secret__acme__payments__DB_PASSWORD"),
        ("/tfy-secret/acme/pay.eu/a-b..c", "tfy-secret__acme__pay--d-eu__a-b--dd-c"),
        ("/tfy-secret/acme/p/a--b", "tfy-secret__acme__p__a--hh-b"),
        ("/tfy-secret/acme/p/a__b", "tfy-secret__acme__p__a--uu-b"),
        ("/tfy-secret/acme/p/a._-b", "tfy-secret__acme__p__a--duh-b"),
    ],
)
def test_the_rule_as_the_page_shows_it(path: str, secret: str) -> None:
    """These names are in stores: the rule cannot change any more."""
    assert find_name(PARENT, path) == Name(PARENT, secret)


def test_the_longest_name_fits_and_a_longer_one_is_refused() -> None:
    fits = "k" * (MAX_ID - len("tfy-secret__a__g__"))
    assert len(find_name(PARENT, f"/tfy-secret/a/g/{fits}").secret) == MAX_ID
    with pytest.raises(InvalidRequest, match="its name would have 256 characters; allowed: at most 255. To fix: a shorter group or key"):
        find_name(PARENT, f"/tfy-secret/a/g/{fits}k")


@pytest.mark.parametrize(
    ("path", "version", "expected"),
    [
        pytest.param("db-password", None, Name(PARENT, "db-password"), id="id"),
        pytest.param("db-password", "3", Name(PARENT, "db-password", "3"), id="id-and-version"),
        pytest.param("db-password", "live", Name(PARENT, "db-password", "live"), id="alias"),
        pytest.param("db-password", "latest", Name(PARENT, "db-password", "latest"), id="latest"),
        pytest.param("projects/other/secrets/x", None, Name("projects/other", "x"), id="another-project"),
        pytest.param("projects/123456/secrets/x", None, Name("projects/123456", "x"), id="projects-number"),
        pytest.param("projects/acme.example:old/secrets/x", None, Name("projects/acme.example:old", "x"), id="projects-of-a-domain"),
        pytest.param("projects/p/secrets/x/versions/7", None, Name("projects/p", "x", "7"), id="version-in-the-path"),
        pytest.param("projects/p/secrets/x/versions/7", "7", Name("projects/p", "x", "7"), id="the-same-version-twice"),
        pytest.param("tfy-secret", None, Name(PARENT, "tfy-secret"), id="not-quite-managed"),
    ],
)
def test_own_paths(path: str, version: str | None, expected: Name) -> None:
    assert find_name(PARENT, path, version) == expected


@pytest.mark.parametrize(
    "path",
    [
        "tfy-secret__acme__payments__DB_PASSWORD",
        "projects/acme-prod/secrets/tfy-secret__acme__payments__DB_PASSWORD",
        "projects/123456789012/secrets/tfy-secret__acme__payments__DB_PASSWORD",
        "projects/other/secrets/tfy-secret__acme__payments__DB_PASSWORD/versions/1",
        "TFY-SECRET__acme__payments__DB_PASSWORD",
        "tfy-secret__",
    ],
)
def test_a_managed_secret_has_no_other_spelling(path: str) -> None:
    """A store's allow rule must not open what a group's roles keep closed."""
    with pytest.raises(InvalidRequest, match="managed secrets are named tfy-secret://<tenant>:<group>:<key>"):
        find_name(PARENT, path)


@pytest.mark.parametrize(
    "path",
    [
        "/db-password",
        "a.b",
        "a/b",
        "x/versions/1",
        "projects/p/secrets/",
        "projects/p/secrets/a.b",
        "projects//secrets/x",
        "projects/p/secrets/x/versions/1/x",
        "projects/p/secrets/x/",
        "/projects/p/secrets/x",
        "//secretmanager.googleapis.com/projects/p/secrets/x",
        "projects/p/../q/secrets/x",
        "projects/P/secrets/x",
        "\u00e4",
        "x" * 256,
        "db%2Fpassword",
    ],
)
def test_what_google_cannot_name_is_refused_with_what_it_can(path: str) -> None:
    with pytest.raises(InvalidRequest, match=r"allowed: a secret's id, or projects/<project>/secrets/<id>\[/versions/<version>\]"):
        find_name(PARENT, path)


@pytest.mark.parametrize(
    "path", ["/tfy-secret/", "/tfy-secret/acme/payments", "/tfy-secret/acme//KEY", "/tfy-secret/a/b/c/d", "/tfy-secret/a/b/.c"]
)
def test_half_a_managed_path_is_no_name(path: str) -> None:
    with pytest.raises(InvalidRequest, match="allowed: /tfy-secret/<tenant>/<group>/<key>, or a secret's id"):
        find_name(PARENT, path)


def test_two_versions_that_differ_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="found version '2' beside it. To fix: remove .version=, or the one in the path"):
        find_name(PARENT, "projects/p/secrets/x/versions/1", "2")


@pytest.mark.parametrize("version", ["", "0", "01", "-1", "1.0", "9" * 20, "\u0661", "a" * 64, "1a", "a/b", "a b"])
def test_a_version_that_none_can_be_called_is_not_found_without_a_call(version: str) -> None:
    with pytest.raises(NotFound, match="no version is called so; allowed: a number, an alias, or latest"):
        find_name(PARENT, "x", version)


def test_names_of_a_location() -> None:
    """Regional secrets have a service of their own, which knows no others."""
    assert find_name(REGIONAL, "/tfy-secret/a/b/c").resource == f"{REGIONAL}/secrets/tfy-secret__a__b__c"
    assert find_name(REGIONAL, "projects/other/locations/europe-west1/secrets/x").parent == "projects/other/locations/europe-west1"
    for parent, path in (
        (REGIONAL, "projects/other/secrets/x"),
        (REGIONAL, "projects/other/locations/us-east1/secrets/x"),
        (PARENT, "projects/other/locations/us-east1/secrets/x"),
    ):
        with pytest.raises(InvalidRequest, match="location"):
            find_name(parent, path)


def test_the_number_in_an_answer() -> None:
    """The service writes the project's number where its id was asked for; the secret must be the one that was asked for."""
    assert number_of("projects/1/secrets/x/versions/12", Name(PARENT, "x")) == "12"
    for answer in ("projects/1/secrets/y/versions/12", "projects/1/secrets/x/versions/live", "projects/1/secrets/x", ""):
        assert number_of(answer, Name(PARENT, "x")) is None
