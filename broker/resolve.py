"""`/v1/resolve`: an answer for each name, in the order asked. Decides access for every name and every caller, cached or not.

name                                   | code
-------------------------------------- | ----------------------------------------------------------------
not an FQN                             | invalid, with the grammar's sentence
no role, another tenant, unknown place | denied, one fixed sentence: nothing about existence is learned
the role is there, the key is not      | not_found
the role is there, the store is not    | misconfigured
the store fails                        | the store's code and sentence
anything unforeseen                    | internal, without details; the log has its type and place

One name's failure does not hide the others. Who asks was decided by `identity`.
"""

import asyncio

import structlog

from broker import audit
from broker.audit import Audit, Line, Origin
from broker.errors import BrokerError
from broker.fields import pick
from broker.identity import Caller
from broker.metrics import Metrics
from broker.reads import Reads, Stale
from broker.stores.store import Stored
from contract import wire
from contract.access import Action, Allow, Deny, decide
from contract.catalog import Catalog
from contract.fqn import Fqn, FqnError, parse_fqn
from contract.wire import Answer, Resolved, Unresolved
from service.logs import describe

log = structlog.get_logger()

DENIED_SENTENCE = (
    "denied: the caller has no role that allows this, or there is no such secret. To fix: ask for a role in the secret group "
    "(spec.collaborators), or for an allow rule of the secret store (spec.allow)"
)
INTERNAL_SENTENCE = "the broker failed; its log has the request's id"
# Far below wire.MAX_RESPONSE_BYTES as base64; an answer is held three times while it is made, in a container of 512 MiB.
MAX_VALUES_BYTES = 16 * 1024 * 1024


class Resolver:
    """Answers pods. The catalog is live; every call sees its present state."""

    def __init__(self, catalog: Catalog, admins: frozenset[str], reads: Reads, audit_log: Audit, metrics: Metrics) -> None:
        self._catalog, self._admins, self._reads, self._audit, self._metrics = catalog, admins, reads, audit_log, metrics

    async def resolve(self, caller: Caller, names: tuple[str, ...], origin: Origin) -> list[Answer]:
        """Raises AuditFailed, and then nothing has been answered."""
        found = _within_budget(await asyncio.gather(*(self._answer(caller, name, origin) for name in names)))
        await self._audit.write(origin, [line for _, line in found])
        for _, line in found:
            self._metrics.answers.labels(line.action, line.code).inc()
        return [answer for answer, _ in found]

    async def _answer(self, caller: Caller, name: str, origin: Origin) -> tuple[Answer, Line]:
        fqn: Fqn | None = None
        try:
            fqn = parse_fqn(name)
            decision = decide(caller.subjects, Action.INJECT, fqn.secret, self._catalog, self._admins)
            if isinstance(decision, Deny):
                return self._refuse(name, fqn, *deny_reason(decision))
            return await self._read(name, fqn, decision, origin)
        except FqnError as error:
            return self._refuse(name, None, wire.INVALID, str(error))
        except Exception as error:  # noqa: BLE001 - one name's crash must not take the others along, nor show what it held
            log.error("resolve_crashed", **describe(error))  # noqa: TRY400 - a traceback's message may hold a value
            return self._refuse(name, fqn, wire.INTERNAL, INTERNAL_SENTENCE)

    async def _read(self, name: str, fqn: Fqn, allow: Allow, origin: Origin) -> tuple[Answer, Line]:
        outcome = await self._reads.read(allow.store, allow.path, fqn.version, origin.request)
        stale = isinstance(outcome, Stale)
        if isinstance(outcome, Stored):
            outcome = with_field(outcome, fqn)
        if isinstance(outcome, BrokerError):
            line = Line(Action.INJECT.value, str(fqn.required), audit.ALLOW, outcome.code, fqn.version, stale=stale)
            return Unresolved(name, outcome.code, outcome.message), line
        line = Line(Action.INJECT.value, str(fqn.required), audit.ALLOW, "ok", outcome.version or fqn.version, stale=stale)
        return Resolved(name, outcome.value, outcome.version), line

    def _refuse(self, name: str, fqn: Fqn | None, code: str, message: str) -> tuple[Answer, Line]:
        canonical = None if fqn is None else str(fqn.required)
        return Unresolved(name, code, message), Line(Action.INJECT.value, canonical, audit.DENY, code)


def deny_reason(decision: Deny) -> tuple[str, str]:
    """The wire code and the sentence of a denial."""
    if decision.missing is None:
        return wire.DENIED, DENIED_SENTENCE
    return wire.MISCONFIGURED if decision.misconfigured else wire.NOT_FOUND, decision.missing


def with_field(stored: Stored, fqn: Fqn) -> Stored | BrokerError:
    if fqn.field is None:
        return stored
    try:
        return Stored(pick(stored.value, fqn.field), stored.version)
    except BrokerError as error:
        return error.with_traceback(None)


def _within_budget(found: list[tuple[Answer, Line]]) -> list[tuple[Answer, Line]]:
    """Refuse the values past what one response may hold, rather than send one that the init container will not read."""
    total = 0
    kept: list[tuple[Answer, Line]] = []
    for answer, line in found:
        if isinstance(answer, Resolved):
            total += len(answer.value)
            if total > MAX_VALUES_BYTES:
                message = f"the values of one pod are past {MAX_VALUES_BYTES} bytes together; deliver fewer or smaller ones"
                kept.append(
                    (
                        Unresolved(answer.fqn, wire.TOO_LARGE, message),
                        Line(line.action, line.fqn, line.decision, wire.TOO_LARGE, line.version),
                    )
                )
                continue
        kept.append((answer, line))
    return kept
