"""The webhook as a running program: where its catalog, versions, certificates and settings come from, and when it is ready."""

import gc
from pathlib import Path

import structlog

from service.catalog import LiveCatalog, open_catalog
from service.kube import Kube
from service.logs import configure_logs
from service.probes import serve_probes
from service.server import serve
from service.settings import SettingsError
from service.tls import TlsError, TlsFiles, TlsSource, bundle_in
from webhook.admission import Admission
from webhook.assembly import Surroundings
from webhook.certificates import Certificates
from webhook.configmaps import ConfigMaps
from webhook.images import ImageLookup
from webhook.metrics import Metrics
from service.nodes import FixedNodes, Nodes
from webhook.planning import Cluster
from webhook.settings import Settings
from webhook.truth import Truths

log = structlog.get_logger()


class CaFile:
    """A PEM bundle in a file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path, self._seen, self._text = path, (0, 0), ""
        self.problem: str | None = None  # why what the file holds now is not in use

    @property
    def text(self) -> str:
        """The bundle; what was read last, while the file holds none."""
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino)
            if seen != self._seen:
                self._seen = seen
                self._text, self.problem = bundle_in(self._path.read_bytes(), str(self._path)), None
        except OSError as error:
            self._seen = (0, 0)
            self._tell(f"{self._path}: cannot be read ({error.strerror})")
        except TlsError as error:
            self._tell(str(error))
        return self._text

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            log.error("broker_ca_unreadable", reason=problem)
        self.problem = problem


class Webhook:
    """All parts, started and stopped together."""

    def __init__(self, settings: Settings, kube: Kube | None) -> None:
        self._settings, self._kube = settings, kube
        self.catalog: LiveCatalog = open_catalog(settings.tenant, settings.manifests, kube)
        self.versions: Nodes | FixedNodes = Nodes(kube) if kube else FixedNodes(settings.kubelet_version)
        self.tls = _tls_source(settings, kube)
        self._ca_file = CaFile(settings.broker_ca_file) if settings.broker_ca_file else None
        self._truths = Truths()
        self.metrics = Metrics(lambda: self.tls.expires_at)
        self.images = ImageLookup(settings.registry, kube)
        self.admission = Admission(self.cluster, self.missing, self.metrics, self.images, ConfigMaps(kube) if kube else None)

    @property
    def broker_ca(self) -> str:
        return (self._ca_file.text if self._ca_file else self.tls.ca_bundle) or ""

    def cluster(self) -> Cluster:
        around = Surroundings(self._settings.broker_url, self.broker_ca, self._settings.init)
        return Cluster(self.catalog.catalog, self.versions, around, self._settings.mode, self._settings.tenant_admins, self._truths)

    def missing(self) -> list[str]:
        """What keeps the webhook from being ready, as sentences."""
        missing = []
        if not self.tls.healthy:
            missing.append(f"certificate: {self.tls.problem or 'none yet'}")
        if not self.catalog.synced:
            missing.append("catalog: SecretStores and SecretGroups have not been read yet")
        if not self.versions.synced:
            missing.append("nodes: the versions of the API server and the kubelets are not known yet")
        if not self.broker_ca:
            problem = self._ca_file.problem if self._ca_file else self.tls.problem
            missing.append(f"broker CA: {problem or 'none; set TFY_SECRET_BROKER_CA_FILE, or put ca.crt into TFY_SECRET_TLS_DIR'}")
        return missing

    async def serve(self) -> None:
        """Serve until SIGTERM."""
        settings = self._settings
        await self.tls.start()
        await self.catalog.start()
        await self.versions.start()
        probes = None
        if settings.metrics_listen:
            probes = await serve_probes(settings.metrics_listen, ready=self.missing, registry=self.metrics.registry)
        # What lives now lives as long as the program; collecting it again after every few reviews costs a tenth of their time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        try:
            await serve(self.admission.handle, settings.listen, self.tls)
        finally:
            if probes:
                await probes.cleanup()
            await self.images.close()
            await self.versions.close()
            await self.catalog.close()
            await self.tls.close()
            if self._kube:
                await self._kube.close()


async def run_webhook(settings: Settings) -> int:
    configure_logs(settings.log_level)
    kube = None if settings.manifests else Kube.in_cluster()
    await Webhook(settings, kube).serve()
    return 0


def _tls_source(settings: Settings, kube: Kube | None) -> TlsSource:
    if settings.tls_dir:
        return TlsFiles(settings.tls_dir)
    if kube is None:
        raise SettingsError(["TFY_SECRET_TLS_DIR: found nothing; off-cluster a folder with tls.crt, tls.key and ca.crt is needed"])
    return Certificates(kube)
