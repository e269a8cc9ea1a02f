"""What becomes of reads, writes and deletions in a key vault, and of what the vault refuses."""

import asyncio
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import trustme
from aiohttp import web

from broker.check_store import check_store
from broker.errors import Disabled, InvalidRequest, Malformed, NotFound, SoftDeleted, StoreRefused, TooLarge, Unavailable
from broker.stores.azure.client import AzureKeyVault
from broker.stores.azure.names import PROBE
from contract.values import SecretValue
from tests.broker.stores.azure.opening import QUICK, client_trust
from tests.broker.stores.azure.server import KeyVaultServer
from tests.broker.stores.faults import FaultyProxy
from tests.generic_server import Fault

PATH, NAME = "/tfy-secret/acme/payments/DB_PASSWORD", "tfy-secret--acme--payments---db-password"
NO_VERSION = "0" * 32


async def test_a_managed_secret_has_its_readable_name_in_the_vault(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.write(PATH, SecretValue(b"one"))
    assert list(vault.secrets) == [NAME]


async def test_own_paths_are_names_in_any_case_and_ids(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    old, new = vault.put("Smtp-Key", "old"), vault.put("Smtp-Key", "new")
    for path in ("smtp-key", "/SMTP-KEY", f"{vault.url}/secrets/smtp-key", f"{vault.url}/secrets/smtp-key/{new}"):
        found = await client.read(path)
        assert found.value == SecretValue(b"new")
        assert found.version == new
    for path, version in (("smtp-key", old), (f"{vault.url}/secrets/smtp-key/{old}", None), (f"{vault.url}/secrets/smtp-key/{old}", old)):
        found = await client.read(path, version)
        assert found.value == SecretValue(b"old")
        assert found.version == old
    with pytest.raises(InvalidRequest, match="the path names one version, .version= another"):
        await client.read(f"{vault.url}/secrets/smtp-key/{old}", new)
    with pytest.raises(InvalidRequest, match="a version that exists is not written"):
        await client.write(f"{vault.url}/secrets/smtp-key/{old}", SecretValue(b"x"))


async def test_a_version_that_azure_cannot_have_made_is_not_asked_for(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    """An empty one would be read as the newest."""
    vault.put("smtp-key", "value")
    for version in ("", "1", "latest", "0" * 31, "0" * 33, "0" * 31 + "G", "0" * 31 + "A", "../" + "0" * 29):
        with pytest.raises(NotFound, match=r"SecretStore kv: path 'smtp-key' version '.*': no version has that name; Azure's have 32"):
            await client.read("smtp-key", version)
        with pytest.raises(NotFound):
            await client.delete("smtp-key", version)
    assert vault.requests == []


async def test_versions_of_one_second_are_in_order_over_pages(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    """The vault tells whole seconds, and lists in no order."""
    first = vault.put(NAME, "by hand", created=int(time.time()) - 100)
    written = [await client.write(PATH, SecretValue(b"x")) for _ in range(10)]
    later = vault.put(NAME, "by hand", created=int(time.time()) + 100)
    listed = await client.versions(PATH)
    assert [version.version for version in listed] == [first, *written, later]
    assert all(version.created is not None and version.created.utcoffset() is not None for version in listed)


async def test_a_version_without_a_time_or_with_a_foreign_tag_is_listed_first(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    written = await client.write(PATH, SecretValue(b"x"))
    other = vault.put(NAME, "by hand")
    vault.secrets[NAME].versions[-1].attributes.pop("created")
    vault.secrets[NAME].versions[-1].tags = {"tfy-secret-order": "\u0661"}
    assert [version.version for version in await client.versions(PATH)] == [other, written]


async def test_a_disabled_version_says_so(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    one, two = await client.write(PATH, SecretValue(b"one")), await client.write(PATH, SecretValue(b"two"))
    await client.delete(PATH, two)
    assert [version.attributes["enabled"] for version in vault.secrets[NAME].versions] == [True, False]
    for version in (two, None):
        with pytest.raises(Disabled, match="the version is disabled in the vault. To fix: enable it there, or name another version"):
            await client.read(PATH, version)
    assert (await client.read(PATH, one)).value == SecretValue(b"one")
    assert [version.version for version in await client.versions(PATH)] == [one]
    await client.delete(PATH, one)
    assert await client.versions(PATH) == []


async def test_a_value_outside_of_its_dates_is_given_as_azure_does(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    now = int(time.time())
    vault.put("expired", "old", exp=now - 10)
    vault.put("early", "new", nbf=now + 1000)
    assert (await client.read("expired")).value == SecretValue(b"old")
    assert (await client.read("early")).value == SecretValue(b"new")


async def test_a_deleted_secret_says_that_it_can_be_recovered(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    version = await client.write(PATH, SecretValue(b"one"))
    await client.delete(PATH)
    said = (
        r"SecretStore kv: path '/tfy-secret/acme/payments/DB_PASSWORD'.*: the secret is deleted, and the vault still keeps it. To fix: rec"
    )
    for call in (client.read(PATH), client.read(PATH, version), client.versions(PATH), client.delete(PATH), client.delete(PATH, version)):
        with pytest.raises(SoftDeleted, match=said):
            await call


@pytest.mark.parametrize("denied", [True, False])
async def test_what_was_never_there_is_missing(vault: KeyVaultServer, client: AzureKeyVault, denied: bool) -> None:
    """Whether a secret is kept may be hidden from the broker; then a deleted one is just missing."""
    if denied:
        await client.write(PATH, SecretValue(b"one"))
        await client.delete(PATH)
        vault.denied["get-deleted"] = "ForbiddenByRbac"
    for call in (client.read(PATH), client.read(PATH, NO_VERSION), client.versions(PATH), client.delete(PATH)):
        with pytest.raises(NotFound, match="the vault has no such secret") as caught:
            await call
        assert type(caught.value) is NotFound


async def test_a_missing_secret_and_a_vault_that_fails_then_is_missing(
    vault: KeyVaultServer, proxy: FaultyProxy, proxied: AzureKeyVault
) -> None:
    await proxied.healthy()
    proxy.faults = [Fault(status=404, body=b"{}"), Fault(status=500)]
    with pytest.raises(NotFound, match="no such secret"):
        await proxied.read(PATH)


async def test_a_deleted_secret_is_written_again_and_its_old_versions_stay_unreadable(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    vault.settle = 3
    old = [await client.write(PATH, SecretValue(b"leaked")) for _ in range(5)]
    await client.delete(PATH)
    new = await client.write(PATH, SecretValue(b"new"))
    assert (await client.read(PATH)).value == SecretValue(b"new")
    for version in old:
        with pytest.raises(Disabled):
            await client.read(PATH, version)
    assert [version.version for version in await client.versions(PATH)] == [new]
    assert (vault.count("POST"), vault.deleted) == (1, {})


async def test_writing_a_deleted_secret_needs_the_right_to_recover(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.write(PATH, SecretValue(b"one"))
    await client.delete(PATH)
    vault.denied["recover"] = "ForbiddenByRbac"
    with pytest.raises(
        StoreRefused, match="'Key Vault Secrets Officer' at the vault .with access policies: the secret permission 'recover'"
    ):
        await client.write(PATH, SecretValue(b"two"))
    assert NAME in vault.deleted


async def test_a_secret_that_is_on_its_way_is_tried_again_later(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.write(PATH, SecretValue(b"one"))
    vault.secrets[NAME].waits = 1000
    with pytest.raises(Unavailable, match=r"still recovering the secret of this name \(409\). To fix: try again in some seconds"):
        await client.write(PATH, SecretValue(b"two"))
    vault.deleted[NAME] = vault.secrets.pop(NAME)
    with pytest.raises(Unavailable, match=r"still deleting the secret of this name \(409\). To fix: try again in some seconds"):
        await client.write(PATH, SecretValue(b"two"))


async def test_a_conflict_that_is_not_explained_is_tried_again(proxy: FaultyProxy, proxied: AzureKeyVault) -> None:
    await proxied.healthy()
    proxy.faults = [
        Fault(status=409, headers={"Content-Type": "application/json"}, body=b'{"error": {"code": "Conflict", "message": "m"}}')
    ]
    with pytest.raises(Unavailable, match=r"is being changed by someone else \(409\). To fix: try again"):
        await proxied.write(PATH, SecretValue(b"one"))


async def test_a_deletion_that_the_vault_has_taken_is_one_even_if_it_takes_long(
    vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault]
) -> None:
    client = open_client(vault.url, patience=replace(QUICK, gone=0.1))
    await client.write(PATH, SecretValue(b"one"))
    vault.settle = 10_000
    await client.delete(PATH)
    assert vault.secrets == {}
    with pytest.raises(NotFound):
        await client.read(PATH)


async def test_a_deletion_that_the_vault_has_not_taken_is_none(
    proxy: FaultyProxy, vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault]
) -> None:
    client = open_client(proxy.url, patience=replace(QUICK, gone=0.3))
    await client.write(PATH, SecretValue(b"one"))
    for fault in (Fault(wait=0.6), Fault(status=503)):
        proxy.faults = [fault]
        with pytest.raises(Unavailable):
            await client.delete(PATH)
    assert list(vault.secrets) == [NAME]


async def test_a_recovery_goes_on_without_its_caller_and_who_writes_next_waits_for_it(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    """A caller's patience is shorter than Azure's recoveries; old versions must not stay readable because it ended."""
    old = await client.write(PATH, SecretValue(b"leaked"))
    await client.delete(PATH)
    vault.settle = 40
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.write(PATH, SecretValue(b"lost"))
    new = await client.write(PATH, SecretValue(b"new"))
    assert (await client.read(PATH)).value == SecretValue(b"new")
    with pytest.raises(Disabled):
        await client.read(PATH, old)
    assert [version.version for version in await client.versions(PATH)] == [new]
    assert vault.count("POST") == 1


async def test_writes_at_once_of_a_deleted_secret_recover_it_once(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.write(PATH, SecretValue(b"one"))
    await client.delete(PATH)
    written = await asyncio.gather(*(client.write(PATH, SecretValue(b"two")) for _ in range(5)))
    assert {version.version for version in await client.versions(PATH)} == set(written)
    assert vault.count("POST") == 1


async def test_what_another_replica_wrote_since_the_recovery_stays(
    vault: KeyVaultServer, client: AzureKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await client.write(PATH, SecretValue(b"one"))
    await client.delete(PATH)
    recover = vault._recover
    theirs = []

    async def recovered(request: web.Request, name: str) -> object:
        answer = await recover(request, name)
        theirs.append(vault.put(NAME, "theirs", created=int(time.time()) + 5))
        return answer

    monkeypatch.setattr(vault, "recovered", recovered)
    mine = await client.write(PATH, SecretValue(b"mine"))
    assert {version.version for version in await client.versions(PATH)} == {*theirs, mine}
    assert (await client.read(PATH, theirs[0])).value == SecretValue(b"theirs")
    with pytest.raises(Disabled):
        await client.read(PATH, old)


async def test_a_secret_that_someone_else_recovers_in_between_is_written(
    vault: KeyVaultServer, client: AzureKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.write(PATH, SecretValue(b"one"))
    await client.delete(PATH)
    monkeypatch.setattr(vault, "kept", vault.recover_by_hand)
    await client.write(PATH, SecretValue(b"two"))
    assert (await client.read(PATH)).value == SecretValue(b"two")


async def test_a_client_that_is_closed_leaves_no_recovery_running(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.write(PATH, SecretValue(b"one"))
    await client.delete(PATH)
    vault.settle = 10_000
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.write(PATH, SecretValue(b"two"))
    assert len([task for task in asyncio.all_tasks() if "_bring_back" in repr(task)]) == 1
    await client.close()
    assert [task for task in asyncio.all_tasks() if "_bring_back" in repr(task)] == []


async def test_what_key_vault_cannot_hold_is_refused_before_a_call(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    with pytest.raises(InvalidRequest, match="the value is not UTF-8, and Key Vault holds text. To fix: encode it, e.g. as base64"):
        await client.write(PATH, SecretValue(b"\xff\x00"))
    with pytest.raises(TooLarge, match="found a value of 25602 bytes; allowed: at most 25600 bytes of UTF-8 in Key Vault"):
        await client.write(PATH, SecretValue("\u00e9".encode() * 12801))
    with pytest.raises(InvalidRequest, match="path 'smtp_key': no name in Key Vault"):
        await client.read("smtp_key")
    assert vault.requests == []


@pytest.mark.parametrize(
    ("operation", "code", "kind", "said"),
    [
        (
            "get",
            "ForbiddenByRbac",
            StoreRefused,
            r"403 ForbiddenByRbac\). To fix: assign it the role 'Key Vault Secrets User' at the vault",
        ),
        ("get", "ForbiddenByPolicy", StoreRefused, r"add the secret permission 'get' for the broker's identity to the vault's access pol"),
        (
            "get",
            "ForbiddenByFirewall",
            StoreRefused,
            r"refuses the broker's address \(403 ForbiddenByFirewall\). To fix: allow the broker's",
        ),
        ("get", "SomethingNew", StoreRefused, r"may not do this \(403\). To fix: assign it the role 'Key Vault Secrets User'"),
        (
            "list",
            "ForbiddenByRbac",
            StoreRefused,
            r"role 'Key Vault Secrets User' at the vault .with access policies: the secret permission 'list'",
        ),
        (
            "set",
            "ForbiddenByRbac",
            StoreRefused,
            r"role 'Key Vault Secrets Officer' at the vault .with access policies: the secret permission 'set'",
        ),
        (
            "delete",
            "AccessDenied",
            StoreRefused,
            r"role 'Key Vault Secrets Officer' at the vault .with access policies: the secret permission 'del",
        ),
    ],
)
async def test_a_refusal_names_the_right_that_is_missing(
    vault: KeyVaultServer, client: AzureKeyVault, operation: str, code: str, kind: type[Exception], said: str
) -> None:
    vault.denied[operation] = code
    call = {
        "get": lambda: client.read(PATH),
        "list": lambda: client.versions(PATH),
        "set": lambda: client.write(PATH, SecretValue(b"x")),
        "delete": lambda: client.delete(PATH),
    }[operation]
    with pytest.raises(kind, match=said) as caught:
        await call()
    assert str(caught.value).startswith(f"SecretStore kv: path '{PATH}'")
    assert vault.text not in str(caught.value)


async def test_health_asks_for_a_name_that_no_secret_has(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    vault.put("smtp-key", "value")
    await client.healthy()
    assert {seen.path for seen in vault.requests} == {f"/secrets/{PROBE}/"}
    vault.denied["get"] = "ForbiddenByRbac"
    with pytest.raises(StoreRefused, match="SecretStore kv: the broker's identity may not do this"):
        await client.healthy()


async def test_health_is_not_fooled_by_someone_who_made_that_name(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    vault.put(PROBE, "value")
    await client.healthy()
    vault.secrets[PROBE].versions[-1].attributes["enabled"] = False
    await client.healthy()


async def test_calls_at_once_log_in_once(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    vault.put("smtp-key", "value")
    found = await asyncio.gather(*(client.read("smtp-key") for _ in range(20)))
    assert all(stored.value == SecretValue(b"value") for stored in found)
    assert len(vault.logins) == 1
    assert vault.count("GET") == 20


async def test_calls_at_once_replace_an_expired_token_once(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    vault.put("smtp-key", "value")
    vault.token_seconds = 0
    await client.read("smtp-key")
    vault.token_seconds = 3600
    before = len(vault.logins)
    await asyncio.gather(*(client.read("smtp-key") for _ in range(20)))
    assert len(vault.logins) == before + 1


async def test_the_library_and_the_trust_are_loaded_once_and_outside_of_the_event_loops_thread(
    vault: KeyVaultServer, authority: trustme.CA, open_client: Callable[..., AzureKeyVault]
) -> None:
    threads: list[threading.Thread] = []

    def trust() -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return client_trust(authority)

    client = open_client(vault.url, trust=trust)
    await asyncio.gather(*(client.healthy() for _ in range(5)))
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_no_value_leaves_before_the_vault_has_said_who_it_is(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.write(PATH, SecretValue(b"one"))
    assert [seen.body for seen in vault.requests if not seen.authorized] == [b""]
    assert vault.count("PUT") == 1


async def test_a_warm_read_is_one_call(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.write(PATH, SecretValue(b"one"))
    vault.requests.clear()
    for _ in range(3):
        await client.read(PATH)
    assert len(vault.requests) == 3


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "https://localhost/secrets/n/0123456789abcdef0123456789abcdef"}',
        b'{"id": "https://localhost/secrets/n/0123456789abcdef0123456789abcdef", "value": 12345}',
        b'{"value": "canary"}',
        b'{"id": "nonsense", "value": "canary"}',
        b'{"id": "https://localhost/secrets/n/0123456789abcdef0123456789abcdef", "value": ["canary"]}',
        b'{"id": "https://localhost/secrets/n/0123456789abcdef0123456789abcdef", "value": {"a": "canary"}}',
        b'{"id": "https://localhost/secrets/n/0123456789abcdef0123456789abcdef", "value": true}',
        b'{"id": 7, "value": "canary"}',
    ],
)
async def test_an_answer_of_another_shape_is_malformed(proxy: FaultyProxy, proxied: AzureKeyVault, body: bytes) -> None:
    await proxied.healthy()
    proxy.faults = [Fault(status=200, headers={"Content-Type": "application/json"}, body=body)]
    with pytest.raises(Malformed, match="is not what Key Vault's API says|something else than its API says") as caught:
        await proxied.read(PATH)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is caught.value.__cause__ is None


async def test_half_a_surrogate_pair_is_no_text(proxy: FaultyProxy, proxied: AzureKeyVault) -> None:
    await proxied.healthy()
    body = b'{"id": "https://localhost/secrets/n/0123456789abcdef0123456789abcdef", "value": "canary\\ud800"}'
    proxy.faults = [Fault(status=200, headers={"Content-Type": "application/json"}, body=body)]
    with pytest.raises(Malformed, match="it holds half a surrogate pair") as caught:
        await proxied.read(PATH)
    assert caught.value.__context__ is caught.value.__cause__ is None


async def test_a_closed_client_says_so(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    await client.healthy()
    await client.close()
    await client.close()
    with pytest.raises(Unavailable, match="SecretStore kv: is closed"):
        await client.read(PATH)


async def test_a_client_that_was_never_used_closes(vault: KeyVaultServer, open_client: Callable[..., AzureKeyVault]) -> None:
    await open_client(vault.url).close()
    assert vault.requests == []


def test_nothing_of_azure_is_loaded_until_a_call_is_made() -> None:
    """0.2 s and 20 MB, which a broker without key vaults must not pay, and the event loop of one with them must not either."""
    program = (
        "import sys, broker.serve\n"
        "from broker.stores.registry import StoreSettings, open_store\n"
        "from contract.resources import SecretStore\n"
        "store = SecretStore('kv', 'acme/azure/kv', 'azureKeyVault', {'vaultUrl': 'https://ours.vault.azure.net'})\n"
        "print(type(open_store(store, StoreSettings())).__name__)\n"
        "print([name for name in sys.modules if name.startswith(('azure.core', 'azure.identity', 'azure.keyvault.secrets', 'msal'))])\n"
    )
    environ = {
        "AZURE_TENANT_ID": "t",
        "AZURE_CLIENT_ID": "c",
        "AZURE_FEDERATED_TOKEN_FILE": "/token",
        "PYTHONPATH": ":".join(filter(None, sys.path)),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=False, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["AzureKeyVault", "[]"], done.stderr


async def test_check_store_finds_that_a_vault_keeps_the_contract(vault: KeyVaultServer, client: AzureKeyVault) -> None:
    vault.settle = 1
    rows = await check_store(client)
    assert [row for row in rows if row.verdict == "FAIL"] == []
    assert [row.name for row in rows if row.verdict == "SKIP"] == ["value kept exactly: 1 MiB"]
    assert vault.secrets == {}
