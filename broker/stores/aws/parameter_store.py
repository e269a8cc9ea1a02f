"""Client of AWS Systems Manager Parameter Store.

Values are text; they are written as SecureString under the account's default key, and read in any type. A version is a number or
a label. Deleting one version is not possible there.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from broker.errors import BrokerError, InvalidRequest, Malformed, NotFound, StoreRefused, TooLarge, Unsupported
from broker.stores.aws.answers import number_of, parameter_of, utc
from broker.stores.aws.api import Api
from broker.stores.aws.errors import NotPermitted
from broker.stores.aws.lately import Lately
from broker.stores.aws.logins import Login, login_of
from broker.stores.aws.names import is_arn, parameter_name, refuse_arn
from broker.stores.aws.single_reads import Outcomes, read_singly
from broker.stores.aws.target import Target
from broker.stores.aws.versions import is_number, selector
from broker.stores.exchange import Patience
from broker.stores.registry import StoreSettings
from broker.stores.store import Asked, Stored, StoredVersion
from contract.resources import SecretStore
from contract.values import SecretValue

BATCH = 10  # names in one GetParameters
MAX_VALUE_BYTES = 8192  # of an advanced parameter; 4096 of a standard one
MAX_PAGES = 20  # AWS keeps 100 versions, and gives 50 a page
LATELY_SECONDS = 300.0
_BATCHES = "GetParameters"


class ParameterStore:
    """A BatchClient. Making it calls nobody."""

    batch = BATCH

    def __init__(self, target: Target, login: Login, api: Api) -> None:
        self._target, self._login, self._api = target, login, api
        self._alone = Lately(LATELY_SECONDS)  # names that made a batch fail, and _BATCHES if none may be made

    async def read(self, path: str, version: str | None = None) -> Stored:
        place = self._target.place_of(path, version)
        name = parameter_name(place, path, self._target.region)
        answer = await self._api.call(place, "get_parameter", Name=name + selector(place, version), WithDecryption=True)
        return parameter_of(place, name, version, answer.get("Parameter"))

    async def read_batch(self, asked: Sequence[Asked]) -> list[Stored | BrokerError]:
        """In one call what batches well; labels, ARNs and a name's second version each in a call of its own."""
        together = self._batchable(asked)
        found = await self._together(together) if len(together) > 1 else {}
        singly = await read_singly(self.read, [one for one in asked if one not in (found or {})])
        if found is None:
            self._learn([one for one in together if isinstance(singly[one], StoreRefused | InvalidRequest)])
        outcomes = (found or {}) | singly
        return [outcomes[one] for one in asked]

    async def write(self, path: str, value: SecretValue) -> str:
        place = self._target.place_of(path)
        name = parameter_name(place, path, self._target.region)
        refuse_arn(place, name)
        # Intelligent-Tiering: AWS makes a parameter advanced when it is past 4 KB, and leaves one that is advanced as it is.
        answer = await self._api.call(
            place, "put_parameter", Name=name, Value=_text(place, value), Type="SecureString", Overwrite=True, Tier="Intelligent-Tiering"
        )
        return number_of(place, answer)

    async def delete(self, path: str, version: str | None = None) -> None:
        place = self._target.place_of(path, version)
        name = parameter_name(place, path, self._target.region)
        refuse_arn(place, name)
        if version is not None:
            raise Unsupported(f"{place}: Parameter Store cannot delete one version. To fix: write a new one, or delete the parameter")
        await self._api.call(place, "delete_parameter", Name=name)

    async def versions(self, path: str) -> list[StoredVersion]:
        place = self._target.place_of(path)
        name = parameter_name(place, path, self._target.region)
        found: dict[int, StoredVersion] = {}
        more: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            # Without decryption: a SecureString's old values stay as they are, and no key is used.
            answer = await self._api.call(place, "get_parameter_history", Name=name, WithDecryption=False, MaxResults=50, **more)
            for entry in answer.get("Parameters") or ():
                version = number_of(place, entry)
                found[int(version)] = StoredVersion(version, utc(entry.get("LastModifiedDate")))
            if not answer.get("NextToken"):
                return [found[number] for number in sorted(found)]
            more = {"NextToken": answer["NextToken"]}
        raise Malformed(f"{place}: the list of versions has no end")

    async def healthy(self) -> None:
        """Ask for a name that no parameter can have.

        answer        | meaning
        ------------- | -----------------------------------------------------------------------------------------------
        not found     | address, credentials and the documented policy are right
        not permitted | the credentials are right. A store with own paths may have a policy for those alone: healthy, else not
        anything else | what a read would meet
        """
        try:
            await self._api.call(f"{self._target.place}: probe", "get_parameter", Name=self._target.nowhere, WithDecryption=True)
        except NotFound:
            return
        except NotPermitted:
            if not self._target.has_own_paths:
                raise

    async def close(self) -> None:
        await self._api.close()
        await self._login.close()

    def _batchable(self, asked: Sequence[Asked]) -> list[Asked]:
        """Each name once: answers come in any order, and two versions of one name could be taken for each other."""
        chosen: dict[str, Asked] = {}
        if _BATCHES not in self._alone:
            for one in asked:
                if (one.version is None or is_number(one.version)) and not is_arn(one.path) and one.path not in self._alone:
                    chosen.setdefault(one.path, one)
        return list(chosen.values())

    async def _together(self, asked: list[Asked]) -> Outcomes | None:
        """One call. None: AWS has refused it as a whole, as it does for one parameter, or one key, that may not be used."""
        outcomes: Outcomes = {}
        names: dict[str, Asked] = {}
        for one in asked:
            place = self._target.place_of(*one)
            try:
                names[parameter_name(place, one.path, self._target.region) + selector(place, one.version)] = one
            except BrokerError as error:
                outcomes[one] = error
        if not names:
            return outcomes
        try:
            place = f"{self._target.place}: {len(names)} paths"
            answer = await self._api.call(place, "get_parameters", Names=list(names), WithDecryption=True)
        except (NotPermitted, InvalidRequest):
            return None
        entries = {entry.get("Name"): entry for entry in answer.get("Parameters") or ()}
        absent = set(answer.get("InvalidParameters") or ())
        return outcomes | {one: self._of_batch(one, entries, absent=name in absent) for name, one in names.items()}

    def _of_batch(self, one: Asked, entries: Mapping[Any, Any], *, absent: bool) -> Stored | BrokerError:
        place = self._target.place_of(*one)
        if absent:
            return NotFound(f"{place}: AWS has no such {'secret' if one.version is None else 'secret or version'} (InvalidParameters)")
        try:
            return parameter_of(place, one.path, one.version, entries.get(one.path))
        except BrokerError as error:
            return error.with_traceback(None)

    def _learn(self, refused: list[Asked]) -> None:
        """After a refused batch: those that are refused by themselves stay out of batches; if there are none, it is the batch itself."""
        for name in [one.path for one in refused] or [_BATCHES]:
            self._alone.add(name)


def open_client(
    store: SecretStore, settings: StoreSettings, environ: Mapping[str, str] = os.environ, patience: Patience | None = None
) -> ParameterStore:
    """Raises Misconfigured."""
    target = Target.parse(store, settings.reach, patience)
    login = login_of(environ, target, lambda by, endpoint: Api("sts", target.of("STS"), by, endpoint))
    return ParameterStore(target, login, Api("ssm", target, login, target.endpoint))


def _text(place: str, value: SecretValue) -> str:
    if len(value) > MAX_VALUE_BYTES:
        raise TooLarge(f"{place}: found a value of {len(value)} bytes; allowed: at most {MAX_VALUE_BYTES} in Parameter Store")
    if len(value) == 0:
        raise InvalidRequest(f"{place}: the value is empty, and Parameter Store keeps no empty value. To fix: leave the key out")
    try:
        return value.reveal().decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception holds the value
    raise InvalidRequest(f"{place}: the value is not UTF-8, and Parameter Store holds text. To fix: encode it, e.g. as base64")
