"""From a SecretStore to its client: the one table of the providers. A provider's module, and its library, load when a store names it."""

from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from broker.errors import Misconfigured
from broker.stores.addresses import Reach
from broker.stores.store import StoreClient
from contract.resources import SecretStore


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What the broker's settings say to stores."""

    embedded_db: Path | None = None
    embedded_key_file: Path | None = None
    reach: Reach = field(default_factory=Reach)
    tenant: str | None = None


class Provider(NamedTuple):
    """The module whose `open_client(store, settings)` makes the client, and the package's extra that it needs."""

    module: str
    extra: str | None = None
    read_only: bool = False


PROVIDERS: dict[str, Provider] = {
    "awsParameterStore": Provider("broker.stores.aws.parameter_store", "aws"),
    "awsSecretsManager": Provider("broker.stores.aws.secrets_manager", "aws"),
    "embedded": Provider("broker.stores.embedded"),
    "generic": Provider("broker.stores.generic"),
    "googleSecretManager": Provider("broker.stores.google.client", "google"),
    "vault": Provider("broker.stores.vault.client"),
    "truefoundry": Provider("broker.stores.truefoundry", read_only=True),
    "azureKeyVault": Provider("broker.stores.azure.client", "azure"),
}


def load_provider(name: str) -> None:
    """Import a provider's module, for a thread: a cloud's library takes up to a second. What cannot be loaded, `open_store` tells."""
    if name in PROVIDERS:
        with suppress(ModuleNotFoundError):
            import_module(PROVIDERS[name].module)


def open_store(store: SecretStore, settings: StoreSettings) -> StoreClient:
    """Without a call out: a store that cannot be reached is told by its first call, or by `healthy`.

    Raises Misconfigured for what manifest and settings alone show, and for a provider whose library is not installed.
    """
    provider = PROVIDERS.get(store.provider)
    if provider is None:
        raise Misconfigured(
            f"SecretStore {store.name}: spec.provider: found '{store.provider}'; this version has {', '.join(PROVIDERS)}. "
            "To fix: use one of these, or a newer version"
        )
    try:
        module = import_module(provider.module)
    except ModuleNotFoundError as error:
        if provider.extra is None or (error.name or "").partition(".")[0] == "broker":
            raise
        raise Misconfigured(
            f"SecretStore {store.name}: spec.provider.{store.provider} needs a library that is not installed ({error.name}). "
            f"To fix: pip install 'tfy-secret-injector[{provider.extra}]', or use the image, which has all"
        ) from None
    client: StoreClient = module.open_client(store, settings)
    return client
