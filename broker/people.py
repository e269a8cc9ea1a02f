"""What people do with managed secrets by their full names: for the command line, over `GET|PUT|DELETE /v1/secrets`.

operation | role's action         | audited as
--------- | --------------------- | ------------------------------------------------------
list      | LIST                  | list, one line a group
versions  | LIST                  | list
value     | REVEAL                | reveal
write     | CREATE the first one, | create or edit, before the store is asked and after
          | EDIT the next ones    |
delete    | EDIT                  | delete, before the store is asked and after

Reads the names; everything else is the management service's (`broker.groups`). Managed names alone: a store's own paths are its
owners' business. A denial is the same whether or not the secret exists.
"""

from broker import audit
from broker.audit import Line, Origin
from broker.errors import BrokerError, InvalidRequest
from broker.gate import Gate, name_of
from broker.groups.service import Groups
from broker.identity import Caller
from broker.resolve import with_field
from broker.stores.store import Stored, StoredVersion
from contract.access import Action
from contract.fqn import MANAGED_FORM, Fqn, FqnError, ManagedSecret, parse_fqn
from contract.values import SecretValue


class People:
    """Every method raises BrokerErrors, or AuditFailed before anything is done or shown."""

    def __init__(self, gate: Gate, groups: Groups) -> None:
        self._gate, self._groups = gate, groups

    async def names(self, caller: Caller, group: str | None, origin: Origin) -> list[str]:
        """The FQNs of one group, or of every group that the caller may list. From the manifests; no store is asked."""
        catalog = self._gate.catalog
        wanted = sorted(catalog.groups) if group is None else [group]
        open_groups = [g for g in wanted if self._groups.may(caller, Action.LIST, g)]
        if group is not None and not open_groups:
            raise await self._gate.refusal(caller, Action.LIST.value, group, None, origin, there=group in catalog.groups)
        await self._gate.record(origin, *(Line(Action.LIST.value, name_of(catalog.tenant, g), audit.ALLOW, "ok") for g in open_groups))
        return [str(ManagedSecret(catalog.tenant, g, key)) for g in open_groups for key in sorted(catalog.groups[g].keys)]

    async def value(self, caller: Caller, name: str, origin: Origin) -> Stored:
        """A value, past the cache: a person wants what the store has now."""
        fqn, _ = managed(name)
        found = with_field(await self._groups.read(caller, fqn, origin), fqn)
        if isinstance(found, BrokerError):
            raise found
        return found

    async def versions(self, caller: Caller, name: str, origin: Origin) -> list[StoredVersion]:
        return list(await self._groups.stored_versions(caller, managed(name)[0], origin))

    async def write(self, caller: Caller, name: str, value: SecretValue, origin: Origin) -> str:
        """Make a new version, and the key if the group has none of that name; return the version's name."""
        fqn, secret = managed(name)
        if fqn.version is not None or fqn.field is not None:
            raise InvalidRequest("a value is written to a name without ?version= and #field; the store names the new version")
        await self._our_tenant(caller, "write", secret, origin)
        return (await self._groups.put_key(caller, secret.group, secret.key, value, origin)).version

    async def delete(self, caller: Caller, name: str, version: str | None, origin: Origin) -> None:
        """One version, or the key with all of them."""
        fqn, secret = managed(name)
        if fqn.field is not None or (version is not None and fqn.version not in (None, version)):
            raise InvalidRequest("a secret or one version of it is deleted; remove the #field, and give the version once")
        if version == "":  # a caller whose variable was empty must not lose every version
            raise InvalidRequest("version: found nothing; allowed: a version's name, or leave it out to delete them all")
        fqn = Fqn(secret, version or fqn.version)
        if fqn.version is not None:
            await self._groups.delete_version(caller, fqn, origin)
            return
        await self._our_tenant(caller, "delete", secret, origin)
        await self._groups.delete_key(caller, secret.group, secret.key, origin)

    async def _our_tenant(self, caller: Caller, said: str, secret: ManagedSecret, origin: Origin) -> None:
        if secret.tenant != self._gate.catalog.tenant:
            raise await self._gate.refusal(caller, said, secret.group, secret.key, origin)


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
