"""What the command line knows of stores and groups: from the folder of manifests, or from the cluster that it runs in."""

import asyncio
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from broker.direct import read_catalog
from broker.errors import Misconfigured
from broker.settings import ALLOW_LOOPBACK_STORES, EMBEDDED_DB, EMBEDDED_KEY_FILE, STORE_HOSTS
from broker.stores.addresses import Reach
from broker.stores.registry import StoreSettings
from contract.catalog import GROUP, STORE, Catalog
from contract.keys import API_VERSION
from contract.resources import ResourceError, SecretStore, parse_store
from service.kube import Kube, KubeError
from service.settings import MANIFESTS, TENANT, Reader


def find_store(name: str, environ: Mapping[str, str]) -> SecretStore:
    """Raises Misconfigured, with every fault of a manifest that cannot be used."""
    folder = environ.get(MANIFESTS.name)
    return _in_folder(name, Path(folder)) if folder else asyncio.run(_in_cluster(name))


async def find_catalog(tenant: str, environ: Mapping[str, str]) -> Catalog | None:
    """All of them; None where there is neither folder nor cluster. Raises Misconfigured."""
    folder = environ.get(MANIFESTS.name)
    if folder:
        return read_catalog(tenant, Path(folder))
    return await _cluster_catalog(tenant) if environ.get("KUBERNETES_SERVICE_HOST") else None


def store_settings(environ: Mapping[str, str]) -> StoreSettings:
    """What stores need of the broker's settings. Raises SettingsError."""
    db, key_file = environ.get(EMBEDDED_DB.name), environ.get(EMBEDDED_KEY_FILE.name)
    reader = Reader(environ, (ALLOW_LOOPBACK_STORES, STORE_HOSTS))
    reach = Reach(reader.read(ALLOW_LOOPBACK_STORES), reader.read(STORE_HOSTS) or ())
    reader.finish()
    return StoreSettings(Path(db) if db else None, Path(key_file) if key_file else None, reach, environ.get(TENANT.name))


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


async def _cluster_catalog(tenant: str) -> Catalog:
    catalog = Catalog(tenant)
    try:
        async with Kube.in_cluster() as kube:
            for kind, plural in ((STORE, "secretstores"), (GROUP, "secretgroups")):
                for item in (await kube.get(f"/apis/{API_VERSION}/{plural}"))["items"]:
                    catalog.put({"apiVersion": API_VERSION, **item, "kind": kind})
    except KubeError as error:
        raise Misconfigured(f"SecretStores and SecretGroups cannot be read: {error.message}") from None
    return catalog


async def _in_cluster(name: str) -> SecretStore:
    try:
        async with Kube.in_cluster() as kube:
            found = await kube.get(f"/apis/{API_VERSION}/secretstores/{name}")
        return parse_store(found)
    except KubeError as error:
        raise Misconfigured(f"SecretStore {name}: {error.message}") from None
    except ResourceError as error:
        raise Misconfigured(str(error)) from None
