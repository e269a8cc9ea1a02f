"""From a SecretStore to its client: the one table of the providers that this version has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broker.errors import Misconfigured
from broker.stores.embedded import Embedded
from broker.stores.generic import Generic
from broker.stores.store import StoreClient
from contract.resources import SecretStore


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What the broker's settings say to stores."""

    embedded_db: Path | None = None
    embedded_key_file: Path | None = None
    allow_loopback: bool = False


def open_store(store: SecretStore, settings: StoreSettings) -> StoreClient:
    """Quick and without a call out: a store that cannot be reached is told by its first call, or by `healthy`.

    Raises Misconfigured for what manifest and settings alone show.
    """
    make = PROVIDERS.get(store.provider)
    if make is None:
        raise Misconfigured(
            f"SecretStore {store.name}: spec.provider: found '{store.provider}'; this version has {', '.join(PROVIDERS)}. "
            "To fix: use one of these, or a newer version"
        )
    return make(store, settings)


def open_embedded(store: SecretStore, settings: StoreSettings) -> Embedded:
    for name, value in (("TFY_SECRET_EMBEDDED_DB", settings.embedded_db), ("TFY_SECRET_EMBEDDED_KEY_FILE", settings.embedded_key_file)):
        if value is None:
            raise Misconfigured(
                f"SecretStore {store.name}: spec.provider.embedded needs the setting {name}. To fix: set it to a file on a volume"
            )
    assert settings.embedded_db is not None  # noqa: S101 - told above
    assert settings.embedded_key_file is not None  # noqa: S101 - as above
    return Embedded(settings.embedded_db, settings.embedded_key_file, store.fqn)


def open_generic(store: SecretStore, settings: StoreSettings) -> Generic:
    return Generic(store, allow_loopback=settings.allow_loopback)


PROVIDERS: dict[str, Callable[[SecretStore, StoreSettings], StoreClient]] = {"embedded": open_embedded, "generic": open_generic}
