"""Client of AWS Secrets Manager.

A value that is UTF-8 is a SecretString, any other a SecretBinary; both come back byte for byte. A version is a VersionId or a
stage. Deleting keeps the secret for a recovery window, and a write brings it back: see `secret_writer`.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from broker.errors import BrokerError, InvalidRequest, Malformed, NotFound, SoftDeleted, Unsupported
from broker.stores.aws.answers import id_of, is_of, secret_of, utc
from broker.stores.aws.api import Api
from broker.stores.aws.errors import Failing, NotPermitted, Refusal, explain
from broker.stores.aws.lately import Lately
from broker.stores.aws.logins import Login, login_of
from broker.stores.aws.names import refuse_arn, secret_id
from broker.stores.aws.secret_writer import SecretWriter
from broker.stores.aws.single_reads import Outcomes, read_singly
from broker.stores.aws.target import Target
from broker.stores.aws.versions import choices
from broker.stores.exchange import Patience
from broker.stores.registry import StoreSettings
from broker.stores.store import Asked, Stored, StoredVersion
from contract.resources import SecretStore
from contract.values import SecretValue

BATCH = 20  # secrets in one BatchGetSecretValue
MAX_PAGES = 50
LATELY_SECONDS = 300.0
_BATCHES = "BatchGetSecretValue"
_OLDEST = datetime.min.replace(tzinfo=UTC)
_STAGES = ("AWSPREVIOUS", "AWSCURRENT")


class SecretsManager:
    """A BatchClient. Making it calls nobody."""

    batch = BATCH

    def __init__(self, target: Target, login: Login, api: Api) -> None:
        self._target, self._login, self._api = target, login, api
        self._writer = SecretWriter(api)
        self._lately = Lately(LATELY_SECONDS)  # holds _BATCHES while the policy does not allow any

    async def read(self, path: str, version: str | None = None) -> Stored:
        place = self._target.place_of(path, version)
        name = secret_id(place, path, self._target.region)
        *before, last = choices(place, version)
        for choice in before:
            try:
                return await self._read(place, name, choice)
            except SoftDeleted:
                raise
            except NotFound:
                continue
        return await self._read(place, name, last)

    async def read_batch(self, asked: Sequence[Asked]) -> list[Stored | BrokerError]:
        """The newest versions in one call; a named version in a call of its own, since AWS batches none."""
        together = [] if _BATCHES in self._lately else [one for one in asked if one.version is None]
        found = await self._together(together) if len(together) > 1 else {}
        outcomes = found | await read_singly(self.read, [one for one in asked if one not in found])
        return [outcomes[one] for one in asked]

    async def write(self, path: str, value: SecretValue) -> str:
        place = self._target.place_of(path)
        name = secret_id(place, path, self._target.region)
        refuse_arn(place, name)
        return await self._writer.write(place, name, value)

    async def delete(self, path: str, version: str | None = None) -> None:
        place = self._target.place_of(path, version)
        name = secret_id(place, path, self._target.region)
        refuse_arn(place, name)
        if version is not None:
            raise Unsupported(
                f"{place}: Secrets Manager cannot delete one version, and drops by itself those that have no stage. To fix: write a new "
                "one, or delete the secret"
            )
        await self._writer.delete(place, name)

    async def versions(self, path: str) -> list[StoredVersion]:
        place = self._target.place_of(path)
        name = secret_id(place, path, self._target.region)
        found: list[tuple[datetime, int, StoredVersion]] = []
        more: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            answer = await self._page(place, name, more)
            for entry in answer.get("Versions") or ():
                created = utc(entry.get("CreatedDate"))
                found.append((created or _OLDEST, _rank(entry), StoredVersion(id_of(place, entry), created)))
            if not answer.get("NextToken"):
                return [version for _, _, version in sorted(found, key=lambda one: one[:2])]
            more = {"NextToken": answer["NextToken"]}
        raise Malformed(f"{place}: the list of versions has no end")

    async def healthy(self) -> None:
        """Ask for a name that no secret has; what the answers mean is as in `ParameterStore.healthy`."""
        try:
            await self._api.call(f"{self._target.place}: probe", "get_secret_value", SecretId=self._target.nowhere)
        except NotFound:
            return
        except NotPermitted:
            if not self._target.has_own_paths:
                raise

    async def close(self) -> None:
        await self._writer.close()
        await self._api.close()
        await self._login.close()

    async def _page(self, place: str, name: str, more: dict[str, str]) -> dict[str, Any]:
        try:
            return await self._api.call(place, "list_secret_version_ids", SecretId=name, IncludeDeprecated=True, MaxResults=100, **more)
        except Failing:
            # An emulator of AWS (moto 5.2) fails on the list of a secret that is not there; nothing could ever be written to it.
            await self._api.call(place, "get_secret_value", SecretId=name)
            raise

    async def _read(self, place: str, name: str, choice: dict[str, str]) -> Stored:
        return secret_of(place, name, await self._api.call(place, "get_secret_value", SecretId=name, **choice))

    async def _together(self, asked: Sequence[Asked]) -> Outcomes:
        """One call, whose permission the smallest policy may lack. What has no outcome is for single reads."""
        outcomes: Outcomes = {}
        names: dict[str, Asked] = {}
        for one in asked:
            try:
                names[secret_id(self._target.place_of(one.path), one.path, self._target.region)] = one
            except BrokerError as error:
                outcomes[one] = error
        if not names:
            return outcomes
        try:
            place = f"{self._target.place}: {len(names)} paths"
            answer = await self._api.call(place, "batch_get_secret_value", SecretIdList=list(names))
        except NotPermitted:
            self._lately.add(_BATCHES)
            return outcomes
        except InvalidRequest:
            return outcomes
        return outcomes | self._errors(names, answer) | self._values(names, answer)

    def _values(self, names: Mapping[str, Asked], answer: Mapping[str, Any]) -> Outcomes:
        found: Outcomes = {}
        for entry in answer.get("SecretValues") or ():
            for name, one in names.items():
                if is_of(name, entry):
                    try:
                        found[one] = secret_of(self._target.place_of(one.path), name, entry)
                    except BrokerError as error:
                        found[one] = error.with_traceback(None)
        return found

    def _errors(self, names: Mapping[str, Asked], answer: Mapping[str, Any]) -> Outcomes:
        found: Outcomes = {}
        for entry in answer.get("Errors") or ():
            one = names.get(entry.get("SecretId"))
            if one is not None:
                refusal = Refusal(str(entry.get("ErrorCode")), str(entry.get("Message")))
                found[one] = explain(self._target.place_of(one.path), "secretsmanager:GetSecretValue", refusal)
        return found


def open_client(
    store: SecretStore, settings: StoreSettings, environ: Mapping[str, str] = os.environ, patience: Patience | None = None
) -> SecretsManager:
    """Raises Misconfigured."""
    target = Target.parse(store, settings.reach, patience)
    login = login_of(environ, target, lambda by, endpoint: Api("sts", target.of("STS"), by, endpoint))
    return SecretsManager(target, login, Api("secretsmanager", target, login, target.endpoint))


def _rank(entry: Mapping[str, Any]) -> int:
    """Versions of one moment: those without a stage are older than the previous, and that older than the current."""
    return max((1 + _STAGES.index(stage) for stage in entry.get("VersionStages") or () if stage in _STAGES), default=0)
