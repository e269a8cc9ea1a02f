"""Decide, and write the decision down: the one place where people's permissions and the audit log meet.

A denial is the same sentence whether or not the group or key exists, and is in the log before the caller hears it. What is
allowed is written down before it is done (`record`) or with how it went (`recorded`); who decides the rules is `contract.access`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from broker import audit
from broker.audit import Audit, Line, Origin
from broker.errors import BrokerError, Denied, Misconfigured, NotFound
from broker.identity import Caller
from broker.metrics import Metrics
from broker.resolve import DENIED_SENTENCE, deny_reason
from contract import wire
from contract.access import Action, Allow, Deny, actions_in, decide
from contract.catalog import Catalog
from contract.fqn import SCHEME, Fqn, ManagedSecret, is_part
from contract.resources import SecretGroup

T = TypeVar("T")


class Gate:
    """Every method raises BrokerErrors, or AuditFailed before anything is done or shown."""

    def __init__(self, catalog: Catalog, admins: frozenset[str], audit_log: Audit, metrics: Metrics) -> None:
        self.catalog, self._admins, self._audit, self._metrics = catalog, admins, audit_log, metrics

    def decide(self, caller: Caller, action: Action, secret: ManagedSecret) -> Allow | Deny:
        return decide(caller.subjects, action, secret, self.catalog, self._admins)

    def actions(self, caller: Caller, group: SecretGroup | None) -> frozenset[Action]:
        """What the caller may do in a group as it was read; nothing in one that is not there."""
        return frozenset() if group is None else actions_in(caller.subjects, group, self._admins)

    def is_admin(self, caller: Caller) -> bool:
        """A tenant admin, who may know what is there and what is not."""
        return not self._admins.isdisjoint(caller.subjects)

    async def denied(self, action: str, fqn: Fqn, secret: ManagedSecret, decisions: Sequence[Allow | Deny], origin: Origin) -> BrokerError:
        """What to raise, once it is written down. What is missing is told to those who have the role, and to no one else."""
        denials = [d for d in decisions if isinstance(d, Deny)]
        code, message = deny_reason(next((d for d in denials if d.missing is not None), Deny()))
        await self.record(origin, Line(action, str(fqn), audit.DENY, code, fqn.version))
        if code == wire.NOT_FOUND:
            return NotFound(f"{message}. To fix: save a value for it, or add '{secret.key}' to spec.keys of SecretGroup {secret.group}")
        return Misconfigured(message) if code == wire.MISCONFIGURED else Denied(message)

    async def refusal(self, caller: Caller, action: str, group: str, key: str | None, origin: Origin, *, there: bool = True) -> BrokerError:
        """What to raise for a caller without the role; a tenant admin is told that a group is not there."""
        missing = not there and self.is_admin(caller)
        code = wire.NOT_FOUND if missing else wire.DENIED
        await self.record(origin, Line(action, name_of(self.catalog.tenant, group, key), audit.DENY, code))
        return NotFound("there is no such secret group") if missing else Denied(DENIED_SENTENCE)

    async def recorded(
        self,
        origin: Origin,
        action: str,
        name: str,
        operation: Callable[[], Awaitable[T]],
        version: Callable[[T], str | None] = lambda _: None,
        *,
        asked: str | None = None,
        event: str = "decision",
    ) -> T:
        """Run what is allowed and write down how it went, before anyone sees the outcome. `asked`: the version that was asked for."""
        try:
            done = await operation()
        except BrokerError as error:
            decision = audit.DENY if isinstance(error, Denied) else audit.ALLOW
            await self.record(origin, Line(action, name, decision, error.code, asked, event))
            raise
        await self.record(origin, Line(action, name, audit.ALLOW, "ok", version(done) or asked, event))
        return done

    async def record(self, origin: Origin, *lines: Line) -> None:
        await self._audit.write(origin, list(lines))
        for line in lines:
            self._metrics.answers.labels(line.action, line.code).inc()


def name_of(tenant: str, group: str, key: str | None = None) -> str:
    """How the audit log names a key, or a group as a whole; a name that cannot be one is not repeated."""
    if not is_part(group) or (key is not None and not is_part(key)):
        return "not a group's name" if key is None else "not a key's name"
    return f"{SCHEME}{tenant}:{group}:{key or '*'}"
