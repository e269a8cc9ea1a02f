"""Client of HashiCorp Vault and OpenBao: secrets in one KV mount, of version 1 or 2.

Decides which of the two is spoken, and what may be written: only what lies below /tfy-secret/ is the broker's; the entries that
teams keep at paths of their own are read alone.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.errors import BrokerError, Malformed, Misconfigured, NotFound, Unsupported
from broker.stores.addresses import Reach
from broker.stores.checks import check_size, shown
from broker.stores.exchange import Exchange, Patience
from broker.stores.headers import HeaderFiles
from broker.stores.registry import StoreSettings
from broker.stores.store import Stored, StoredVersion
from broker.stores.transport import FileTrust
from broker.stores.vault.errors import failure
from broker.stores.vault.kv1 import Kv1
from broker.stores.vault.kv2 import Kv2
from broker.stores.vault.login import open_login
from broker.stores.vault.mounts import KvVersion
from broker.stores.vault.names import Name, misread, parse, parse_mount
from broker.stores.vault.session import Session
from contract.resources import SecretStore
from contract.values import SecretValue

T = TypeVar("T")

# A standby answers for the active node, or says where it is; both are well.
HEALTH = "/v1/sys/health?standbyok=true&perfstandbyok=true"


class Vault:
    """A StoreClient. Making it reads no file and opens no connection; raises Misconfigured for what the manifest shows."""

    def __init__(
        self, store: SecretStore, *, reach: Reach, patience: Patience | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.place = place = f"SecretStore {store.name}"
        given = store.settings
        url = reach.check_url(f"{place}: vault.address", given["address"])
        self.mount = parse_mount(f"{place}: vault.mount", given["mount"])
        ca_file = given.get("caFile")
        exchange = Exchange(
            place,
            url,
            HeaderFiles(place, {}),
            reach=reach,
            patience=patience,
            trust=FileTrust(f"{place}: vault.caFile", ca_file) if ca_file else None,
            trust_field="vault.caFile",
        )
        self._session = Session(exchange, open_login(place, given["auth"]), given.get("namespace"), clock)
        self._version = KvVersion(self._session, self.mount, given.get("kvVersion"), clock)
        self._kvs: dict[int, Kv1 | Kv2] = {1: Kv1(self._session, self.mount), 2: Kv2(self._session, self.mount)}

    async def read(self, path: str, version: str | None = None) -> Stored:
        name = self._name(path)
        try:
            return await self._with_kv(lambda kv: kv.read(name, version))
        except NotFound as error:
            hint = misread(path, name, self.mount) if type(error) is NotFound else None
            if hint is None:
                raise
            raise NotFound(f"{error.message}. To fix: {hint}") from None

    async def write(self, path: str, value: SecretValue) -> str:
        name = self._our_name(path)
        check_size(path, value)
        return await self._with_kv(lambda kv: kv.write(name, value))

    async def delete(self, path: str, version: str | None = None) -> None:
        name = self._our_name(path)
        await self._with_kv(lambda kv: kv.delete(name, version))

    async def versions(self, path: str) -> list[StoredVersion]:
        name = self._name(path)
        return await self._with_kv(lambda kv: kv.versions(name))

    async def healthy(self) -> None:
        """Unsealed, and our token takes us to the mount."""
        answer = await self._session.send_bare(HEALTH)
        if answer.status != 200:
            raise failure(self.place, answer, "nothing: health needs no token")
        await self._version.look()

    async def close(self) -> None:
        await self._session.close()

    async def _with_kv(self, operation: Callable[[Kv1 | Kv2], Awaitable[T]]) -> T:
        """Once more if the mount is of another version now: an entry is looked for at another place then.

        Where the manifest says a version that the mount does not have, that is told: a pod's author cannot mend it.
        """
        try:
            return await operation(self._kvs[await self._version.current()])
        except (NotFound, Malformed, Misconfigured) as error:
            if not await self._changed(error):
                raise
        return await operation(self._kvs[await self._version.current()])

    async def _changed(self, error: BrokerError) -> bool:
        try:
            return await self._version.changed()
        except Misconfigured as misfit:
            raise misfit from None
        except BrokerError:
            raise error from None

    def _name(self, path: str) -> Name:
        return parse(self.place, path, self.mount)

    def _our_name(self, path: str) -> Name:
        name = self._name(path)
        if not name.ours:
            raise Unsupported(
                f"{self.place}: path '{shown(path)}': the broker writes and deletes managed secrets alone; this path is the team's own. "
                "To fix: use Vault itself"
            )
        return name


def open_client(store: SecretStore, settings: StoreSettings) -> Vault:
    """Raises Misconfigured."""
    return Vault(store, reach=settings.reach)
