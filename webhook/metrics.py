"""What Prometheus sees of the webhook: how long, what came out, why, which references; and when the certificate ends."""

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from webhook.planning import Decision, Inject, Reject, SkipReason
from webhook.problem import Reason

_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1, 5)  # seconds; 5 is the API server's time-out


class Metrics:
    """Labels are made once: looking one up costs as much as counting."""

    def __init__(self, expires_at: Callable[[], datetime | None]) -> None:
        self.registry = CollectorRegistry()
        prefix = "tfy_secret_webhook"
        self._duration = Histogram(f"{prefix}_review_seconds", "Time to answer a review", buckets=_BUCKETS, registry=self.registry)
        reviews = Counter(f"{prefix}_reviews", "Reviews by outcome and reason", ["outcome", "reason"], registry=self.registry)
        references = Counter(f"{prefix}_references", "References that were injected, by kind", ["kind"], registry=self.registry)
        self._injected = reviews.labels("injected", "")
        self._broken = reviews.labels("broken", "")
        self._other = reviews.labels("skipped", "not_a_new_pod")
        self._skipped = {reason: reviews.labels("skipped", reason.value) for reason in SkipReason}
        self._refused = {reason: reviews.labels("refused", reason.value) for reason in Reason}
        self._references = {kind: references.labels(kind) for kind in ("managed", "store", "file", "template")}
        expiry = Gauge(f"{prefix}_certificate_expiry_timestamp_seconds", "When the serving certificate ends", registry=self.registry)
        expiry.set_function(lambda: found.timestamp() if (found := expires_at()) else 0.0)

    def count(self, decision: Decision, seconds: float) -> None:
        """Count one answered review."""
        self._duration.observe(seconds)
        if isinstance(decision, Inject):
            self._injected.inc()
            for kind, number in decision.references.items():
                self._references[kind].inc(number)
        elif isinstance(decision, Reject):
            self._refused[decision.problems[0].reason].inc()
        else:
            self._skipped[decision.reason].inc()

    def count_other(self) -> None:
        self._other.inc()

    def count_broken(self) -> None:
        self._broken.inc()
