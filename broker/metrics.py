"""What the broker counts, in a registry of its own. Labels are stable words and store names, never FQNs or callers."""

from collections.abc import Callable
from contextlib import suppress

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
        self.store_calls = Counter(
            "tfy_secret_broker_store_calls",
            "Calls to a store by operation and outcome (`ok` or a wire code; `throttled` is the store asking for fewer).",
            ["store", "operation", "outcome"],
            registry=registry,
        )
        self.store_call_seconds = Histogram(
            "tfy_secret_broker_store_call_seconds",
            "Time of one call to a store, without what waited before it.",
            ["store", "operation"],
            registry=registry,
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.store_batch_size = Histogram(
            "tfy_secret_broker_store_batch_size",
            "Secrets that went into one batch.",
            ["store"],
            registry=registry,
            buckets=(2, 5, 10, 20, 50, 100),
        )
        self.store_retries = Counter(
            "tfy_secret_broker_store_retries", "Calls that were tried again by reason.", ["store", "reason"], registry=registry
        )
        self.store_not_asked = Counter(
            "tfy_secret_broker_store_not_asked",
            "Calls that were refused without asking the store: its circuit is open (`circuit`), it wants a long rest (`throttled`), "
            "too many calls (`waiting`) or requests (`crowd`) wait for it.",
            ["store", "reason"],
            registry=registry,
        )
        self.store_circuit_openings = Counter(
            "tfy_secret_broker_store_circuit_openings", "How often a store's circuit opened.", ["store"], registry=registry
        )
        self.store_circuit_state = Gauge(
            "tfy_secret_broker_store_circuit_state", "A store's circuit: 0 closed, 1 half open, 2 open.", ["store"], registry=registry
        )
        self.store_ready = Gauge(
            "tfy_secret_broker_store_ready", "Whether the last background probe of a store was answered well.", ["store"], registry=registry
        )
        self.store_waiting = Gauge("tfy_secret_broker_store_waiting", "Calls that wait for their try.", ["store"], registry=registry)
        self.store_slots = Gauge(
            "tfy_secret_broker_store_slots", "Calls that may run at once; fewer while a store asks for fewer.", ["store"], registry=registry
        )
        self.store_stale = Counter(
            "tfy_secret_broker_store_stale", "Values past their time that were served since the store failed.", ["store"], registry=registry
        )
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

    def follow_store(self, store: str, waiting: Callable[[], float], slots: Callable[[], float], circuit: Callable[[], float]) -> None:
        """Gauges that are looked at when they are asked for, and cost a call nothing."""
        self.store_waiting.labels(store).set_function(waiting)
        self.store_slots.labels(store).set_function(slots)
        self.store_circuit_state.labels(store).set_function(circuit)

    def forget_store(self, store: str) -> None:
        for gauge in (self.store_waiting, self.store_slots, self.store_circuit_state):
            gauge.remove(store)

    def forget_ready(self, store: str) -> None:
        with suppress(KeyError):
            self.store_ready.remove(store)
