"""What people do with managed secrets: list, read, write, delete. For the command line now, for a web page later.

operation | role's action         | audited as
--------- | --------------------- | ------------------------------------------------------
list      | LIST                  | list, one line a group
versions  | LIST or REVEAL        | list
value     | REVEAL                | reveal
write     | CREATE the first one, | create or edit, before the store is asked and after
          | EDIT the next ones    |
delete    | EDIT                  | edit, before the store is asked and after

Managed names alone: a store's own paths are its owners' business. A denial is the same whether or not the secret exists.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from broker import audit
from broker.audit import Audit, Line, Origin
from broker.backends import Backends
from broker.errors import BrokerError, Denied, InvalidRequest, Misconfigured, NotFound, TooLarge, Unsupported
from broker.identity import Caller
from broker.metrics import Metrics
from broker.reads import Reads
from broker.resolve import DENIED_SENTENCE, deny_reason, with_field
from broker.stores.store import Stored, StoredVersion
from contract import wire
from contract.access import Action, Allow, Deny, decide, has_role
from contract.catalog import Catalog
from contract.fqn import MANAGED_FORM, SCHEME, Fqn, FqnError, ManagedSecret, is_part, parse_fqn
from contract.resources import SecretStore
from contract.values import SecretValue

T = TypeVar("T")
WRITE = "write"  # what a denied write is called: it is not known whether it would have created or edited


class People:
    """Every method raises BrokerErrors, or AuditFailed before anything is done or shown."""

    def __init__(
        self, catalog: Catalog, admins: frozenset[str], backends: Backends, reads: Reads, audit_log: Audit, metrics: Metrics
    ) -> None:
        self._catalog, self._admins, self._backends, self._reads = catalog, admins, backends, reads
        self._audit, self._metrics = audit_log, metrics

    async def names(self, caller: Caller, group: str | None, origin: Origin) -> list[str]:
        """The FQNs of one group, or of every group that the caller may list. From the manifests; no store is asked."""
        wanted = sorted(self._catalog.groups) if group is None else [group]
        open_groups = [g for g in wanted if has_role(caller.subjects, Action.LIST, g, self._catalog, self._admins)]
        if group is not None and not open_groups:
            await self._record(origin, Line(Action.LIST.value, _group_name(self._catalog.tenant, group), audit.DENY, wire.DENIED))
            raise Denied(DENIED_SENTENCE)
        for name in open_groups:
            await self._record(origin, Line(Action.LIST.value, _group_name(self._catalog.tenant, name), audit.ALLOW, "ok"))
        tenant = self._catalog.tenant
        return [str(ManagedSecret(tenant, g, key)) for g in open_groups for key in sorted(self._catalog.groups[g].keys)]

    async def value(self, caller: Caller, name: str, origin: Origin) -> Stored:
        """A value, past the cache: a person wants what the store has now."""
        fqn, secret = managed(name)
        allow = await self._allowed(caller, (Action.REVEAL,), fqn, secret, origin)

        async def read() -> Stored:
            stored = with_field(await self._backends.call(allow.store, lambda client: client.read(allow.path, fqn.version)), fqn)
            if isinstance(stored, BrokerError):
                raise stored
            return stored

        return await self._and_record(origin, Action.REVEAL.value, fqn, read, lambda stored: stored.version)

    async def versions(self, caller: Caller, name: str, origin: Origin) -> list[StoredVersion]:
        fqn, secret = managed(name)
        allow = await self._allowed(caller, (Action.LIST, Action.REVEAL), fqn, secret, origin)
        return await self._and_record(
            origin,
            Action.LIST.value,
            fqn,
            lambda: self._backends.call(allow.store, lambda client: client.versions(allow.path)),
            lambda _: None,
        )

    async def write(self, caller: Caller, name: str, value: SecretValue, origin: Origin) -> str:
        """Make a new version and return its name."""
        if len(value) > wire.MAX_VALUE_BYTES:
            raise TooLarge(f"the value has {len(value)} bytes; at most {wire.MAX_VALUE_BYTES} can be stored")
        fqn, secret = managed(name)
        if fqn.version is not None or fqn.field is not None:
            raise InvalidRequest("a value is written to a name without ?version= and #field; the store names the new version")
        allow, action = await self._write_allowed(caller, fqn, secret, origin)
        await self._record(origin, Line(action.value, str(fqn), audit.ALLOW, "ok"))

        async def write() -> str:
            try:
                return await self._backends.call(allow.store, lambda client: client.write(allow.path, value))
            finally:
                self._reads.forget(allow.store, allow.path)

        return await self._and_record(origin, action.value, fqn, write, lambda version: version, event="result")

    async def delete(self, caller: Caller, name: str, version: str | None, origin: Origin) -> None:
        """One version, or the secret with all of them."""
        fqn, secret = managed(name)
        if fqn.field is not None or (version is not None and fqn.version not in (None, version)):
            raise InvalidRequest("a secret or one version of it is deleted; remove the #field, and give the version once")
        if version == "":  # a caller whose variable was empty must not lose every version
            raise InvalidRequest("version: found nothing; allowed: a version's name, or leave it out to delete them all")
        fqn = Fqn(secret, version or fqn.version)
        allow = await self._allowed(caller, (Action.EDIT,), fqn, secret, origin)
        await self._record(origin, Line(Action.EDIT.value, str(fqn), audit.ALLOW, "ok", fqn.version))

        async def delete() -> None:
            try:
                await self._backends.call(allow.store, lambda client: client.delete(allow.path, fqn.version))
            finally:
                self._reads.forget(allow.store, allow.path)

        await self._and_record(origin, Action.EDIT.value, fqn, delete, lambda _: fqn.version, event="result")

    def _decide(self, caller: Caller, action: Action, secret: ManagedSecret) -> Allow | Deny:
        return decide(caller.subjects, action, secret, self._catalog, self._admins)

    async def _allowed(self, caller: Caller, actions: tuple[Action, ...], fqn: Fqn, secret: ManagedSecret, origin: Origin) -> Allow:
        """The first permission found. Raises what the denial means, after it is written down."""
        decisions = [self._decide(caller, action, secret) for action in actions]
        for decision in decisions:
            if isinstance(decision, Allow):
                return decision
        raise await self._denied(actions[0].value, fqn, secret, decisions, origin)

    async def _write_allowed(self, caller: Caller, fqn: Fqn, secret: ManagedSecret, origin: Origin) -> tuple[Allow, Action]:
        decisions = {action: self._decide(caller, action, secret) for action in (Action.CREATE, Action.EDIT)}
        store = next((d.store for d in decisions.values() if isinstance(d, Allow)), None)
        if store is not None:
            try:
                action = Action.EDIT if await self._exists(store, secret.path) else Action.CREATE
            except BrokerError as error:
                await self._record(origin, Line(WRITE, str(fqn), audit.ALLOW, error.code))
                raise
            decision = decisions[action]
            if isinstance(decision, Allow):
                return decision, action
            raise await self._denied(action.value, fqn, secret, [decision], origin)
        raise await self._denied(WRITE, fqn, secret, list(decisions.values()), origin)

    async def _exists(self, store: SecretStore, path: str) -> bool:
        try:
            return bool(await self._backends.call(store, lambda client: client.versions(path)))
        except NotFound:
            return False
        except Unsupported:
            pass  # a store that cannot list versions is asked for the newest one
        try:
            await self._backends.call(store, lambda client: client.read(path))
        except NotFound:
            return False
        return True

    async def _denied(self, action: str, fqn: Fqn, secret: ManagedSecret, decisions: Sequence[Allow | Deny], origin: Origin) -> BrokerError:
        """What to raise, once it is written down. What is missing is told to those who have the role, and to no one else."""
        denials = [d for d in decisions if isinstance(d, Deny)]
        code, message = deny_reason(next((d for d in denials if d.missing is not None), Deny()))
        await self._record(origin, Line(action, str(fqn), audit.DENY, code, fqn.version))
        if code == wire.NOT_FOUND:
            return NotFound(f"{message}. To fix: add '{secret.key}' to spec.keys of SecretGroup {secret.group}, then try again")
        return Misconfigured(message) if code == wire.MISCONFIGURED else Denied(message)

    async def _and_record(
        self,
        origin: Origin,
        action: str,
        fqn: Fqn,
        operation: Callable[[], Awaitable[T]],
        version: Callable[[T], str | None],
        event: str = "decision",
    ) -> T:
        """Run what is allowed and write down how it went, before anyone sees the outcome."""
        try:
            done = await operation()
        except BrokerError as error:
            await self._record(origin, Line(action, str(fqn), audit.ALLOW, error.code, fqn.version, event))
            raise
        await self._record(origin, Line(action, str(fqn), audit.ALLOW, "ok", version(done) or fqn.version, event))
        return done

    async def _record(self, origin: Origin, line: Line) -> None:
        await self._audit.write(origin, [line])
        self._metrics.answers.labels(line.action, line.code).inc()


def managed(name: str) -> tuple[Fqn, ManagedSecret]:
    """Parse a managed secret's name. Raises InvalidRequest."""
    try:
        fqn = parse_fqn(name).required
    except FqnError as error:
        raise InvalidRequest(str(error)) from None
    if not isinstance(fqn.secret, ManagedSecret):
        raise InvalidRequest(
            f"only managed secrets are kept here; allowed: {MANAGED_FORM}. To fix: use the store's own tools for its own paths"
        )
    return fqn, fqn.secret


def _group_name(tenant: str, group: str) -> str:
    """How the audit log names a group as a whole; a name that cannot be a group's is not repeated."""
    return f"{SCHEME}{tenant}:{group}:*" if is_part(group) else "not a group's name"
