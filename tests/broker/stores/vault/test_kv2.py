"""KV version 2 at a real server: versions, soft deletion, check-and-set, a team's own entries."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.errors import FieldNotFound, NotFound, SoftDeleted, StoreRefused, Unavailable, Unsupported
from broker.fields import pick
from broker.stores.vault.client import Vault
from contract.values import SecretValue
from tests.broker.stores.faults import FaultyProxy
from tests.broker.stores.vault.bao import Bao
from tests.broker.stores.vault.conftest import PATH, Clock, asked

VALUE = SecretValue(b"canary-value-77")
Open = Callable[..., Vault]


async def test_a_managed_secret_is_one_readable_field(bao: Bao, open_vault: Open, kv2: str) -> None:
    client = open_vault(kv2)
    assert await client.write(PATH, VALUE) == "1"
    assert bao.call("GET", f"{kv2}/data{PATH}")["data"]["data"] == {"value": "canary-value-77"}
    await client.write(PATH, SecretValue(b"\xff"))
    assert bao.call("GET", f"{kv2}/data{PATH}")["data"]["data"] == {"value_base64": "/w=="}


@pytest.mark.parametrize("slash", [True, False], ids=["below-the-mount", "with-the-mount"])
async def test_an_own_path_is_the_whole_object(bao: Bao, open_vault: Open, kv2: str, slash: bool) -> None:
    entry = {"user": "app", "password": "a<b>&\u2028\n", "port": 5432, "tls": True, "nothing": None, "more": {"x": ["<"]}}
    bao.call("POST", f"{kv2}/data/mail/smtp", {"data": entry})
    found = await open_vault(kv2).read("/mail/smtp" if slash else f"{kv2}/mail/smtp")
    assert found.version == "1"
    assert found.value.reveal() == (
        '{"more":{"x":["<"]},"nothing":null,"password":"a<b>&\u2028\\n","port":5432,"tls":true,"user":"app"}'.encode()
    )
    picked = {field: pick(found.value, field).reveal() for field in ("user", "password", "port", "tls", "more")}
    assert picked == {"user": b"app", "password": "a<b>&\u2028\n".encode(), "port": b"5432", "tls": b"true", "more": b'{"x":["<"]}'}
    for field in ("nothing", "absent"):
        with pytest.raises(FieldNotFound):
            pick(found.value, field)


async def test_an_own_entry_with_one_field_called_value_is_an_object_too(bao: Bao, open_vault: Open, kv2: str) -> None:
    """So that `#value` means what it says, whatever fields come later."""
    bao.call("POST", f"{kv2}/data/x", {"data": {"value": "v"}})
    found = (await open_vault(kv2).read("/x")).value
    assert found.reveal() == b'{"value":"v"}'
    assert pick(found, "value").reveal() == b"v"


async def test_own_paths_are_read_alone(bao: Bao, open_vault: Open, kv2: str) -> None:
    bao.call("POST", f"{kv2}/data/x", {"data": {"a": "v"}})
    client = open_vault(kv2)
    for call in (client.write("/x", VALUE), client.delete("/x"), client.delete("/x", "1")):
        with pytest.raises(Unsupported, match="path '/x': the broker writes and deletes managed secrets alone"):
            await call
    with pytest.raises(StoreRefused, match=f"capability 'read' on '{kv2}/metadata/x'"):
        await client.versions("/x")  # which nobody asks of an own path, so the smallest policy lacks it


async def test_an_older_version_by_its_number(bao: Bao, open_vault: Open, kv2: str) -> None:
    for content in ("one", "two"):
        bao.call("POST", f"{kv2}/data/x", {"data": {"a": content}})
    client = open_vault(kv2)
    assert (await client.read("/x", "1")).value.reveal() == b'{"a":"one"}'
    for version in ("0", "01", "1.0", "+1", " 1", "3", "9" * 18, "9" * 19, "\u0661"):
        with pytest.raises(NotFound):
            await client.read("/x", version)


async def test_soft_deleted_is_told_with_what_brings_it_back(bao: Bao, open_vault: Open, kv2: str) -> None:
    client = open_vault(kv2)
    await client.write(PATH, VALUE)
    await client.write(PATH, VALUE)
    bao.call("POST", f"{kv2}/delete{PATH}", {"versions": [2]})
    for version in (None, "2"):
        with pytest.raises(SoftDeleted) as caught:
            await client.read(PATH, version)
        place = f"SecretStore test: path '{PATH}'" + (" version '2'" if version else "")
        assert caught.value.message == (
            f"{place}: version 2 is deleted, and the store still keeps it. To bring it back: "
            f"`vault kv undelete -mount={kv2} -versions=2 tfy-secret/acme/payments/DB_PASSWORD`"
        )
    assert [version.version for version in await client.versions(PATH)] == ["1"]
    bao.call("POST", f"{kv2}/undelete{PATH}", {"versions": [2]})
    assert (await client.read(PATH)).version == "2"


async def test_destroyed_is_gone(bao: Bao, open_vault: Open, kv2: str) -> None:
    client = open_vault(kv2)
    await client.write(PATH, VALUE)
    await client.write(PATH, VALUE)
    await client.delete(PATH, "1")
    with pytest.raises(NotFound, match="version '1': version 1 is destroyed") as caught:
        await client.read(PATH, "1")
    assert not isinstance(caught.value, SoftDeleted)
    with pytest.raises(NotFound, match="no such version"):
        await client.delete(PATH, "1")
    metadata = bao.call("GET", f"{kv2}/metadata{PATH}")["data"]
    assert metadata["versions"]["1"]["destroyed"] is True
    await client.delete(PATH)
    with pytest.raises(NotFound):
        await client.versions(PATH)


async def test_a_soft_deleted_version_can_be_destroyed(bao: Bao, open_vault: Open, kv2: str) -> None:
    client = open_vault(kv2)
    await client.write(PATH, VALUE)
    bao.call("POST", f"{kv2}/delete{PATH}", {"versions": [1]})
    await client.delete(PATH, "1")
    assert bao.call("GET", f"{kv2}/metadata{PATH}")["data"]["versions"]["1"]["destroyed"] is True


async def test_a_version_that_will_be_deleted_is_still_there(bao: Bao, open_vault: Open, kv2: str) -> None:
    bao.call("POST", f"{kv2}/config", {"delete_version_after": "1h"})
    client = open_vault(kv2)
    await client.write(PATH, VALUE)
    (found,) = await client.versions(PATH)
    assert (await client.read(PATH)).version == found.version == "1"
    assert found.created is not None and abs(found.created.timestamp() - time.time()) < 60


async def test_a_mount_that_demands_check_and_set_gets_it(bao: Bao, open_vault: Open, kv2: str) -> None:
    bao.call("POST", f"{kv2}/config", {"cas_required": True})
    client = open_vault(kv2)
    assert [await client.write(PATH, VALUE) for _ in range(3)] == ["1", "2", "3"]
    outcomes = await asyncio.gather(*(client.write(PATH, VALUE) for _ in range(8)), return_exceptions=True)
    written = [outcome for outcome in outcomes if isinstance(outcome, str)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    assert len(set(written)) == len(written) > 0
    assert all(type(error) is Unavailable and "others write it at the same time" in error.message for error in refused)
    assert bao.call("GET", f"{kv2}/metadata{PATH}")["data"]["current_version"] == 3 + len(written)


async def test_without_that_a_write_is_one_request(proxy: FaultyProxy, open_vault: Open, kv2: str) -> None:
    client = open_vault(kv2, address=proxy.url)
    await client.write(PATH, VALUE)
    proxy.requests.clear()
    await client.write(PATH, VALUE)
    await client.read(PATH)
    assert [(seen.method, seen.target) for seen in proxy.requests] == [("POST", f"/v1/{kv2}/data{PATH}"), ("GET", f"/v1/{kv2}/data{PATH}")]


async def test_an_upgrade_of_the_mount_is_seen(
    bao: Bao, proxy: FaultyProxy, open_vault: Open, clock: Clock, tmp_path: Path, kv1: str
) -> None:
    """Version 1 was seen; then the mount is upgraded. At most every 30 s an answer makes us look again."""
    (tmp_path / "root").write_text(bao.root)
    client = open_vault(kv1, address=proxy.url, auth={"tokenFile": str(tmp_path / "root")})
    await client.write(PATH, VALUE)
    bao.call("POST", f"sys/mounts/{kv1}/tune", {"options": {"version": "2"}})
    for _ in range(100):
        if bao.call("GET", f"sys/internal/ui/mounts/{kv1}")["data"]["options"] == {"version": "2"}:
            break
        await asyncio.sleep(0.05)
    clock.now += 31
    for _ in range(100):  # it is unavailable for a moment
        try:
            found = await client.read(PATH)
            break
        except Unavailable as error:
            assert "being upgraded to KV version 2" in error.message
            await asyncio.sleep(0.1)
    assert found.value == VALUE and found.version == "1"
    assert await client.write(PATH, VALUE) == "2"
    looks = asked(proxy, "/sys/internal/ui/mounts/")
    for _ in range(3):
        with pytest.raises(NotFound):
            await client.read(PATH + "X")
    assert asked(proxy, "/sys/internal/ui/mounts/") == looks, "not for each that is missing"
