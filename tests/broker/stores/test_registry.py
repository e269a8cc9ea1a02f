"""From a manifest to a client."""

from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.stores.embedded import Embedded
from broker.stores.generic import Generic
from broker.stores.registry import PROVIDERS, StoreSettings, open_store
from contract.providers import PROVIDERS as KNOWN
from contract.resources import SecretStore, parse_store

GENERIC = {"baseUrl": "https://store.example", "headerFiles": {"X-Key": "/run/key"}}


async def test_each_provider_gets_its_client(tmp_path: Path) -> None:
    settings = StoreSettings(tmp_path / "db", tmp_path / "key")
    for provider, kind, content in (("embedded", Embedded, {}), ("generic", Generic, GENERIC)):
        client = open_store(SecretStore("s", f"acme/{provider}/s", provider, content), settings)
        assert type(client) is kind
        await client.close()
    assert list(tmp_path.iterdir()) == [], "opening touches nothing"
    assert set(PROVIDERS) <= set(KNOWN)


def test_a_provider_that_this_version_lacks_is_told_with_those_it_has() -> None:
    with pytest.raises(Misconfigured, match=f"SecretStore s: spec.provider: found 'anotherVault'; this version has {', '.join(PROVIDERS)}"):
        open_store(SecretStore("s", "acme/another/s", "anotherVault", {"url": "https://x"}), StoreSettings())


@pytest.mark.parametrize(
    ("settings", "name"),
    [(StoreSettings(), "TFY_SECRET_EMBEDDED_DB"), (StoreSettings(Path("/db")), "TFY_SECRET_EMBEDDED_KEY_FILE")],
)
def test_embedded_needs_its_settings(settings: StoreSettings, name: str) -> None:
    with pytest.raises(Misconfigured, match=f"needs the setting {name}"):
        open_store(SecretStore("s", "acme/embedded/s", "embedded", {}), settings)


async def test_a_parsed_manifest_opens(tmp_path: Path) -> None:
    manifest = {
        "apiVersion": "tfy-secret.dev/v1alpha1",
        "kind": "SecretStore",
        "metadata": {"name": "vendor"},
        "spec": {"fqn": "acme/generic/vendor", "provider": {"generic": GENERIC}},
    }
    client = open_store(parse_store(manifest), StoreSettings())
    assert isinstance(client, Generic)
    assert client.exchange.base_url == "https://store.example"
    await client.close()


async def test_two_embedded_stores_share_the_file_and_not_the_rows(tmp_path: Path) -> None:
    from broker.errors import NotFound
    from contract.values import SecretValue

    settings = StoreSettings(tmp_path / "db", tmp_path / "key")
    one, two = (open_store(SecretStore(name, f"acme/embedded/{name}", "embedded", {}), settings) for name in ("one", "two"))
    await one.write("/p", SecretValue(b"x"))
    with pytest.raises(NotFound):
        await two.read("/p")
    await one.close()
    await two.close()


def test_the_files_of_logins_are_those_that_the_logins_read():
    """The probes look soon after one of them changed."""
    from broker.stores.aws import logins
    from broker.stores.azure.credentials import CERTIFICATE_FILE, SECRET_FILE, TOKEN_FILE
    from broker.stores.google.credentials import VARIABLE

    aws = {logins.TOKEN_FILE, logins.CONTAINER_TOKEN_FILE, logins.KEYS_FILE}
    assert set(PROVIDERS["awsParameterStore"].login_files) == set(PROVIDERS["awsSecretsManager"].login_files) == aws
    assert set(PROVIDERS["azureKeyVault"].login_files) == {TOKEN_FILE, CERTIFICATE_FILE, SECRET_FILE}
    assert PROVIDERS["googleSecretManager"].login_files == (VARIABLE,)
