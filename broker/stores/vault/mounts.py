"""Which KV version a mount has: what the manifest says, else what the server says, remembered until answers make us doubt.

Looking needs a token that may do anything at all below the mount, and reads no secret; so `healthy` looks too.
"""

from collections.abc import Callable
from urllib.parse import quote

import msgspec

from broker.errors import Malformed, Misconfigured
from broker.stores.vault.answers import parsed
from broker.stores.vault.errors import failure
from broker.stores.vault.session import Session
from contract.fqn import shorten

DOUBT_SECONDS = 30.0  # a secret that is missing is common; a mount that changed is not


class _Mount(msgspec.Struct):
    type: str
    path: str
    options: dict[str, str] | None = None


class _Answer(msgspec.Struct):
    data: _Mount


class KvVersion:
    """`given` is the manifest's, or None. `clock` is monotonic, in seconds."""

    def __init__(self, session: Session, mount: str, given: int | None, clock: Callable[[], float]) -> None:
        self._session, self._mount, self._given, self._clock = session, mount, given, clock
        self._known = given
        self._looked = float("-inf")
        self._misfit: str | None = None  # what was wrong with the manifest at the last look

    async def current(self) -> int:
        return self._known if self._known is not None else await self.look()

    async def changed(self) -> bool:
        """After an answer that another version would explain: whether it is another. Raises Misconfigured as `look` does."""
        if self._clock() < self._looked + DOUBT_SECONDS:
            if self._misfit is not None:
                raise Misconfigured(self._misfit)
            return False
        before = self._known
        return await self.look() != before

    async def look(self) -> int:
        """Ask the server. Raises Misconfigured for what is no KV mount, or another version than the manifest says."""
        self._looked, self._misfit = self._clock(), None
        place = f"{self._session.place}: mount '{self._mount}'"
        answer = await self._session.send("GET", f"/v1/sys/internal/ui/mounts/{quote(self._mount)}")
        if answer.status != 200:
            raise failure(place, answer, f"any capability below '{self._mount}/', or is vault.mount misspelt?")
        found = parsed(_Answer, answer.body)
        if found is None:
            raise Malformed(f"{place}: the answer about the mount is not Vault's. To fix: is vault.address right?")
        try:
            return self._judged(place, found.data)
        except Misconfigured as error:
            self._misfit = error.message
            raise

    def _judged(self, place: str, found: _Mount) -> int:
        if not f"{self._mount}/".endswith(found.path):  # a namespace may stand before it
            actual = shorten(found.path.rstrip("/"), 60)
            raise Misconfigured(f"{place}: the mount there is '{actual}'. To fix: name that in vault.mount, and the rest in paths")
        if found.type not in {"kv", "generic"}:
            raise Misconfigured(f"{place}: found an engine of type '{shorten(found.type, 40)}'; allowed: kv")
        version = 2 if (found.options or {}).get("version") == "2" else 1
        if self._given not in (None, version):
            raise Misconfigured(f"{place}: found KV version {version}, not {self._given}. To fix: remove vault.kvVersion")
        self._known = version
        return version
