"""What came out of a try, and what it tells: of the store as a whole, of whether another try is safe, in words without anyone's path.

An outcome is what the client gave, or a BrokerError as a value. Decides nothing about when to try again; `broker.lane` does.
"""

from collections.abc import Iterable

import structlog

from broker.errors import BrokerError, Malformed, NotFound, NotSent, Retryable, Sealed, StoreRefused, Throttled, Unavailable
from contract.resources import SecretStore
from service.logs import describe

log = structlog.get_logger()

MAY_BE_DONE = "It may have been done all the same: look at what the store has before you do it again"


def is_answer(outcome: object) -> bool:
    """Whether it shows that the store answers. What may be decided before anything is sent (a path that cannot be) shows nothing."""
    return not isinstance(outcome, BrokerError) or isinstance(outcome, NotFound | StoreRefused | Malformed | Throttled)


def is_safe_again(error: BrokerError, *, repeatable: bool) -> bool:
    """Whether another try can help and cannot do twice what must be done once."""
    if isinstance(error, Sealed):
        return False
    nothing_done = isinstance(error, Throttled | NotSent)
    return nothing_done or (repeatable and isinstance(error, Retryable))


def as_told(outcome: object, *, repeatable: bool) -> object:
    """What the caller gets: after a write without an answer also that it may have been done."""
    if repeatable or not isinstance(outcome, Unavailable) or isinstance(outcome, NotSent | Sealed):
        return outcome
    return Unavailable(f"{outcome.message}. {MAY_BE_DONE}", outcome.retry_after)


def longest_asked(outcomes: Iterable[object]) -> float:
    """The longest Retry-After among them."""
    return max((outcome.retry_after or 0.0 for outcome in outcomes if isinstance(outcome, Retryable)), default=0.0)


def kind(error: Unavailable) -> str:
    """For callers who asked for something else: a client's own words may name a path."""
    if isinstance(error, Sealed):
        return "it is sealed"
    return "it cannot be reached" if isinstance(error, NotSent) else "it did not answer, or answered that it fails"


def stripped(error: BrokerError) -> BrokerError:
    """Without the places and exceptions it came from: those may hold values, and an outcome is kept for others."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def crashed(store: SecretStore, error: BaseException) -> BrokerError:
    """What a client's library raises by surprise may quote a value: its type is logged and its message dropped."""
    log.error("store_crashed", store=store.name, **describe(error))
    return BrokerError(f"the store '{store.fqn}' could not be used; the broker's log says where it failed")
