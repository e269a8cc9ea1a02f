"""Tokens for the vault, from Microsoft Entra, through Azure's own library: cached by it, asked for again minutes before they expire.

Decides that a token is asked for in the configured tenant alone, that many calls at once make one request, that a slow login is told as
that and not as the vault's slowness, that a token which the vault no longer takes is replaced, and that what the login says about a failure
ends here. The files are read at each request for a token, and so in time after a rotation.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.identity.aio import CertificateCredential, ClientAssertionCredential, ClientSecretCredential

from broker.errors import BrokerError, Misconfigured, NotSent, Unavailable
from broker.stores.azure.credentials import CERTIFICATE_FILE, TOKEN_FILE, CertificateFile, Credentials
from broker.stores.azure.errors import login_refused
from broker.stores.azure.patience import Patience
from broker.stores.azure.transport import ONE_TRY, OneOrigin
from contract.values import SecretValue

# The library's client keeps a token and asks for another when the vault refuses it, or in its last minutes. Calls that begin together ask
# together, so one that was given out a moment ago is given again; an older one is asked for again because it was refused.
DOUBT_SECONDS = 10.0
LAST_SECONDS = 300.0

Credential = CertificateCredential | ClientAssertionCredential | ClientSecretCredential


class Login:
    """What Azure's clients call a credential that supports token info."""

    def __init__(self, place: str, credentials: Credentials, transport: OneOrigin, patience: Patience) -> None:
        self._place, self._credentials = f"{place}: the login at {credentials.authority}", credentials
        self._patience = patience
        self._options: dict[str, Any] = ONE_TRY | {
            "authority": credentials.authority,
            "transport": transport,
            "disable_instance_discovery": True,  # it would ask the public cloud whether the authority is one
        }
        self._lock = asyncio.Lock()
        self._asking: dict[str, asyncio.Task[AccessTokenInfo | BrokerError]] = {}
        self._open = {TOKEN_FILE: self._by_token, CERTIFICATE_FILE: self._by_certificate}.get(credentials.kind, self._by_secret)
        self._current = self._open()
        self._given, self._since = SecretValue(b""), 0.0

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Raises errors of broker.errors alone."""
        wanted = {name: value for name, value in (options or {}).items() if value is not None}  # a challenge without claims gives None
        tenant = str(wanted.pop("tenant_id", "") or self._credentials.tenant)
        if tenant.lower() != self._credentials.tenant.lower():
            raise Misconfigured(
                f"{self._place}: the vault belongs to another tenant than AZURE_TENANT_ID says, {self._credentials.tenant}. "
                "To fix: the id of the vault's tenant (not its domain), and an identity of that tenant"
            )
        asking = self._ask(scopes, wanted)
        await asyncio.wait([asking], timeout=self._patience.login)
        if not asking.done():
            raise NotSent(f"{self._place}: no answer within {self._patience.login:g} s; nothing was asked of the vault")
        outcome = asking.result()
        if isinstance(outcome, BrokerError):
            raise outcome.with_traceback(None)
        return outcome

    async def close(self) -> None:
        """The transport's session is its owner's."""
        for asking in list(self._asking.values()):
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking

    def _ask(self, scopes: tuple[str, ...], wanted: dict[str, Any]) -> "asyncio.Task[AccessTokenInfo | BrokerError]":
        """One at a time of a kind. Who joins gets its outcome, and who goes away does not end it."""
        kind = repr((scopes, sorted(wanted.items())))
        asking = self._asking.get(kind)
        if asking is None:
            asking = self._asking[kind] = asyncio.create_task(self._outcome(scopes, wanted))
            asking.add_done_callback(lambda _: self._asking.pop(kind, None))
        return asking

    async def _outcome(self, scopes: tuple[str, ...], wanted: dict[str, Any]) -> AccessTokenInfo | BrokerError:
        try:
            async with self._lock, asyncio.timeout(self._patience.total):
                return await self._token(*scopes, options=wanted)
        except TimeoutError:
            return Unavailable(f"{self._place}: no answer within {self._patience.total:g} s")
        except Exception as error:  # noqa: BLE001 - the library has many, which may hold the token or the assertion
            return login_refused(self._place, error, self._credentials)

    async def _token(self, *scopes: str, **options: Any) -> AccessTokenInfo:
        token: AccessTokenInfo = await self._current().get_token_info(*scopes, **options)
        now = time.time()
        if (
            self._given == SecretValue(token.token.encode())
            and now >= self._since + DOUBT_SECONDS
            and token.expires_on > now + LAST_SECONDS
        ):
            self._current = self._open()  # with an empty cache
            token = await self._current().get_token_info(*scopes, **options)
        if self._given != SecretValue(token.token.encode()):
            self._given, self._since = SecretValue(token.token.encode()), now
        return token

    def _by_token(self) -> Callable[[], Credential]:
        file = self._credentials.line(self._place)
        credential = ClientAssertionCredential(*self._who, lambda: file.current().reveal().decode(), **self._options)
        return lambda: credential

    def _by_secret(self) -> Callable[[], Credential]:
        file = self._credentials.line(self._place)
        made: list[tuple[SecretValue, Credential]] = []

        def current() -> Credential:
            secret = file.current()
            if not made or made[0][0] != secret:
                made[:] = [(secret, ClientSecretCredential(*self._who, secret.reveal().decode(), **self._options))]
            return made[0][1]

        return current

    def _by_certificate(self) -> Callable[[], Credential]:
        file = CertificateFile(f"{self._place}: {self._credentials.kind}", self._credentials.file)
        made: list[Credential] = []

        def current() -> Credential:
            content = file.content()
            if content is not None:
                made[:] = [self._certificate(content, file)]
            return made[0]

        return current

    def _certificate(self, content: bytes, file: CertificateFile) -> Credential:
        try:
            return CertificateCredential(*self._who, certificate_data=content, **self._options)
        except Exception:  # noqa: BLE001, S110 - raised below: what cryptography says may quote the key
            pass
        raise file.unusable()

    @property
    def _who(self) -> tuple[str, str]:
        return self._credentials.tenant, self._credentials.client
