"""What an answer of a store's health, or none, means for those who look at `kubectl get secretstores`: a word and a sentence.

Decides who must act, as broker/errors.py orders it; how it is written into an object does `broker.conditions`.
"""

from dataclasses import dataclass

from broker.errors import (
    BrokerError,
    Disabled,
    Malformed,
    Misconfigured,
    NotFound,
    Sealed,
    SoftDeleted,
    StoreRefused,
    Throttled,
    Unavailable,
)

AVAILABLE = "Available"


@dataclass(frozen=True, slots=True)
class Condition:
    ready: bool
    reason: str
    message: str


# Errors that have a code with others and a word of their own.
_OWN_WORD = (Sealed, Disabled, SoftDeleted)

_WHO = {
    Sealed: "the store's operators, who unseal it",
    Throttled: "nobody if it passes, else whoever sets the store's quotas",
    Unavailable: "nobody if it passes, else whoever runs the store or the network to it",
    StoreRefused: "whoever gives the broker its rights in the store",
    Misconfigured: "whoever manages this SecretStore and the files that it names",
    NotFound: "whoever runs the store: what the broker needs there is not there, or is switched off",
    Malformed: "whoever manages this SecretStore: is its address that of such a store?",
}


def readiness(error: BrokerError | None) -> Condition:
    """Of a probe that met this error, or none."""
    if error is None:
        return Condition(True, AVAILABLE, "the store answers")
    who = next((words for kind, words in _WHO.items() if isinstance(error, kind)), "the operators of the broker; its log tells more")
    return Condition(False, _word(error), f"{error.message.rstrip('.')}. Who acts: {who}")


def _word(error: BrokerError) -> str:
    own = next((kind.__name__ for kind in _OWN_WORD if isinstance(error, kind)), None)
    return own or "".join(part.capitalize() for part in error.code.split("_"))
