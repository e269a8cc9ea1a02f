"""The embedded store as the command line uses it without a broker: for a first run, and for repairs on the broker's volume.

Whoever can read the database's key file is its operator, so there are no roles here and no audit. Rows belong to one SecretStore's
FQN: the one given, or the only embedded one in the manifests or the cluster.
"""

import sys
from pathlib import Path
from typing import Self

from broker.errors import BrokerError, Misconfigured, Unsupported
from broker.resolve import with_field
from broker.stores.embedded import Embedded
from contract.catalog import Catalog
from contract.fqn import ROOT, Fqn, ManagedSecret
from contract.resources import SecretStore
from contract.values import SecretValue


class EmbeddedSecrets:
    """Managed secrets of one tenant in one embedded store. `catalog` None: there are no manifests to compare with."""

    def __init__(self, store: Embedded, tenant: str, catalog: Catalog | None) -> None:
        self._store, self._tenant, self._catalog = store, tenant, catalog

    async def put(self, fqn: Fqn, value: SecretValue) -> str:
        self._warn(fqn)
        return await self._store.write(self._path(fqn), value)

    async def get(self, fqn: Fqn) -> SecretValue:
        found = with_field(await self._store.read(self._path(fqn), fqn.version), fqn)
        if isinstance(found, BrokerError):
            raise found
        return found.value

    async def names(self, group: str | None) -> list[str]:
        """What has a value, whether or not a manifest lists it."""
        root = f"/{ROOT}/{self._tenant}/" + ("" if group is None else f"{group}/")
        parts = [path.split("/")[2:] for path in await self._store.paths(root)]
        return [str(ManagedSecret(*p)) for p in parts if len(p) == 3]

    async def versions(self, fqn: Fqn) -> list[tuple[str, str | None]]:
        found = await self._store.versions(self._path(fqn))
        return [(v.version, v.created.isoformat() if v.created else None) for v in found]

    async def delete(self, fqn: Fqn, version: str | None) -> None:
        await self._store.delete(self._path(fqn), version)

    def _path(self, fqn: Fqn) -> str:
        if not isinstance(fqn.secret, ManagedSecret) or fqn.secret.tenant != self._tenant:
            raise Unsupported(f"{fqn}: this store holds managed secrets of the tenant '{self._tenant}' (TFY_SECRET_TENANT)")
        return fqn.secret.path

    def _warn(self, fqn: Fqn) -> None:
        """No pod gets a value whose key no manifest lists; better said now than found out then."""
        if self._catalog is None or not isinstance(fqn.secret, ManagedSecret):
            return
        group = self._catalog.groups.get(fqn.secret.group)
        if group is None:
            sys.stderr.write(f"warning: no SecretGroup '{fqn.secret.group}' in the manifests; until there is one, nobody gets this value\n")
        elif fqn.secret.key not in group.keys:
            sys.stderr.write(
                f"warning: SecretGroup '{group.name}' does not list '{fqn.secret.key}'; add it to spec.keys, or nobody gets this value\n"
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._store.close()


def choose_store(given: str | None, catalog: Catalog | None) -> str:
    """The FQN whose rows are meant. Raises Misconfigured."""
    if given:
        return given
    embedded: list[SecretStore] = [] if catalog is None else [s for s in catalog.stores.values() if s.provider == "embedded"]
    if len(embedded) == 1:
        return embedded[0].fqn
    found = ", ".join(sorted(store.fqn for store in embedded)) or "none"
    where = "TFY_SECRET_MANIFESTS is not set, and this is no cluster" if catalog is None else f"embedded SecretStores: {found}"
    raise Misconfigured(f"{where}. To fix: say which store with --store-fqn, e.g. --store-fqn acme/embedded/default")


def read_catalog(tenant: str, manifests: Path | None) -> Catalog | None:
    """What the folder says now. Raises Misconfigured."""
    if manifests is None:
        return None
    from service.manifests import Folder

    folder = Folder(manifests)
    if not manifests.is_dir():
        raise Misconfigured(f"TFY_SECRET_MANIFESTS {manifests}: is not a folder")
    folder.look(settle=False)
    return Catalog(tenant, [*folder.manifests("SecretStore"), *folder.manifests("SecretGroup")])
