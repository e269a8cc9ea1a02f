"""Find one SecretStore by its name, for `check-store`: in the folder of manifests, or in the cluster that we run in."""

import asyncio
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from broker.direct import read_catalog
from broker.errors import Misconfigured
from broker.settings import ALLOW_LOOPBACK_STORES, EMBEDDED_DB, EMBEDDED_KEY_FILE
from broker.stores.registry import StoreSettings
from contract.catalog import STORE
from contract.keys import API_VERSION
from contract.resources import ResourceError, SecretStore, parse_store
from service.kube import Kube, KubeError
from service.settings import MANIFESTS, SettingsError, flag


def find_store(name: str, environ: Mapping[str, str]) -> SecretStore:
    """Raises Misconfigured, with every fault of a manifest that cannot be used."""
    folder = environ.get(MANIFESTS.name)
    return _in_folder(name, Path(folder)) if folder else asyncio.run(_in_cluster(name))


def store_settings(environ: Mapping[str, str]) -> StoreSettings:
    """What stores need of the broker's settings. Raises SettingsError."""
    db, key_file = environ.get(EMBEDDED_DB.name), environ.get(EMBEDDED_KEY_FILE.name)
    try:
        loopback = flag(environ.get(ALLOW_LOOPBACK_STORES.name, ""))
    except ValueError as error:
        raise SettingsError([f"{ALLOW_LOOPBACK_STORES.name}: {error}"]) from None
    return StoreSettings(Path(db) if db else None, Path(key_file) if key_file else None, loopback)


def _in_folder(name: str, folder: Path) -> SecretStore:
    catalog = read_catalog("", folder)
    assert catalog is not None  # noqa: S101 - a folder was given
    problems = catalog.problems.get((STORE, name))
    if problems:
        raise Misconfigured(f"SecretStore {name}: {'; '.join(problems)}")
    store = catalog.stores.get(name)
    if store is None:
        near = get_close_matches(name, catalog.stores, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Misconfigured(f"SecretStore {name}: not in {folder}; there: {', '.join(sorted(catalog.stores)) or 'none'}{hint}")
    return store


async def _in_cluster(name: str) -> SecretStore:
    try:
        async with Kube.in_cluster() as kube:
            found = await kube.get(f"/apis/{API_VERSION}/secretstores/{name}")
        return parse_store(found)
    except KubeError as error:
        raise Misconfigured(f"SecretStore {name}: {error.message}") from None
    except ResourceError as error:
        raise Misconfigured(str(error)) from None
