"""The client as a whole: which mount and version, namespaces, whose certificates, where it may be, and what `healthy` tells."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from httpx import HTTPStatusError

from broker.check_store import check_store, run_check
from broker.errors import Misconfigured, NotFound, StoreRefused
from broker.stores.addresses import Reach
from broker.stores.registry import StoreSettings, open_store
from broker.stores.vault.client import Vault
from contract.resources import SecretStore
from contract.values import SecretValue
from tests.broker.stores.faults import FaultyProxy
from tests.broker.stores.vault.bao import POLICY, Bao
from tests.broker.stores.vault.conftest import PATH, Clock, asked
from tests.generic_server import Fault

VALUE = SecretValue(b"canary-value-c4")
Open = Callable[..., Vault]


# --- mounts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
async def test_the_version_is_asked_for_once(bao: Bao, proxy: FaultyProxy, open_vault: Open, version: int) -> None:
    client = open_vault(bao.mount(version), address=proxy.url)
    for _ in range(3):
        await client.write(PATH, VALUE)
        assert (await client.read(PATH)).value == VALUE
    assert asked(proxy, "/sys/internal/ui/mounts/") == 1


async def test_a_version_in_the_manifest_is_not_asked_for(proxy: FaultyProxy, open_vault: Open, kv2: str) -> None:
    client = open_vault(kv2, address=proxy.url, kvVersion=2)
    await client.write(PATH, VALUE)
    assert asked(proxy, "/sys/internal/ui/mounts/") == 0
    for _ in range(3):
        with pytest.raises(NotFound):
            await client.read(PATH + "X")
    assert asked(proxy, "/sys/internal/ui/mounts/") == 1, "what is missing may be at the other version's place: looked at once"


async def test_a_version_that_is_wrong_is_told(bao: Bao, open_vault: Open, tmp_path: Path, kv1: str, kv2: str) -> None:
    client = open_vault(kv2, kvVersion=1)
    with pytest.raises(Misconfigured, match=f"mount '{kv2}': found KV version 2, not 1. To fix: remove vault.kvVersion"):
        await client.healthy()
    (tmp_path / "token").write_text(bao.root)
    with pytest.raises(Misconfigured, match="KV version 2, not 1"):
        await client.read(PATH)
    client = open_vault(kv1, kvVersion=2)
    with pytest.raises(Misconfigured, match="found KV version 1, not 2"):
        await client.healthy()
    client = open_vault(kv1, kvVersion=2)
    (tmp_path / "token").write_text(bao.root)
    for _ in range(2):  # the second time without another look
        with pytest.raises(Misconfigured, match="found KV version 1, not 2"):
            await client.read(PATH)
        with pytest.raises(Misconfigured, match="found KV version 1, not 2"):
            await client.write(PATH, VALUE)


async def test_missing_secrets_do_not_make_us_look_each_time(proxy: FaultyProxy, open_vault: Open, clock: Clock, kv2: str) -> None:
    client = open_vault(kv2, address=proxy.url)
    for wait, looks in ((0, 1), (10, 1), (21, 2), (10, 2)):
        clock.now += wait
        for _ in range(3):
            with pytest.raises(NotFound):
                await client.read(PATH)
        assert asked(proxy, "/sys/internal/ui/mounts/") == looks


async def test_a_doubt_that_cannot_be_cleared_leaves_the_first_error(proxy: FaultyProxy, open_vault: Open, clock: Clock, kv2: str) -> None:
    client = open_vault(kv2, address=proxy.url)
    await client.write(PATH, VALUE)
    clock.now += 31
    proxy.faults = [Fault(status=404, body=b'{"errors":[]}'), Fault(status=500)]
    with pytest.raises(NotFound):
        await client.read(PATH)


async def test_a_mount_that_was_made_anew_with_another_version(bao: Bao, open_vault: Open, clock: Clock, tmp_path: Path, kv2: str) -> None:
    (tmp_path / "any").write_text(bao.root)
    client = open_vault(kv2, auth={"tokenFile": str(tmp_path / "any")})
    await client.write(PATH, VALUE)
    bao.call("DELETE", f"sys/mounts/{kv2}")
    bao.mount(1, name=kv2)
    bao.call("POST", f"{kv2}{PATH}", {"value": "anew"})
    clock.now += 31
    found = await client.read(PATH)
    assert found.value == SecretValue(b"anew") and found.version is None


async def test_a_nested_mount(bao: Bao, open_vault: Open) -> None:
    mount = bao.mount(2, name=f"kv2-team/{bao.name('deep')}")
    client = open_vault(f"/{mount}/")
    await client.write(PATH, VALUE)
    assert (await client.read(PATH)).value == VALUE
    with pytest.raises(Misconfigured, match=f"mount '{mount}/folder': the mount there is '{mount}'. To fix: name that in vault.mount"):
        await open_vault(f"{mount}/folder", auth={"tokenFile": _token(client)}).healthy()


def _token(client: Vault) -> str:
    return str(client._session.tokens._login._file.file)


async def test_a_mount_that_is_not_there_or_no_kv(bao: Bao, open_vault: Open, tmp_path: Path) -> None:
    (tmp_path / "root").write_text(bao.root)
    auth = {"tokenFile": str(tmp_path / "root")}
    with pytest.raises(StoreRefused, match="mount 'nowhere': the store refuses \\(403\\). To fix: .* or is vault.mount misspelt\\?"):
        await open_vault("nowhere", auth=auth).healthy()
    with pytest.raises(Misconfigured, match="path '/x': nothing is mounted there. To fix: correct vault.mount"):
        await open_vault("nowhere", auth=auth, kvVersion=2).read("/x")
    with pytest.raises(Misconfigured, match="mount 'sys': found an engine of type 'system'; allowed: kv"):
        await open_vault("sys", auth=auth).read("/x")


async def test_namespaces(bao: Bao, open_vault: Open, tmp_path: Path) -> None:
    """The same mount in two namespaces; the header says which."""
    namespace = bao.name("team")
    bao.call("POST", f"sys/namespaces/{namespace}", {})
    mount = bao.mount(2, namespace=namespace)
    outer = bao.mount(2, name=mount)
    assert outer == mount
    (tmp_path / "inner").write_text(bao.token(POLICY[2].format(mount=mount), namespace=namespace))
    inner = open_vault(mount, auth={"tokenFile": str(tmp_path / "inner")}, namespace=f"/{namespace}/")
    await inner.write(PATH, VALUE)
    await inner.healthy()
    assert (await inner.read(PATH)).value == VALUE
    with pytest.raises(NotFound):
        await open_vault(mount).read(PATH)
    with pytest.raises(Misconfigured, match="the store has no such namespace. To fix: correct vault.namespace"):
        await open_vault(mount, namespace="nowhere").healthy()


@pytest.mark.parametrize("namespace", ["a b", "a\r\nX-Vault-Token: x", "\u00e4"])
def test_a_namespace_that_no_header_carries(open_vault: Open, namespace: str) -> None:
    with pytest.raises(Misconfigured, match="vault.namespace: found .*; allowed: names as ASCII"):
        open_vault("kv2-x", auth={"tokenFile": "/t"}, namespace=namespace)


# --- health ------------------------------------------------------------------------------------------------------


async def test_healthy_reads_no_secret(proxy: FaultyProxy, open_vault: Open, kv2: str) -> None:
    await open_vault(kv2, address=proxy.url).healthy()
    assert [seen.target for seen in proxy.requests] == [
        "/v1/sys/health?standbyok=true&perfstandbyok=true",
        "/v1/auth/token/lookup-self",
        f"/v1/sys/internal/ui/mounts/{kv2}",
    ]


async def test_healthy_tells_what_a_read_would_meet(bao: Bao, open_vault: Open, tmp_path: Path, kv2: str) -> None:
    (tmp_path / "bad").write_text("not-a-token")
    with pytest.raises(StoreRefused, match="vault.auth.tokenFile: the store refuses"):
        await open_vault(kv2, auth={"tokenFile": str(tmp_path / "bad")}).healthy()
    (tmp_path / "none").write_text(bao.token('path "other/*" { capabilities = ["read"] }'))
    with pytest.raises(StoreRefused, match=f"any capability below '{kv2}/'"):
        await open_vault(kv2, auth={"tokenFile": str(tmp_path / "none")}).healthy()
    with pytest.raises(Misconfigured, match="file .*/missing cannot be read"):
        await open_vault(kv2, auth={"tokenFile": str(tmp_path / "missing")}).healthy()


# --- whose certificates, and where -------------------------------------------------------------------------------


async def test_the_manifests_ca_is_trusted_and_no_other(bao: Bao, open_vault: Open, tmp_path: Path, kv2: str) -> None:
    ca = tmp_path / "ca.pem"
    bao.authority.cert_pem.write_to_path(ca)
    client = open_vault(kv2, address=bao.tls_url, caFile=str(ca))
    await client.write(PATH, VALUE)
    assert (await client.read(PATH)).value == VALUE
    with pytest.raises(Misconfigured, match="the store's certificate is not accepted: .*issuer.* name its CA's file in vault.caFile"):
        await open_vault(kv2, address=bao.tls_url).read(PATH)


async def test_a_ca_file_that_changes_is_read_again(bao: Bao, open_vault: Open, tmp_path: Path, kv2: str) -> None:
    """Trust is taken away as well as given: open connections do not keep the old one."""
    ca = tmp_path / "ca.pem"
    ca.write_text("no certificate")
    client = open_vault(kv2, address=bao.tls_url, caFile=str(ca))
    with pytest.raises(
        Misconfigured, match=f"SecretStore test: vault.caFile: file {ca} holds no certificates that can be read. To fix: put"
    ):
        await client.write(PATH, VALUE)
    bao.authority.cert_pem.write_to_path(ca)
    await client.write(PATH, VALUE)
    aside = tmp_path / "aside"
    trustme.CA().cert_pem.write_to_path(aside)
    aside.replace(ca)
    with pytest.raises(Misconfigured, match="certificate is not accepted"):
        await client.read(PATH)
    bao.authority.cert_pem.write_to_path(aside)
    aside.replace(ca)
    assert (await client.read(PATH)).value == VALUE
    transport = client._session._exchange._http._transport
    await client.read(PATH)
    assert transport._retired == [], "the pools of older trusts are closed"
    ca.unlink()
    with pytest.raises(Misconfigured, match="holds no certificates"):
        await client.read(PATH)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://vault.example", "found plain HTTP; allowed: https"),
        ("https://127.0.0.1:8200", "is this machine itself"),
        ("https://2130706433", "is this machine itself"),
        ("https://0x7f.1:8200", "is this machine itself"),
        ("https://[::ffff:169.254.169.254]", "is link-local, where clouds serve their metadata"),
        ("https://user:canary@vault.example", "an https URL without user"),
        ("https://vault.example/?x", "an https URL without user, query and fragment"),
    ],
)
def test_where_a_vault_may_not_be(open_vault: Open, address: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message) as caught:
        open_vault("kv2-x", auth={"tokenFile": "/t"}, address=address, reach=Reach())
    assert caught.value.message.startswith("SecretStore test: vault.address: ") and "canary" not in caught.value.message


async def test_a_name_that_resolves_to_this_machine(open_vault: Open, kv2: str, bao: Bao) -> None:
    port = bao.tls_url.rpartition(":")[2]
    client = open_vault(kv2, address=f"https://localhost:{port}", reach=Reach())
    with pytest.raises(Misconfigured, match="'localhost' resolves to .* is this machine itself"):
        await client.read(PATH)


async def test_the_environments_own_names_are_not_heeded(
    open_vault: Open, kv2: str, monkeypatch: pytest.MonkeyPatch, proxy: FaultyProxy
) -> None:
    for name, value in {
        "VAULT_ADDR": proxy.url,
        "BAO_ADDR": proxy.url,
        "VAULT_TOKEN": "x",
        "VAULT_NAMESPACE": "x",
        "HTTP_PROXY": proxy.url,
        "http_proxy": proxy.url,
    }.items():
        monkeypatch.setenv(name, value)
    client = open_vault(kv2)
    await client.write(PATH, VALUE)
    assert proxy.requests == []


async def test_an_address_with_a_path(bao: Bao, open_vault: Open, kv2: str) -> None:
    """As behind an ingress: the API is below it."""
    async with FaultyProxy(bao.url) as proxy:
        client = open_vault(kv2, address=f"{proxy.url}/behind/")
        proxy.faults = [Fault(status=503)]
        with pytest.raises(Exception, match="the store fails"):
            await client.healthy()
        assert proxy.requests[0].target.startswith("/behind/v1/sys/health")


# --- opening and checking ----------------------------------------------------------------------------------------


async def test_opening_touches_nothing() -> None:
    settings = {"address": "https://vault.example", "mount": "secret", "caFile": "/nowhere", "auth": {"tokenFile": "/nowhere"}}
    client = open_store(SecretStore("s", "acme/vault/s", "vault", settings), StoreSettings())
    assert isinstance(client, Vault)
    await client.close()


@pytest.mark.parametrize("version", [1, 2])
async def test_check_store_holds(bao: Bao, open_vault: Open, version: int) -> None:
    mount = bao.mount(version)
    client = open_vault(mount)
    rows = await check_store(client)
    assert [f"{row.name}: {row.found}" for row in rows if row.verdict not in {"PASS", "SKIP"}] == []
    assert rows.kept
    skipped = {row.name for row in rows if row.verdict == "SKIP"}
    assert skipped == (set() if version == 2 else {"versions"})
    with pytest.raises(HTTPStatusError, match="404"):
        bao.call("LIST", f"{mount}/metadata/tfy-secret" if version == 2 else f"{mount}/tfy-secret")


async def test_check_store_by_its_command(bao: Bao, tmp_path: Path, kv2: str) -> None:
    (tmp_path / "token").write_text(bao.token(POLICY[2].format(mount=kv2)))
    settings = {"address": bao.url, "mount": kv2, "auth": {"tokenFile": str(tmp_path / "token")}}
    out = io.StringIO()
    store = SecretStore("bao", "acme/vault/bao", "vault", settings)
    assert await run_check(store, StoreSettings(reach=Reach(allow_loopback=True)), out) == 0, out.getvalue()
    assert "SecretStore bao (vault)" in out.getvalue() and "nothing left behind" in out.getvalue()
