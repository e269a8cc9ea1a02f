"""What `inject` knows without a cluster: a folder of manifests, the settings, an assumed version."""

import asyncio
from collections.abc import Callable

from contract.catalog import Catalog
from service.catalog import open_catalog
from service.logs import configure_logs
from service.settings import SettingsError
from service.tls import certificates_alone
from webhook.assembly import Surroundings
from webhook.errors import NotAManifest
from service.nodes import FixedNodes
from webhook.planning import Cluster
from webhook.settings import Settings


def offline_cluster(settings: Settings) -> Callable[[], Cluster]:
    """Raises SettingsError without a folder of manifests, NotAManifest for one that cannot be read."""
    if settings.manifests is None:
        raise SettingsError(["TFY_SECRET_MANIFESTS: found nothing; inject needs the folder with the SecretStores and SecretGroups"])
    configure_logs(settings.log_level)
    catalog = asyncio.run(_catalog(settings))
    around = Surroundings(settings.broker_url, _broker_ca(settings), settings.init)
    cluster = Cluster(catalog, FixedNodes(settings.kubelet_version), around, settings.mode, settings.tenant_admins)
    return lambda: cluster


async def _catalog(settings: Settings) -> Catalog:
    async with open_catalog(settings.tenant, settings.manifests, None) as live:
        if not live.synced:
            raise NotAManifest(f"TFY_SECRET_MANIFESTS: {settings.manifests} cannot be read")
        return live.catalog


def _broker_ca(settings: Settings) -> str:
    """The CA for the printed plan; without one the plan says so by an empty field, which no init container accepts."""
    path = settings.broker_ca_file or (settings.tls_dir / "ca.crt" if settings.tls_dir else None)
    if path is None:
        return ""
    try:
        return certificates_alone(path.read_text())
    except (OSError, UnicodeDecodeError):
        raise NotAManifest(f"{path}: the broker's CA cannot be read") from None
