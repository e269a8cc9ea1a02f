"""Values of keys as they are stored: one looked at, an older one made the newest, one version deleted, versions listed."""

from collections.abc import Sequence

from broker import audit
from broker.audit import Line, Origin
from broker.errors import Throttled
from broker.groups.checks import notices_of
from broker.groups.desk import Desk, managed
from broker.groups.model import Revealed, Written
from broker.identity import Caller
from broker.stores.store import Stored, StoredVersion
from contract.access import Action
from contract.fqn import Fqn, ManagedSecret
from contract.values import SecretValue

REVEAL_SENTENCE = "too many values were looked at; wait a little and try again"


class Reveals(Desk):
    """Part of the service: values and versions."""

    async def reveal(self, caller: Caller, group: str, key: str, origin: Origin, version: str | None = None) -> Revealed:
        """A value, the newest or the version named (REVEAL), past the cache. Audited, and limited per caller."""
        secret = ManagedSecret(self.tenant, group, key)
        stored = await self.read(caller, Fqn(secret, version), origin)
        return Revealed(str(secret), stored.version or version, stored.value)

    async def read(self, caller: Caller, fqn: Fqn, origin: Origin) -> Stored:
        """As `reveal`, by name. A `#field` is audited; taking it out of the value is the caller's."""
        secret = managed(fqn)
        allow = await self._allowed(caller, Action.REVEAL, fqn, secret, origin)
        await self._one_more_reveal(caller, fqn, origin)
        stored = await self._gate.recorded(
            origin,
            Action.REVEAL.value,
            str(fqn),
            lambda: self._values.read(allow.store, allow.path, fqn.version),
            lambda found: found.version,
            asked=fqn.version,
        )
        await self._remember(caller, origin, secret.group, [("reveal", secret.key, stored.version or fqn.version)])
        return stored

    async def stored_versions(self, caller: Caller, fqn: Fqn, origin: Origin) -> Sequence[StoredVersion]:
        """Oldest first (LIST). Raises Unsupported where the store cannot list them."""
        secret = managed(fqn)
        allow = await self._allowed(caller, Action.LIST, fqn, secret, origin)
        return await self._gate.recorded(origin, Action.LIST.value, str(fqn), lambda: self._values.versions(allow.store, allow.path))

    async def restore_version(self, caller: Caller, group: str, key: str, version: str, origin: Origin) -> Written:
        """Save an older version's value as the newest (EDIT), without showing it to the caller."""
        secret = ManagedSecret(self.tenant, group, key)
        allow = await self._allowed(caller, Action.EDIT, Fqn(secret, version), secret, origin)
        name = str(secret)
        async with self._turns.at(group, [key], caller.name):
            await self._gate.record(origin, Line("restore", name, audit.ALLOW, "ok", version))

            async def restored() -> tuple[str, SecretValue]:
                old = await self._values.read(allow.store, allow.path, version)
                return await self._values.write(allow.store, allow.path, old.value), old.value

            made, value = await self._result(origin, "restore", name, restored(), lambda done: done[0])
            await self._remember(caller, origin, group, [("restore", key, made)], f"from version {version}")
        return Written(name, made, False, notices_of(key, value))

    async def delete_version(self, caller: Caller, fqn: Fqn, origin: Origin) -> None:
        """Delete one version of a key's value (EDIT)."""
        secret = managed(fqn)
        allow = await self._allowed(caller, Action.EDIT, fqn, secret, origin)
        await self._gate.record(origin, Line("delete", str(fqn), audit.ALLOW, "ok", fqn.version))
        deletion = self._values.delete_version(allow.store, allow.path, str(fqn.version))
        await self._result(origin, "delete", str(fqn), deletion, lambda _: fqn.version)
        await self._remember(caller, origin, secret.group, [("delete", secret.key, fqn.version)])

    async def _one_more_reveal(self, caller: Caller, fqn: Fqn, origin: Origin) -> None:
        if self._reveals is None:
            return
        try:
            self._reveals.take(caller.name, REVEAL_SENTENCE)
        except Throttled as error:
            await self._gate.record(origin, Line(Action.REVEAL.value, str(fqn), audit.DENY, error.code, fqn.version))
            raise
