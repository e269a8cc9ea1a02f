"""The broker's settings: read once from a mapping, all faults together. docs/settings.md is made from `SETTINGS`.

Decides which combinations make sense: in a cluster callers are known by TokenReview; with a folder of manifests, in
development, by a file of tokens. What a setting does is decided where it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.page.settings import SETTINGS as PAGE_SETTINGS
from broker.page.settings import PageSettings
from broker.stores.addresses import Reach, parse_host
from service.settings import (
    COMMON,
    LISTEN,
    LOG_LEVEL,
    MANIFESTS,
    TENANT,
    TENANT_ADMINS,
    TLS_DIR,
    Address,
    Reader,
    Setting,
    count,
    flag,
    metrics_listen,
    names,
    subjects,
    optional_path,
    seconds,
)


def positive(value: str) -> int:
    number = count(value)
    if number == 0:
        raise ValueError("allowed: a whole number, 1 or more")
    return number


def store_hosts(value: str) -> tuple[str, ...]:
    return tuple(sorted(parse_host(host) for host in names(value)))


CACHE_SECONDS = Setting(
    "TFY_SECRET_CACHE_SECONDS",
    seconds,
    "5",
    "How long a value that was read may be served from memory; `0` turns it off. Access is decided for every caller all the same.",
)
CACHE_MIB = Setting("TFY_SECRET_CACHE_MIB", count, "32", "The most memory that cached values may take, in MiB.")
STORE_CONCURRENCY = Setting(
    "TFY_SECRET_STORE_CONCURRENCY",
    positive,
    "32",
    "Calls to one secret store at the same time; more wait their turn. Fewer for a while after a store asked for fewer.",
)
STORE_QUEUE = Setting(
    "TFY_SECRET_STORE_QUEUE",
    positive,
    "5000",
    "Calls that may wait for one secret store, fewer where it works them off too slowly; more are told at once to come again.",
)
STALE_SECONDS = Setting(
    "TFY_SECRET_STALE_SECONDS",
    seconds,
    "0",
    "How old a value may be that is served from memory when its store does not answer or asks for fewer calls; `0` turns it off. "
    "Not after the store said that it is gone or refused, nor after it was written here.",
)
MAX_REQUESTS = Setting(
    "TFY_SECRET_MAX_REQUESTS", positive, "2000", "Requests in flight; more are asked to come again (`503` with `Retry-After`)."
)
AUDIT_FILE = Setting(
    "TFY_SECRET_AUDIT_FILE",
    optional_path,
    "",
    "Where the audit log goes, one JSON line a decision; empty: standard output. Reopened on SIGHUP.",
)
EMBEDDED_DB = Setting("TFY_SECRET_EMBEDDED_DB", optional_path, "", "The embedded store's SQLite file.")
EMBEDDED_KEY_FILE = Setting("TFY_SECRET_EMBEDDED_KEY_FILE", optional_path, "", "The file with the embedded store's encryption key.")
TOKENS_FILE = Setting(
    "TFY_SECRET_TOKENS_FILE",
    optional_path,
    "",
    'Development only, with `TFY_SECRET_MANIFESTS`: who has which token, as Kubernetes\' static token CSV: `token,user,uid,"groups"`.',
)
ALLOW_LOOPBACK_STORES = Setting(
    "TFY_SECRET_ALLOW_LOOPBACK_STORES", flag, "false", "Development only: secret stores on loopback addresses and over plain HTTP."
)
STORE_HOSTS = Setting(
    "TFY_SECRET_STORE_HOSTS",
    store_hosts,
    "",
    "Where secret stores may be: hosts, `*.domain` and networks, comma-separated; empty: wherever a SecretStore says. "
    "Loopback, link-local and metadata addresses are refused all the same.",
)
GROUP_CREATORS = Setting(
    "TFY_SECRET_GROUP_CREATORS",
    subjects,
    "",
    "Subjects (comma-separated) that may make secret groups, e.g. `team:developers`; whoever makes one is its admin. "
    "Tenant admins may anyway.",
)
REVEALS_PER_MINUTE = Setting(
    "TFY_SECRET_REVEALS_PER_MINUTE",
    count,
    "300",
    "Values that one person may look at in a minute, a replica; more get `429`. `0`: no limit. Pods are not counted.",
)
OWN: tuple[Setting[Any], ...] = (
    CACHE_SECONDS,
    CACHE_MIB,
    STORE_CONCURRENCY,
    STORE_QUEUE,
    STALE_SECONDS,
    MAX_REQUESTS,
    AUDIT_FILE,
    EMBEDDED_DB,
    EMBEDDED_KEY_FILE,
    TOKENS_FILE,
    ALLOW_LOOPBACK_STORES,
    STORE_HOSTS,
    GROUP_CREATORS,
    REVEALS_PER_MINUTE,
)
SETTINGS: tuple[Setting[Any], ...] = COMMON + OWN + PAGE_SETTINGS

# The command line's own (`python -m broker secret ...`).
BROKER_URL_ENV = "TFY_SECRET_BROKER_URL"
BROKER_CA_FILE_ENV = "TFY_SECRET_BROKER_CA_FILE"
TOKEN_ENV = "TFY_SECRET_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Settings:
    """What `serve` runs with. `manifests` None: in a cluster."""

    tenant: str
    listen: Address
    metrics_listen: Address | None
    tls_dir: Path
    manifests: Path | None
    log_level: str
    tenant_admins: frozenset[str]
    cache_seconds: float
    cache_bytes: int
    store_concurrency: int
    store_queue: int
    stale_seconds: float
    max_requests: int
    audit_file: Path | None
    embedded_db: Path | None
    embedded_key_file: Path | None
    tokens_file: Path | None
    reach: Reach
    group_creators: frozenset[str]
    reveals_per_minute: int
    page: PageSettings

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises SettingsError with every fault."""
        reader = Reader(environ, SETTINGS)
        tls_dir = reader.read(TLS_DIR)
        settings = cls(
            tenant=reader.read(TENANT),
            listen=reader.read(LISTEN),
            metrics_listen=metrics_listen(reader),
            tls_dir=tls_dir or Path(),
            manifests=reader.read(MANIFESTS),
            log_level=reader.read(LOG_LEVEL),
            tenant_admins=reader.read(TENANT_ADMINS),
            cache_seconds=reader.read(CACHE_SECONDS),
            cache_bytes=(reader.read(CACHE_MIB) or 0) * 1024 * 1024,
            store_concurrency=reader.read(STORE_CONCURRENCY),
            store_queue=reader.read(STORE_QUEUE),
            stale_seconds=reader.read(STALE_SECONDS),
            max_requests=reader.read(MAX_REQUESTS),
            audit_file=reader.read(AUDIT_FILE),
            embedded_db=reader.read(EMBEDDED_DB),
            embedded_key_file=reader.read(EMBEDDED_KEY_FILE),
            tokens_file=reader.read(TOKENS_FILE),
            reach=Reach(reader.read(ALLOW_LOOPBACK_STORES), reader.read(STORE_HOSTS) or ()),
            group_creators=reader.read(GROUP_CREATORS),
            reveals_per_minute=reader.read(REVEALS_PER_MINUTE),
            page=PageSettings.read(reader),
        )
        reader.faults += settings._contradictions(tls_dir)
        reader.finish()
        return settings

    def _contradictions(self, tls_dir: Path | None) -> list[str]:
        faults = []
        if tls_dir is None:
            faults.append(
                f"{TLS_DIR.name}: found nothing; allowed: the folder with tls.crt and tls.key "
                "(the manifests mount the Secret tfy-secret-broker-tls there)"
            )
        if self.manifests is not None and self.tokens_file is None:
            faults.append(
                f"{TOKENS_FILE.name}: found nothing; it must be given with {MANIFESTS.name}, since no Kubernetes API reviews tokens then"
            )
        if self.manifests is None and self.tokens_file is not None:
            faults.append(
                f"{TOKENS_FILE.name}: is for development, with {MANIFESTS.name}; in a cluster the Kubernetes API reviews tokens. Remove it"
            )
        if (self.embedded_db is None) != (self.embedded_key_file is None):
            faults.append(f"{EMBEDDED_DB.name} and {EMBEDDED_KEY_FILE.name}: one is given without the other; give both or neither")
        return faults
