"""How the broker proves to AWS who it is: which way the environment names, tried in this order, never two.

the environment has                                                        | way
-------------------------------------------------------------------------- | -------------------------------------------
AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN                                  | IRSA: STS takes the pod's own token
AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE | EKS Pod Identity: the node's agent
AWS_SHARED_CREDENTIALS_FILE (AWS_PROFILE)                                  | static keys of a mounted file, read again when it changes
none of them                                                               | Misconfigured

`roleArn` of the manifest is a role assumed on top of either. Keys in environment variables are not taken, and the machine's
metadata service is never asked: what it gives out is the node's role, which every pod of the node would share.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from broker.errors import Malformed, Misconfigured, StoreRefused
from broker.stores.aws.container import PodIdentity
from broker.stores.aws.errors import NotPermitted
from broker.stores.aws.keys import Keys, Renewing
from broker.stores.aws.keys_file import KeysFile
from broker.stores.aws.target import Target
from broker.stores.credential_file import CredentialFile

TOKEN_FILE, ROLE = "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"
CONTAINER_URI, CONTAINER_TOKEN_FILE = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
KEYS_FILE, PROFILE = "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE"
STS_ENDPOINTS = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")


class Login(Protocol):
    """Keys to sign with, now."""

    async def keys(self) -> Keys: ...

    def expire(self, used: Keys) -> None:
        """AWS says that these have ended: others, if they can be had."""
        ...

    async def close(self) -> None: ...


class Calls(Protocol):
    """STS, as `api.Api` gives it."""

    async def call(self, place: str, operation: str, **parameters: Any) -> dict[str, Any]: ...

    async def close(self) -> None: ...


class OpenSts(Protocol):
    """Makes the way to STS. `login` None: calls are not signed."""

    def __call__(self, login: Login | None, endpoint: str | None) -> Calls: ...


def login_of(environ: Mapping[str, str], target: Target, open_sts: OpenSts) -> Login:
    """Raises Misconfigured."""
    endpoint = _sts_endpoint(environ, target)
    login: Login
    if environ.get(TOKEN_FILE):
        role = environ.get(ROLE, "")
        if not role:
            raise Misconfigured(f"{target.place}: login: {TOKEN_FILE} is set and {ROLE} is not. To fix: give both, as IRSA does")
        login = Renewing(WebIdentity(target, role, environ[TOKEN_FILE], open_sts(None, endpoint)))
        if role == target.role:
            return login
    elif environ.get(CONTAINER_URI):
        login = Renewing(PodIdentity(target, environ[CONTAINER_URI], environ.get(CONTAINER_TOKEN_FILE, "")))
    elif environ.get(KEYS_FILE):
        login = KeysFile(target.place, environ[KEYS_FILE], environ.get(PROFILE) or "default")
    else:
        raise Misconfigured(
            f"{target.place}: login: the environment names no way to log in to AWS. To fix: annotate the broker's service account for "
            f"IRSA or give it an EKS Pod Identity, or mount a credentials file and name it in {KEYS_FILE}; keys in environment "
            "variables are not taken, and the node's own role is never used"
        )
    return login if target.role is None else Renewing(AssumedRole(target, target.role, login, open_sts(login, endpoint)))


def _sts_endpoint(environ: Mapping[str, str], target: Target) -> str | None:
    for name in STS_ENDPOINTS:
        if environ.get(name):
            return target.reach.check_url(f"{target.place}: login: {name}", environ[name])
    return None


class WebIdentity:
    """IRSA: a service account's token, renewed in its file by the kubelet, for a role's keys."""

    def __init__(self, target: Target, role: str, token_file: str, sts: Calls) -> None:
        self.place, self._session, self._role, self._sts = f"{target.place}: login as {role}", target.session_name, role, sts
        self._token = CredentialFile(f"{target.place}: login: {TOKEN_FILE}", token_file, "mount the service account's token there")

    async def fetch(self) -> Keys:
        token = self._token.current().reveal().decode()
        try:
            answer = await self._sts.call(
                self.place,
                "assume_role_with_web_identity",
                RoleArn=self._role,
                RoleSessionName=self._session,
                WebIdentityToken=token,
            )
        except NotPermitted:
            problem = StoreRefused(
                f"{self.place}: STS does not give this role to the broker's service account (AccessDenied). To fix: the role's trust "
                "policy must name the cluster's OIDC provider, the service account in `sub` and sts.amazonaws.com in `aud`"
            )
        else:
            return _keys(self.place, answer)
        raise problem

    async def close(self) -> None:
        await self._sts.close()


class AssumedRole:
    """A role on top of another login."""

    def __init__(self, target: Target, role: str, login: Login, sts: Calls) -> None:
        self.place, self._session, self._role = f"{target.place}: login as {role}", target.session_name, role
        self._login, self._sts = login, sts

    async def fetch(self) -> Keys:
        try:
            answer = await self._sts.call(self.place, "assume_role", RoleArn=self._role, RoleSessionName=self._session)
        except NotPermitted:
            problem = StoreRefused(
                f"{self.place}: AWS does not allow sts:AssumeRole (AccessDenied). To fix: allow it in the policy of the broker's own "
                "role, and trust that role in this one's trust policy"
            )
        else:
            return _keys(self.place, answer)
        raise problem

    async def close(self) -> None:
        await self._sts.close()
        await self._login.close()


def _keys(place: str, answer: dict[str, Any]) -> Keys:
    try:
        found = answer["Credentials"]
        return Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], found["Expiration"])
    except (LookupError, TypeError):
        pass  # raised below: the exception's context would hold the answer
    raise Malformed(f"{place}: the answer of STS has no credentials")
