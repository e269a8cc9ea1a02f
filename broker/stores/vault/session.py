"""Requests to one Vault, with the broker's token and the namespace: a token that died early is replaced once and the request sent again.

Decides nothing about paths. A 403 has changed nothing at the store, so writes are sent again too.
"""

from collections.abc import Callable

from broker.errors import Misconfigured, StoreRefused
from broker.stores.exchange import Answer, Exchange
from broker.stores.vault.login import Login
from broker.stores.vault.tokens import Tokens
from contract.fqn import shorten
from contract.values import SecretValue

TOKEN, NAMESPACE = "X-Vault-Token", "X-Vault-Namespace"


class Session:
    """`namespace` is the manifest's, or None. `clock` is monotonic, in seconds."""

    def __init__(self, exchange: Exchange, login: Login, namespace: str | None, clock: Callable[[], float]) -> None:
        self.place = exchange.place
        self._exchange = exchange
        self._headers = _namespace(exchange.place, namespace)
        self.tokens = Tokens(login, self._ask, clock)

    async def send(self, method: str, target: str, body: bytes | None = None) -> Answer:
        """Raises what a login or a request raises; every status is an Answer, but for a dead token of a file."""
        token = await self.tokens.current()
        answer = await self._ask(method, target, body, token.value)
        if answer.status == 403 and await self.tokens.dead(token, f"{method} {target}"):
            answer = await self._ask(method, target, body, (await self.tokens.current()).value)
        elif answer.status == 403 and self.tokens.doubted(token):
            raise StoreRefused(
                f"{self.tokens.place}: the store refuses (403), even that the token looks at itself: it has ended, or is no token of this "
                "store. To fix: put a valid one there; if it is valid, give it the policy 'default' and one for the mount"
            )
        return answer

    async def send_bare(self, target: str) -> Answer:
        """Without token and namespace, which health has no use for."""
        return await self._exchange.send("GET", target)

    async def close(self) -> None:
        await self.tokens.close()
        await self._exchange.close()

    async def _ask(self, method: str, target: str, body: bytes | None, token: SecretValue | None) -> Answer:
        headers = self._headers if token is None else self._headers | {TOKEN: token}
        return await self._exchange.send(method, target, body, more=headers)


def _namespace(place: str, text: str | None) -> dict[str, SecretValue]:
    name = (text or "").strip("/")
    if not name.isascii() or not name.isprintable() or " " in name:
        raise Misconfigured(f"{place}: vault.namespace: found '{shorten(name)}'; allowed: names as ASCII, e.g. team or team/payments")
    return {NAMESPACE: SecretValue(name.encode())} if name else {}
