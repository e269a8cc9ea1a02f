"""From a SecretStore to its client: the one table of the providers. A provider's module, and its library, load when a store names it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from broker.errors import Misconfigured
from broker.stores.addresses import Reach
from broker.stores.store import StoreClient
from contract.providers import files
from contract.resources import SecretStore


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What the broker's settings say to stores."""

    embedded_db: Path | None = None
    embedded_key_file: Path | None = None
    reach: Reach = field(default_factory=Reach)
    tenant: str | None = None


class Provider(NamedTuple):
    """The module whose `open_client(store, settings)` makes the client, and the package's extra that it needs.

    `login_files`: variables of the environment that name files of its login.
    """

    module: str
    extra: str | None = None
    read_only: bool = False
    login_files: tuple[str, ...] = ()


_AWS = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE")
_AZURE = ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_SECRET_FILE")
PROVIDERS: dict[str, Provider] = {
    "awsParameterStore": Provider("broker.stores.aws.parameter_store", "aws", login_files=_AWS),
    "awsSecretsManager": Provider("broker.stores.aws.secrets_manager", "aws", login_files=_AWS),
    "embedded": Provider("broker.stores.embedded"),
    "generic": Provider("broker.stores.generic"),
    "googleSecretManager": Provider("broker.stores.google.client", "google", login_files=("GOOGLE_APPLICATION_CREDENTIALS",)),
    "vault": Provider("broker.stores.vault.client"),
    "truefoundry": Provider("broker.stores.truefoundry", read_only=True),
    "azureKeyVault": Provider("broker.stores.azure.client", "azure", login_files=_AZURE),
}


def mounted_files(store: SecretStore, environ: Mapping[str, str] = os.environ) -> list[str]:
    """What is mounted for this store: the files that its manifest names, and those of its provider's login."""
    provider = PROVIDERS.get(store.provider)
    named = [environ[name] for name in provider.login_files if environ.get(name)] if provider else []
    return files(store.provider, store.settings) + named


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
