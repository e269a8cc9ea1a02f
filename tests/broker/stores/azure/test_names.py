"""Names in the vault: one for each path, readable, and no other way to a managed secret."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.errors import InvalidRequest
from broker.stores.azure.names import MAX_NAME, PROBE, Target, decode, encode, locate

VAULT = "ours.vault.azure.net"
PART = st.from_regex(r"\A[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
# Few characters, so that what the rule treats apart comes together often.
DENSE = st.text("aB1._-", max_size=12).map(lambda middle: f"b{middle}1") | st.text("aB1._-", max_size=12).map(lambda middle: f"1{middle}A")
VERSION = "0123456789abcdef0123456789abcdef"


def path_of(*parts: str) -> str:
    return "/".join(["", "tfy-secret", *parts])


@given(st.tuples(PART | DENSE, PART | DENSE, PART | DENSE))
@example(("a", "b", "aB-C"))
@example(("a", "b", "a-Bc"))
@example(("a", "b", "A_bC_1"))
@example(("0", "1", "2"))
def test_a_name_leads_back_to_its_path_whatever_the_case_of_its_letters(parts: tuple[str, str, str]) -> None:
    path = path_of(*parts)
    try:
        name = encode(path)
    except InvalidRequest as error:
        assert "allowed: at most 127" in error.message
        return
    assert re.fullmatch(r"[0-9a-z-]{1,127}", name)
    assert decode(name) == decode(name.upper()) == path
    assert locate(path, VAULT) == Target(name)
    assert name != PROBE


@given(st.text("abz0123-", max_size=40).map(lambda rest: "tfy-secret" + rest))
@example("tfy-secret--a--b--c-3d-3e")
@example("tfy-secret--a--b--c-4d")
@example("tfy-secret--a--b--c-3")
@example("tfy-secret--a--b--1-3")
@example("tfy-secret--a--b--c----d")
@example("tfy-secret--a--b")
@example("tfy-secret--a--b--c--d")
def test_a_name_that_is_not_the_one_of_a_path_is_none(name: str) -> None:
    try:
        path = decode(name)
    except ValueError:
        return
    assert encode(path) == name


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("acme", "payments", "DB_PASSWORD"), "tfy-secret--acme--payments---db-password"),
        (("acme", "payments", "db-password"), "tfy-secret--acme--payments--db-password"),
        (("acme", "payments", "db_password"), "tfy-secret--acme--payments--db-1password"),
        (("acme", "payments", "tls.crt"), "tfy-secret--acme--payments--tls-2crt"),
        (("acme", "payments", "dbPassword"), "tfy-secret--acme--payments--db-3password"),
        (("acme", "payments", "DbPassword"), "tfy-secret--acme--payments---d-3bp-4assword"),
        (("acme", "payments", "S3_KEY_2"), "tfy-secret--acme--payments---s3-key-12"),
        (("acme", "payments-2", "DB-PASSWORD"), "tfy-secret--acme--payments-02---db-0password"),
        (("Acme", "IT", "a--b"), "tfy-secret---a-4cme---it--a-0-b"),
        (("a", "b", "a-B"), "tfy-secret--a--b--a-0-3b"),
        (("a", "b", "aBCd"), "tfy-secret--a--b--a-4bc-3d"),
    ],
)
def test_names_as_the_page_shows_them(parts: tuple[str, str, str], name: str) -> None:
    assert encode(path_of(*parts)) == name
    assert decode(name) == path_of(*parts)


def test_the_longest_name_and_one_more_character() -> None:
    room = MAX_NAME - len(encode(path_of("a", "b", "c"))) + 1
    assert len(encode(path_of("a", "b", "c" * room))) == MAX_NAME
    with pytest.raises(InvalidRequest, match=r"would have 128 characters; allowed: at most 127. To fix: a shorter group or key"):
        locate(path_of("a", "b", "c" * (room + 1)), VAULT)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("smtp-key", Target("smtp-key")),
        ("/smtp-key", Target("smtp-key")),
        ("tfy-secret-x", Target("tfy-secret-x")),
        (f"https://{VAULT}/secrets/Smtp-Key", Target("Smtp-Key")),
        (f"HTTPS://OURS.vault.azure.net:443/secrets/smtp-key/{VERSION}", Target("smtp-key", VERSION)),
        (f"https://{VAULT}/secrets/smtp-key/", Target("smtp-key")),
    ],
)
def test_own_paths(path: str, target: Target) -> None:
    assert locate(path, VAULT) == target


@pytest.mark.parametrize(
    "path",
    [
        "tfy-secret--acme--payments---db-password",
        "TFY-SECRET--acme--payments---db-password",
        "/Tfy-Secret--ACME--payments---db-password",
        "tfy-secret--",
        "tfy-secret--whatever",
        f"https://{VAULT}/secrets/tfy-secret--acme--payments---db-password",
        f"https://{VAULT}/secrets/TFY-secret--acme--payments---db-password/{VERSION}",
    ],
)
def test_a_managed_secret_is_not_to_be_had_by_its_name_in_the_vault(path: str) -> None:
    with pytest.raises(InvalidRequest, match="managed secrets are named tfy-secret://<tenant>:<group>:<key>, not by what they are called"):
        locate(path, VAULT)


@pytest.mark.parametrize(
    "path",
    [
        "smtp_key",
        "mail/smtp-key",
        "//smtp-key",
        "smtp-key/",
        "smtp-key/" + VERSION,
        "smtp key",
        "smtp-k\u0435y",  # a Cyrillic letter
        "smtp-\u212aey",  # the Kelvin sign, which lower() makes a k
        "a" * 128,
        "smtp-key?api-version=1",
        "smtp-key%2fx",
        "/tfy-secret/acme/payments",
        "/tfy-secret/acme/payments/a/b",
        "/tfy-secret/acme/payments/-x",
        "/tfy-secret//acme/payments/x",
        "tfy-secret/acme/payments/x",
        "/TFY-SECRET/acme/payments/x",
    ],
)
def test_what_is_no_name_in_the_vault_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match=r"no name in Key Vault; allowed: letters, digits and '-', at most 127"):
        locate(path, VAULT)


@pytest.mark.parametrize(
    "path",
    [
        "https://other.vault.azure.net/secrets/smtp-key",
        f"https://{VAULT}.evil.example/secrets/smtp-key",
        f"https://{VAULT}@evil.example/secrets/smtp-key",
        f"https://user@{VAULT}/secrets/smtp-key",
        f"https://{VAULT}:8443/secrets/smtp-key",
        f"https://{VAULT}/keys/smtp-key",
        f"https://{VAULT}/secrets/a/b/c",
        f"http://{VAULT}/secrets/smtp-key",
        f"https://{VAULT}\\@evil.example/secrets/smtp-key",
        "x://y",
    ],
)
def test_an_id_of_another_vault_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match=r"no secret of this vault; allowed: https://ours\.vault\.azure\.net/secrets/<name>"):
        locate(path, VAULT)
