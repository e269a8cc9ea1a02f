"""What the broker counts, in a registry of its own. Labels are stable words and store names, never FQNs or callers."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """One instance a process (or a test)."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.resolve_seconds = Histogram(
            "tfy_secret_broker_resolve_seconds",
            "Time to answer POST /v1/resolve.",
            registry=registry,
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.requests = Counter("tfy_secret_broker_requests", "HTTP requests by route and status.", ["route", "status"], registry=registry)
        self.answers = Counter(
            "tfy_secret_broker_answers", "Decisions by action and code (`ok` or a wire code).", ["action", "code"], registry=registry
        )
        self.store_reads = Counter("tfy_secret_broker_store_reads", "Reads of a store by outcome.", ["store", "outcome"], registry=registry)
        self.cache_hits = Counter("tfy_secret_broker_cache_hits", "Values served from memory.", registry=registry)
        self.coalesced = Counter("tfy_secret_broker_coalesced", "Values that joined a read already in flight.", registry=registry)
        self.cache_bytes = Gauge("tfy_secret_broker_cache_bytes", "Memory that cached values take.", registry=registry)
        self.token_reviews = Counter("tfy_secret_broker_token_reviews", "TokenReviews by outcome.", ["outcome"], registry=registry)
        self.audit_failures = Counter(
            "tfy_secret_broker_audit_failures", "Requests refused because the audit log was not writable.", registry=registry
        )
        self.certificate_expiry = Gauge(
            "tfy_secret_broker_certificate_expiry_seconds", "When the serving certificate ends, in Unix time.", registry=registry
        )
