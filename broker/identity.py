"""Who asks: a bearer token, reviewed by the Kubernetes API server, becomes a `Caller` with subjects.

caller | audience of the token     | also needed
------ | ------------------------- | ---------------------------------------------------------
a pod  | ours (`keys.AUDIENCE`)    | a service account's token, bound to a living pod
person | the API server's own      | nothing; service accounts may act as people with such a token

What a caller may do is decided by `contract.access`. A token is never logged, kept or compared here; `tokens` does it with a
file, in development.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Protocol

from broker.errors import Unauthenticated, Unavailable
from broker.metrics import Metrics
from contract import keys
from contract.access import workload_subjects
from service.kube import Kube, KubeError
from service.logs import describe

MAX_TOKEN = 16 * 1024  # characters; a service account's token is about 1 KiB, a person's OIDC token rarely above 8
REVIEW_SECONDS = 5.0  # an API server that is well takes milliseconds
REVIEWS_AT_ONCE = 64  # the API server's default is 400 requests in flight for everyone together
_REVIEW_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"

_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9._~+/-]+=*)")  # RFC 6750
_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:([^:/\s]+):([^:/\s]+)")
_EXTRA = "authentication.kubernetes.io/"

NOT_ACCEPTED = "the token is not accepted: it is not known, expired, or made for another audience"
NOT_A_POD = (
    f"the token must be bound to a pod and made for the audience {keys.AUDIENCE}; the webhook projects such a token into the init container"
)


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that a token is bound to, as the API server says. `node` is None where the API server does not tell."""

    namespace: str
    service_account: str
    name: str
    uid: str
    node: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `name` is what the audit log calls them; `subjects` is what roles are given to."""

    name: str
    subjects: frozenset[str]
    pod: Pod | None = None


class Authenticator(Protocol):
    """Raises Unauthenticated, or Unavailable when no one can say."""

    async def pod(self, token: str) -> Caller: ...

    async def person(self, token: str) -> Caller: ...


def bearer(header: str | None) -> str:
    """The token of an Authorization header. Raises Unauthenticated, without showing what was sent."""
    if not header:
        raise Unauthenticated("no token: send the header 'Authorization: Bearer <token>'")
    match = _BEARER.fullmatch(header) if len(header) <= MAX_TOKEN else None
    if match is None:
        raise Unauthenticated(f"the Authorization header is not 'Bearer <token>' with a token of at most {MAX_TOKEN} characters")
    return match.group(1)


def service_account_of(username: str) -> tuple[str, str] | None:
    """Namespace and name, if the user is a service account."""
    match = _SERVICE_ACCOUNT.fullmatch(username)
    return (match.group(1), match.group(2)) if match else None


def subjects_of(username: str, groups: list[str]) -> frozenset[str]:
    subjects = frozenset({f"user:{username}", *(f"team:{group}" for group in groups)})
    account = service_account_of(username)
    return subjects if account is None else subjects | workload_subjects(*account)


class TokenReviews:
    """Asks the API server about each token. No cache: the API server has its own, and revocation should act."""

    def __init__(self, kube: Kube, metrics: Metrics) -> None:
        self._kube, self._metrics = kube, metrics
        self._room = asyncio.Semaphore(REVIEWS_AT_ONCE)

    async def pod(self, token: str) -> Caller:
        user = await self._review(token, [keys.AUDIENCE])
        username, groups = _name_and_groups(user)
        account = service_account_of(username)
        extra = user.get("extra") or {}
        name, uid = _first(extra, "pod-name"), _first(extra, "pod-uid")
        if account is None or name is None or uid is None:
            raise Unauthenticated(NOT_A_POD)
        return Caller(username, subjects_of(username, groups), Pod(*account, name, uid, _first(extra, "node-name")))

    async def person(self, token: str) -> Caller:
        username, groups = _name_and_groups(await self._review(token, []))
        return Caller(username, subjects_of(username, groups))

    async def _review(self, token: str, audiences: list[str]) -> dict[str, Any]:
        """The user of an accepted token. An API server that does not know audiences returns none: then ours was not checked."""
        spec: dict[str, Any] = {"token": token} | ({"audiences": audiences} if audiences else {})
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        status = await self._post(review)
        if status.get("authenticated") is not True or not set(audiences) <= set(status.get("audiences") or ()):
            self._metrics.token_reviews.labels("refused").inc()
            raise Unauthenticated(NOT_ACCEPTED)
        self._metrics.token_reviews.labels("accepted").inc()
        return status.get("user") or {}

    async def _post(self, review: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(REVIEW_SECONDS), self._room:
                answer = await self._kube.post(_REVIEW_PATH, review)
            return dict(answer["status"])
        except (KubeError, TimeoutError, ValueError, TypeError, LookupError) as error:
            self._metrics.token_reviews.labels("failed").inc()
            reason = describe(error)["error"]  # the type alone: a library's message may quote the request
        raise Unavailable(f"the Kubernetes API does not review tokens at the moment ({reason})", retry_after=1)


def _name_and_groups(user: dict[str, Any]) -> tuple[str, list[str]]:
    username, groups = user.get("username"), user.get("groups") or []
    if not isinstance(username, str) or not username:
        raise Unauthenticated(NOT_ACCEPTED)
    return username, [group for group in groups if isinstance(group, str)]


def _first(extra: dict[str, Any], name: str) -> str | None:
    values = extra.get(_EXTRA + name)
    return values[0] if isinstance(values, list) and values and isinstance(values[0], str) and values[0] else None
