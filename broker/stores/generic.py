"""Client of the Generic Secret Store contract: any HTTP server that a team writes in front of its own secret manager.

    PUT    /secrets                     {"path", "value"}        2xx {"version": ...}
    GET    /secrets?path=[&version=]                             200 {"value": "..."}, 404
    DELETE /secrets                     {"path"[, "version"]}    2xx, 400 if path or version is invalid

Decides what the answers mean. Values are text, exactly: what is not UTF-8 is refused before it is sent. The contract has no list
of versions, so `versions` is Unsupported; for a path or version that is not there a DELETE may answer 400, which reads as
InvalidRequest and not as NotFound. `broker.check_store` tells whether a server keeps the contract.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from broker.errors import (
    BrokerError,
    InvalidRequest,
    Malformed,
    Misconfigured,
    NotFound,
    StoreRefused,
    Throttled,
    TooLarge,
    Unavailable,
    Unsupported,
)
from broker.stores.addresses import Reach
from broker.stores.checks import check_path, check_size, shown
from broker.stores.exchange import Answer, Exchange, Patience
from broker.stores.headers import HeaderFiles
from broker.stores.registry import StoreSettings
from broker.stores.store import Stored, StoredVersion
from contract.resources import SecretStore
from contract.strict import FormatError, loads
from contract.values import SecretValue
from contract.wire import MAX_VALUE_BYTES

MAX_VERSION_CHARACTERS = 256
_COUNT = re.compile(r"0|[1-9][0-9]{0,17}")  # an integer that every JSON reader takes
SECRETS = "/secrets"


class Generic:
    """A StoreClient. Making it reads no file and opens no connection; raises Misconfigured for what the manifest shows."""

    def __init__(self, store: SecretStore, *, reach: Reach, patience: Patience | None = None) -> None:
        place = f"SecretStore {store.name}"
        url = reach.check_url(f"{place}: baseUrl", store.settings["baseUrl"])
        headers = HeaderFiles(place, store.settings.get("headerFiles") or {})
        self.exchange = Exchange(place, url, headers, reach=reach, patience=patience)

    async def read(self, path: str, version: str | None = None) -> Stored:
        check_path(path)
        answer = await self.exchange.send("GET", target(path, version))
        place = self._place(path, version)
        if answer.status != 200:
            raise failure(place, answer)
        value = _utf8(document(answer).get("value"))
        if value is None:
            raise Malformed(f"{place}: the answer has no text in 'value'. To fix: the server; see `python -m broker check-store`")
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(f"{place}: found a value of {len(value)} bytes; allowed: at most {MAX_VALUE_BYTES}")
        return Stored(SecretValue(value), version)

    async def write(self, path: str, value: SecretValue) -> str:
        check_path(path)
        check_size(path, value)
        place = self._place(path)
        answer = await self.exchange.send("PUT", SECRETS, put_body(place, path, value))
        if not 200 <= answer.status < 300:
            raise failure(place, answer)
        version = version_of(answer)
        if version is None:
            raise Malformed(f"{place}: the answer to a PUT names no 'version'. To fix: the server; see `python -m broker check-store`")
        return version

    async def delete(self, path: str, version: str | None = None) -> None:
        check_path(path)
        for body in delete_bodies(path, version):
            answer = await self.exchange.send("DELETE", SECRETS, body)
            if answer.status != 400:
                break
        if not 200 <= answer.status < 300:
            raise failure(self._place(path, version), answer)

    async def versions(self, path: str) -> list[StoredVersion]:
        raise Unsupported(f"{self._place(path)}: the Generic Secret Store contract has no list of versions")

    async def healthy(self) -> None:
        """A GET without a path: a server of the contract answers 400, and shows that it is there and takes our credentials."""
        answer = await self.exchange.send("GET", SECRETS)
        error = failure(self.exchange.place, answer) if answer.status >= 300 else None
        if error is not None and not isinstance(error, NotFound | InvalidRequest | Malformed):
            raise error

    async def close(self) -> None:
        await self.exchange.close()

    def _place(self, path: str, version: str | None = None) -> str:
        return f"{self.exchange.place}: path '{shown(path)}'" + ("" if version is None else f" version '{shown(version)}'")


def open_client(store: SecretStore, settings: StoreSettings) -> Generic:
    """Raises Misconfigured."""
    return Generic(store, reach=settings.reach)


def target(path: str, version: str | None = None) -> str:
    query = f"?path={quote(path, safe='')}" + ("" if version is None else f"&version={quote(version, safe='')}")
    return SECRETS + query


def put_body(place: str, path: str, value: SecretValue) -> bytes:
    try:
        text = value.reveal().decode()
    except UnicodeDecodeError:
        text = None  # raised below: the exception holds the value
    if text is None:
        raise InvalidRequest(f"{place}: the value is not UTF-8, and this store holds text. To fix: encode it, e.g. as base64")
    return encoded({"path": path, "value": text})


def delete_bodies(path: str, version: str | None = None) -> list[bytes]:
    """What to send, in this order, until one is not a 400, which has deleted nothing.

    The contract leaves open what type a version has, and a server that counts its versions may know 3 and not "3".
    """
    if version is None:
        return [encoded({"path": path})]
    counted = _COUNT.fullmatch(version) is not None
    return [encoded({"path": path, "version": version}), *([encoded({"path": path, "version": int(version)})] if counted else [])]


def encoded(body: Mapping[str, str | int]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def document(answer: Answer) -> dict[str, Any]:
    """The answer's JSON object; anything else is an empty one."""
    try:
        found = loads(answer.body.decode(), "the answer")
    except (FormatError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def version_of(answer: Answer) -> str | None:
    version = document(answer).get("version")
    if isinstance(version, bool) or not isinstance(version, str | int | float):
        return None
    name = str(version)
    return name if 0 < len(name) <= MAX_VERSION_CHARACTERS and name.isprintable() else None


def _utf8(value: object) -> bytes | None:
    try:
        return value.encode() if isinstance(value, str) else None
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and no text can hold
        return None


def failure(place: str, answer: Answer) -> BrokerError:
    """What a status other than the contract's good ones means."""
    status = answer.status
    match status:
        case 400:
            return InvalidRequest(f"{place}: the store does not take this path, version or value (400). To fix: the name, or the value")
        case 401 | 403:
            return StoreRefused(f"{place}: the store does not accept our credentials ({status}). To fix: the headers in headerFiles")
        case 404:
            return NotFound(f"{place}: the store has no such secret (404). To fix: write it, or correct the name")
        case 413:
            return TooLarge(f"{place}: the value is too large for the store (413). To fix: a smaller value, or the server's limit")
        case 429:
            return Throttled(f"{place}: the store asks for fewer calls (429)", answer.retry_after)
        case _ if 300 <= status < 400:
            return Misconfigured(
                f"{place}: the store answers with a redirect ({status}), which is not followed. To fix: put the final URL in baseUrl"
            )
        case _ if status >= 500:
            return Unavailable(f"{place}: the store fails ({status})", answer.retry_after)
        case _:
            return Malformed(
                f"{place}: found status {status}, which the Generic Secret Store contract does not have. To fix: is baseUrl right?"
            )
