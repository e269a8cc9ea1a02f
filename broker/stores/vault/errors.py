"""What Vault's and OpenBao's answers mean, for whoever must act. Their own words are looked at and never repeated."""

from typing import NamedTuple

import msgspec

from broker.errors import (
    BrokerError,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    Retryable,
    Sealed,
    StoreRefused,
    Throttled,
    TooLarge,
    Unavailable,
)
from broker.stores.exchange import Answer
from broker.stores.vault.answers import parsed


class _Rule(NamedTuple):
    """`phrase`: what the answer must say, in lower case; empty: whatever it says. The first rule that fits holds."""

    statuses: range
    phrase: str
    kind: type[BrokerError]
    sentence: str


def _only(status: int) -> range:
    return range(status, status + 1)


_RULES = (
    _Rule(_only(400), "upgrading from non-versioned", Unavailable, "the mount is being upgraded to KV version 2"),
    _Rule(range(400, 600), "relative paths not supported", InvalidRequest, "the store takes no '..' within a name. To fix: use another"),
    _Rule(_only(400), "", InvalidRequest, "the store says that the path, version or value is not acceptable (400)"),
    _Rule(_only(403), "", StoreRefused, "the store refuses (403). To fix: give the broker's role a policy with {needed}"),
    _Rule(_only(404), "namespace not found", Misconfigured, "the store has no such namespace. To fix: correct vault.namespace"),
    _Rule(
        _only(404),
        "no handler for route",
        Misconfigured,
        "nothing is mounted there. To fix: correct vault.mount, or enable a KV engine there",
    ),
    _Rule(_only(404), "versioned k/v", Misconfigured, "the mount is of KV version 2, not 1. To fix: remove vault.kvVersion, or write 2"),
    _Rule(_only(404), "", NotFound, "the store has no such secret (404)"),
    _Rule(_only(405), "", Misconfigured, "the mount takes no such request (405). To fix: is vault.mount a KV engine?"),
    _Rule(_only(412), "", Unavailable, "the replica that answers is behind (412)"),
    _Rule(_only(413), "", TooLarge, "the value is too large for the store (413)"),
    _Rule(_only(429), "", Throttled, "the store asks for fewer calls (429)"),
    _Rule(
        _only(472),
        "",
        Misconfigured,
        "a disaster recovery secondary answers (472). To fix: put the primary's address in vault.address",
    ),
    _Rule(_only(473), "", Unavailable, "a performance standby answers (473)"),
    _Rule(_only(501), "", Unavailable, "the store is not initialised (501). Its operators must run `operator init`"),
    _Rule(
        range(300, 400),
        "",
        Misconfigured,
        "the store answers with a redirect ({status}), which is not followed. "
        "To fix: put the active node's or the load balancer's address in vault.address",
    ),
    _Rule(range(500, 600), "sealed", Sealed, "the store is sealed. Its operators must unseal it"),
    _Rule(range(500, 600), "value being too large", TooLarge, "the value is too large for the store's storage"),
    _Rule(range(500, 600), "", Unavailable, "the store fails ({status})"),
    _Rule(range(1000), "", Malformed, "found status {status}, which Vault's API does not have. To fix: is vault.address right?"),
)


class _Said(msgspec.Struct):
    """Of an error; `sealed` is how sys/health says it."""

    errors: list[str] = []
    warnings: list[str] | None = None
    sealed: bool = False


def said(answer: Answer) -> str:
    """What the store says, in lower case: to compare with, not to show."""
    found = parsed(_Said, answer.body) or _Said()
    return "\n".join(found.errors + (found.warnings or []) + ["sealed"] * found.sealed).lower()


def failure(place: str, answer: Answer, needed: str) -> BrokerError:
    """What an answer other than the good ones means. `needed`: the permission that the request takes, as the end of a sentence."""
    text = said(answer)
    rule = next(rule for rule in _RULES if answer.status in rule.statuses and rule.phrase in text)
    message = f"{place}: {rule.sentence.format(status=answer.status, needed=needed)}"
    return rule.kind(message, answer.retry_after) if issubclass(rule.kind, Retryable) else rule.kind(message)
