"""KV version 1 at a real server: JSON types as they are stored, and no versions."""

from collections.abc import Callable

import pytest

from broker.errors import NotFound, Unsupported
from broker.fields import pick
from broker.stores.vault.client import Vault
from contract.values import SecretValue
from tests.broker.stores.vault.bao import Bao
from tests.broker.stores.vault.conftest import PATH

Open = Callable[..., Vault]


async def test_numbers_keep_their_digits(bao: Bao, open_vault: Open, kv1: str) -> None:
    """Whole and as a field: nothing becomes a float on the way."""
    fields = b'{"a":1.10,"b":12345678901234567890,"c":true,"d":"1.10","e":1E5,"f":-0.0,"g":null,"h":[1.0]}'
    bao.call("POST", f"{kv1}/x", fields)
    found = await open_vault(kv1).read("/x")
    assert found.value.reveal() == fields
    assert found.version is None
    picked = [pick(found.value, field).reveal() for field in "abcdefh"]
    assert picked == [b"1.10", b"12345678901234567890", b"true", b"1.10", b"1E5", b"-0.0", b"[1.0]"]


async def test_a_managed_secret_is_one_field(bao: Bao, open_vault: Open, kv1: str) -> None:
    client = open_vault(kv1)
    assert await client.write(PATH, SecretValue(b"v")) == ""
    assert bao.call("GET", f"{kv1}{PATH}")["data"] == {"value": "v"}
    bao.call("POST", f"{kv1}{PATH}", b'{"value":1.10}')
    assert (await client.read(PATH)).value.reveal() == b"1.10"


async def test_there_are_no_versions(open_vault: Open, kv1: str) -> None:
    client = open_vault(kv1)
    await client.write(PATH, SecretValue(b"v"))
    said = f"SecretStore test: path '{PATH}': KV version 1 has no versions. To fix: leave out ?version=, or upgrade the mount to version 2"
    for call in (client.read(PATH, "1"), client.delete(PATH, "1")):
        with pytest.raises(Unsupported) as caught:
            await call
        assert caught.value.message == said
    with pytest.raises(Unsupported, match="KV version 1 has no list of versions"):
        await client.versions(PATH)


async def test_deleting_what_is_not_there_is_told(open_vault: Open, kv1: str) -> None:
    client = open_vault(kv1)
    with pytest.raises(NotFound, match="the store has no such secret"):
        await client.delete(PATH)
    await client.write(PATH, SecretValue(b"v"))
    await client.delete(PATH)
    with pytest.raises(NotFound):
        await client.read(PATH)
