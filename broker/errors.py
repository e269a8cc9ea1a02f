"""What can go wrong in the broker, ordered by who must act: the pod's author, the operator, nobody (retry).

Each store error carries the wire code that a caller gets. A library's exceptions stop at the store's module that imports it.
No message ever holds a value or a credential.
"""

from contract import wire


class BrokerError(Exception):
    """Base of all; `code` is a stable word for callers, logs and metrics, the message a sentence for people."""

    code = wire.INTERNAL

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


# --- the author of the pod, or the caller ------------------------------------------------------------------------


class NotFound(BrokerError):
    """The store has no such path or version."""

    code = wire.NOT_FOUND


class Disabled(NotFound):
    """The version is there and someone has switched it off."""


class SoftDeleted(NotFound):
    """Deleted, and the store still keeps it: it can be brought back there."""


class FieldNotFound(BrokerError):
    """The value is there; the `#field` is not."""

    code = wire.FIELD_NOT_FOUND


class InvalidRequest(BrokerError):
    """The store or the broker says that path, version or value is not acceptable."""

    code = wire.INVALID


class Unsupported(BrokerError):
    """The store has no such operation (a list of versions in the Generic contract, for one)."""

    code = wire.UNSUPPORTED


class TooLarge(BrokerError):
    """The value is past the store's or our own limit."""

    code = wire.TOO_LARGE


class Denied(BrokerError):
    """No role. Says nothing about whether the secret exists."""

    code = wire.DENIED


class Conflict(BrokerError):
    """Someone else changed it since the caller looked. `changes` are sentences, `version` is what the change must start from now."""

    code = wire.CONFLICT

    def __init__(self, message: str, changes: tuple[str, ...] = (), version: str | None = None) -> None:
        self.changes, self.version = changes, version
        super().__init__(message)


class NodeTooOld(BrokerError):
    """The pod runs on a node that cannot deliver its plan's mode; moving the pod, or admitting it again, mends it."""

    code = wire.NODE_TOO_OLD


class Unauthenticated(BrokerError):
    """The token is not accepted, or is not bound to a pod where one is needed."""

    code = wire.UNAUTHENTICATED


# --- the operator ------------------------------------------------------------------------------------------------


class Misconfigured(BrokerError):
    """A SecretStore, its credentials' files or a setting is wrong."""

    code = wire.MISCONFIGURED


class StoreRefused(BrokerError):
    """The store does not accept the broker's own credentials or rights."""

    code = wire.STORE_REFUSED


class StoreFailed(BrokerError):
    """A secret store did not do its part of a change. `cause` is its own error; the code is the cause's."""

    def __init__(self, message: str, cause: BrokerError) -> None:
        self.cause, self.code = cause, cause.code
        self.retry_after = getattr(cause, "retry_after", None)
        super().__init__(message)


class Malformed(BrokerError):
    """The store's answer, or the stored row, is not what its contract says: damaged, or another protocol."""

    code = wire.MALFORMED


# --- nobody: try again -------------------------------------------------------------------------------------------


class Retryable(BrokerError):
    """`retry_after`: seconds that the store asked us to wait, if it did."""

    code = wire.UNAVAILABLE

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class Throttled(Retryable):
    """The store asks for fewer calls."""

    code = wire.THROTTLED


class Unavailable(Retryable):
    """The store or the API server does not answer, or answers 5xx."""


class NotSent(Unavailable):
    """There was no connection, so the store has seen nothing of the request: a write may be tried again."""


class Sealed(Unavailable):
    """The store answers that it is sealed: its operators must unseal it, nobody here can."""
