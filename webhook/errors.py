"""What can go wrong in the webhook apart from a pod's own problems, which are `problem.Problem`s and never exceptions.

The operator acts on SettingsError (`service.settings`); the API server gets BrokenReview as HTTP 4xx.
"""


class WebhookError(Exception):
    """Base of all; the message is a sentence for people."""


class BrokenReview(WebhookError):
    """Not an AdmissionReview that could be answered; `status` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class NotAManifest(WebhookError):
    """`inject` was given something that is not Kubernetes YAML or JSON."""


class DamagedAuthority(WebhookError):
    """The stored CA cannot sign. A person must decide: replacing it would cut off every pod that trusts it."""


class IssuerFailed(WebhookError):
    """The process that makes certificates does not answer; it is asked again at the next look."""
