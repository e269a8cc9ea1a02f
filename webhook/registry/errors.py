"""Why an image's entrypoint cannot be had. The reason is for metrics and logs, the sentence for the pod's author.

No message holds a credential, a token or what a registry answered: a pod's author names the host that is asked, so an answer
must not be readable through us.
"""

from enum import Enum


class LookupReason(Enum):
    """A label of metrics, so the list is closed."""

    DENIED = "denied"
    NOT_FOUND = "not_found"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    NO_PLATFORM = "no_platform"
    INSECURE = "insecure"


class LookupFailed(Exception):
    """`fix` is what would mend the look-up itself, or empty; the annotation with the command is always a way out."""

    def __init__(self, reason: LookupReason, sentence: str, fix: str = "") -> None:
        self.reason, self.sentence, self.fix = reason, sentence, fix
        super().__init__(f"{sentence}. To fix: {fix}." if fix else f"{sentence}.")


class NoTls(LookupFailed):
    """The other end speaks no TLS; a registry on localhost is then asked in plain HTTP."""


class ImageError(ValueError):
    """Text that should name an image and does not. `found`, `allowed` and `fix` are the three parts of its message."""

    def __init__(self, found: str, allowed: str, fix: str) -> None:
        self.found, self.allowed, self.fix = found, allowed, fix
        super().__init__(f"found '{found}'; allowed: {allowed}.\nTo fix: {fix}.")
