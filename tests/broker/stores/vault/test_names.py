"""One name, one spelling; and no own path reaches what a group's roles keep closed."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidRequest, Misconfigured, NotFound
from broker.stores.vault.client import Vault
from broker.stores.vault.names import Name, parse, parse_mount
from contract.fqn import ROOT, is_part
from tests.broker.stores.faults import FaultyProxy
from tests.broker.stores.vault.bao import Bao

SEPARATE = "managed secrets are named tfy-secret://<tenant>:<group>:<key>"
TWO_MEANINGS = "begins neither with '/' nor with the mount 'team/kv/'"
ANOTHER_NAME = "has a segment that is empty, '.', '..' or not printable"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("/tfy-secret/acme/pay/K.1_-a", Name("tfy-secret/acme/pay/K.1_-a", ours=True), id="managed"),
        pytest.param("/tfy-secret-check/1f/first", Name("tfy-secret-check/1f/first", ours=False), id="not-below-our-root"),
        pytest.param("/mail/smtp", Name("mail/smtp", ours=False), id="below-the-mount"),
        pytest.param("team/kv/mail/smtp", Name("mail/smtp", ours=False), id="with-the-mount"),
        pytest.param("/team/kv/mail", Name("team/kv/mail", ours=False), id="a-folder-called-like-the-mount"),
        pytest.param("/data/mail", Name("data/mail", ours=False), id="a-folder-called-data"),
        pytest.param("/a..b/c %2F+\\", Name("a..b/c %2F+\\", ours=False), id="odd-letters-are-letters"),
        pytest.param("/tfy-secrets/acme", Name("tfy-secrets/acme", ours=False), id="another-folder"),
        # The design's own example of an allow rule; below our tenant's folder `contract.access` has asked the group's roles before.
        pytest.param("/tfy-secret/mail/smtp-key", Name("tfy-secret/mail/smtp-key", ours=False), id="own-below-our-root"),
    ],
)
def test_a_path_has_one_name(path: str, name: Name) -> None:
    assert parse("s", path, "team/kv") == name


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("mail/smtp", TWO_MEANINGS, id="no-slash-no-mount"),
        pytest.param("other/mail", TWO_MEANINGS, id="another-mount"),
        pytest.param("team/kv", TWO_MEANINGS, id="the-mount-alone"),
        pytest.param("TEAM/KV/mail", TWO_MEANINGS, id="the-mount-in-another-case"),
        pytest.param("//mail", ANOTHER_NAME, id="two-slashes"),
        pytest.param("/a//b", ANOTHER_NAME, id="an-empty-segment"),
        pytest.param("/a/", ANOTHER_NAME, id="a-trailing-slash"),
        pytest.param("/a/../b", ANOTHER_NAME, id="parent"),
        pytest.param("/./a", ANOTHER_NAME, id="here"),
        pytest.param("/a\u2028b", ANOTHER_NAME, id="unprintable"),
        pytest.param("/tfy-secret/mail/tfy-secret/acme/pay/K", SEPARATE, id="managed-below-an-own-folder"),
        pytest.param("/tfy-secret/tfy-secret", SEPARATE, id="our-root-twice"),
        pytest.param("tfy-secret/mail/smtp", TWO_MEANINGS, id="below-our-root-without-a-slash"),
        pytest.param("team/kv/tfy-secret/acme/pay/K", SEPARATE, id="managed-with-the-mount"),
        pytest.param("/data/tfy-secret/acme/pay/K", SEPARATE, id="managed-by-the-api's-path"),
        pytest.param("/metadata/tfy-secret/acme", SEPARATE, id="its-metadata"),
        pytest.param("/TFY-Secret/acme/pay/K", SEPARATE, id="another-case"),
    ],
)
def test_what_could_be_another_name_is_refused(path: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(message)):
        parse("SecretStore s", path, "team/kv")


def test_a_mount_called_like_our_root_gives_no_second_spelling() -> None:
    with pytest.raises(InvalidRequest, match=re.escape(SEPARATE)):
        parse("s", "tfy-secret/acme/pay/K", "tfy-secret")


PIECES = ["/", "/tfy-secret/", "tfy-secret", "team/kv", "acme", "pay", "K", ".", "..", "%2F", "data", " ", "\\", "\u00e4"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_no_spelling_but_one_leads_to_a_managed_secret(path: str) -> None:
    try:
        name = parse("s", path, "team/kv")
    except InvalidRequest:
        return
    assert unquote(name.quoted) == name.below
    assert "//" not in f"/{name.quoted}/" and not {".", ".."} & set(name.below.split("/"))
    if ROOT in name.below.split("/"):
        assert path == f"/{name.below}", "the one spelling that access is decided by"
        assert name.ours or name.below.split("/").count(ROOT) == 1  # a tenant, a group or a key may be called so
        assert name.ours == (name.below.count("/") == 3 and all(map(is_part, name.below.split("/"))))


@pytest.mark.parametrize("mount", ["", "/", "a//b", "../sys", "a/./b", "a\nb"])
def test_a_mount_that_is_none(mount: str) -> None:
    with pytest.raises(Misconfigured, match="allowed: where it is mounted, e.g. secret or team/kv"):
        parse_mount("SecretStore s: vault.mount", mount)
    assert parse_mount("s", "/team/kv/") == "team/kv"


HOSTILE = [
    "/{folder}/../tfy-secret/acme/pay/K",
    "/x/%2e%2e/tfy-secret/acme/pay/K",
    "//tfy-secret/acme/pay/K",
    "/tfy-secret//acme/pay/K",
    "/tfy-secret/acme/pay/K/",
    "/./tfy-secret/acme/pay/K",
    "{mount}/tfy-secret/acme/pay/K",
    "/data/tfy-secret/acme/pay/K",
    "/tfy-secret%2Facme%2Fpay%2FK",
    "/tfy-secret%2facme/pay/K",
    "/%74fy-secret/acme/pay/K",
    "/tfy-secret/acme/pay/K?version=1",
    "/x#/../tfy-secret/acme/pay/K",
    "/tfy-secret\\acme\\pay\\K",
    "/x;/tfy-secret/acme/pay/K",
    "../{mount}/tfy-secret/acme/pay/K",
    "/../{mount}/data/tfy-secret/acme/pay/K",
]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("claimed", [None, 1])
async def test_no_spelling_reads_a_managed_secret_from_a_real_server(
    bao: Bao, open_vault: Callable[..., Vault], tmp_path: Path, version: int, claimed: int | None
) -> None:
    """Also where the manifest says the wrong KV version: `data/` is then part of a path."""
    mount = bao.mount(version)
    entry = {"value": "canary-value"}
    for path in ("tfy-secret/acme/pay/K", "folder/x"):
        bao.call("POST", f"{mount}/data/{path}" if version == 2 else f"{mount}/{path}", {"data": entry} if version == 2 else entry)
    token = bao.token(f'path "{mount}/*" {{ capabilities = ["read", "list"] }}')
    (tmp_path / "readable").write_text(token)
    client = open_vault(mount, auth={"tokenFile": str(tmp_path / "readable")}, **({"kvVersion": claimed} if claimed else {}))
    for hostile in HOSTILE:
        path = hostile.format(folder="folder", mount=mount)
        try:
            found = await client.read(path)
        except Exception as error:
            assert type(error).__name__ in {"InvalidRequest", "NotFound", "Misconfigured"}, path
            assert "canary" not in str(error)
        else:
            pytest.fail(f"{path} was read: {len(found.value)} bytes")


async def test_names_that_servers_would_tidy_stay_apart(bao: Bao, open_vault: Callable[..., Vault], kv1: str) -> None:
    """Each is written by the server's own API at the quoted name, and read by ours."""
    client = open_vault(kv1)
    names = ["a b", "a+b", "a%2Fb", "a%20b", "%2e%2e", "\u00e4/\U0001f511", "a\\b", "a?b", "a#b", "a;b", "a*", "x ", " x", "a..b"]
    for name in names:
        bao.call("POST", f"{kv1}/{quote(name)}", {"name": name})
    for name in names:
        assert (await client.read("/" + name)).value.reveal() == (await client.read(f"{kv1}/{name}")).value.reveal()
        assert json.loads((await client.read("/" + name)).value.reveal()) == {"name": name}


async def test_what_is_refused_is_not_sent(proxy: FaultyProxy, open_vault: Callable[..., Vault], kv2: str) -> None:
    client = open_vault(kv2, address=proxy.url)
    for call in (client.read, client.delete, client.versions):
        with pytest.raises(InvalidRequest):
            await call("/data/tfy-secret/acme/pay/K")
    assert proxy.requests == []


async def test_a_managed_name_takes_an_entry_of_other_keys_whole(bao: Bao, open_vault: Callable[..., Vault], kv2: str) -> None:
    """`vault kv put` gave it keys of its own, for `#password`."""
    bao.call("POST", f"{kv2}/data/tfy-secret/acme/pay/K", {"data": {"password": "canary-value"}})
    assert (await open_vault(kv2).read("/tfy-secret/acme/pay/K")).value.reveal() == b'{"password":"canary-value"}'


@pytest.mark.parametrize(
    ("path", "meant"),
    [("/{mount}/mail/smtp", "'{mount}/mail/smtp'"), ("/data/mail/smtp", "'/mail/smtp'"), ("{mount}/data/mail/smtp", "'/mail/smtp'")],
    ids=["mount-behind-a-slash", "the-api's-path", "the-api's-path-with-the-mount"],
)
async def test_a_path_that_is_commonly_misread_is_told_how_to_write_it(
    open_vault: Callable[..., Vault], kv2: str, path: str, meant: str
) -> None:
    with pytest.raises(NotFound, match=f"To fix: .*; is {re.escape(meant.format(mount=kv2))} meant\\?$"):
        await open_vault(kv2).read(path.format(mount=kv2))
    with pytest.raises(NotFound, match="no such secret \\(404\\)$"):
        await open_vault(kv2).read("/mail/smtp")
