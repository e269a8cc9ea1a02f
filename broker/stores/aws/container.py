"""EKS Pod Identity: credentials from the agent on the node, for the token of a mounted file.

The agent has a link-local address. Only the ones that EKS uses are allowed, for this login alone; any other must be one that a
store may have (https, or loopback in development). A token that stands in an environment variable is not taken.
"""

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from broker.errors import BrokerError, Malformed, Misconfigured, StoreRefused, Throttled, Unavailable
from broker.stores.aws.keys import Keys
from broker.stores.aws.target import Target
from broker.stores.credential_file import CredentialFile
from broker.stores.exchange import retry_after
from broker.stores.resolver import VettedResolver
from broker.stores.transport import system_trust

AGENTS = frozenset({"169.254.170.23", "fd00:ec2::23"})
MAX_ANSWER_BYTES = 64 * 1024
_TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - the name of a variable


class PodIdentity:
    """A `keys.Source`. Making it raises Misconfigured for an address that is no agent's."""

    def __init__(self, target: Target, url: str, token_file: str) -> None:
        self.place, self._target = f"{target.place}: login by EKS Pod Identity", target
        self._url = _checked(target, url)
        if not token_file:
            raise Misconfigured(f"{self.place}: {_TOKEN_FILE} is not set. To fix: give both, as the Pod Identity webhook does")
        self._token = CredentialFile(f"{self.place}: {_TOKEN_FILE}", token_file, "mount the pod's token there")

    async def fetch(self) -> Keys:
        token = self._token.current().reveal().decode()
        try:
            async with (
                self._session() as session,
                session.get(URL(self._url, encoded=True), headers={"Authorization": token}, allow_redirects=False) as response,
            ):
                body = await response.content.read(MAX_ANSWER_BYTES)
                while len(body) < MAX_ANSWER_BYTES and (more := await response.content.read(MAX_ANSWER_BYTES)):
                    body += more
                problem: BrokerError | None = self._refused(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            problem = Unavailable(f"{self.place}: the agent cannot be reached ({type(error).__name__}). To fix: does it run on the node?")
        if problem is not None:
            raise problem
        return self._keys(body)

    async def close(self) -> None:
        """Each fetch has had a connection of its own: they are hours apart."""

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=VettedResolver(self._target.reach), ssl=system_trust()),
            timeout=aiohttp.ClientTimeout(total=self._target.patience.total, sock_connect=self._target.patience.connect),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _refused(self, response: aiohttp.ClientResponse) -> BrokerError | None:
        status = response.status
        if status == 200:
            return None
        if status == 429:
            return Throttled(f"{self.place}: the agent asks for fewer calls (429)", retry_after(response.headers))
        if status >= 500:
            return Unavailable(f"{self.place}: the agent fails ({status})", retry_after(response.headers))
        return StoreRefused(
            f"{self.place}: the agent gives no credentials ({status}). To fix: is there a Pod Identity association for the broker's "
            "service account, and does the role trust pods.eks.amazonaws.com?"
        )

    def _keys(self, body: bytes) -> Keys:
        try:
            found: Any = json.loads(body)
            until = datetime.fromisoformat(found["Expiration"])
            key, secret, token = (found[name] for name in ("AccessKeyId", "SecretAccessKey", "Token"))
            if until.tzinfo is not None and all(isinstance(text, str) and text for text in (key, secret, token)):
                return Keys(key, secret, token, until)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass  # raised below: the exception's context would hold the answer
        raise Malformed(f"{self.place}: the agent's answer has no credentials")


def _checked(target: Target, url: str) -> str:
    try:
        parts = urlsplit(url)
        agent = parts.scheme == "http" and parts.hostname in AGENTS and parts.port in (None, 80) and "@" not in parts.netloc
    except ValueError:
        agent = False
    return url if agent else target.reach.check_url(f"{target.place}: login: AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
