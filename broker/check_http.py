"""The rows of the Generic Secret Store contract, asked over raw HTTP, as the broker will and as it must not need to.

Each step stands on the one before only where it has to, so that one broken row does not hide the others.
"""

from broker.check_rows import FAIL, SKIP, VALUES, WARN, Row, Rows
from broker.errors import TooLarge, Unavailable
from broker.stores.exchange import Answer, Exchange
from broker.stores.generic import SECRETS, delete_bodies, document, encoded, target, version_of

_NEVER_A_VERSION = "tfy-secret-no-such-version"
_NEVER_A_COUNT = "999999999"
_NO_ANSWER = 0
_ODD_PATH = "/a b+c%2F?&=#/\u00e4"


class HttpCourse:
    """One run. `place` is a path that nobody else uses."""

    def __init__(self, exchange: Exchange, place: str) -> None:
        self._exchange, self._place = exchange, place
        self.rows = Rows()
        self.written: list[str] = []

    async def run(self) -> None:
        path = f"{self._place}/first"
        if not await self._connects():
            return
        versions = await self._writes_and_reads(path)
        await self._missing(path, versions)
        await self._refusals(path)
        await self._values()
        await self._authentication(path)
        await self._deletes(path, versions)

    async def remove(self, path: str) -> str | None:
        """Judged by what is there afterwards: for a path that is gone a DELETE may answer anything."""
        deleted, found = await self._delete(path), await self._get(target(path))
        return None if found.status == 404 else f"DELETE answers {_status(deleted)}, then GET {_status(found)}"

    async def _connects(self) -> bool:
        """Without a first answer every row would wait and fail for the same reason."""
        try:
            answer = await self._exchange.send("GET", SECRETS)
        except Unavailable as error:
            self.rows.append(Row("the store answers", FAIL, "an HTTP answer", error.message))
            return False
        expected = "400, and the configured headers accepted"
        accepted = self.rows.judge(
            "headers accepted", expected, _status(answer), holds=answer.status not in (401, 403) and not 300 <= answer.status < 400
        )
        self._refused_row("GET without path", answer)
        return accepted

    async def _writes_and_reads(self, path: str) -> tuple[str | None, str | None]:
        first, second = f"first of {self._place}", f"second of {self._place}"
        one = await self._put_row("PUT", path, first)
        await self._get_row("GET", path, None, first)
        await self._content_type(path)
        await self._version_row("GET by version", path, one, first)
        two = await self._put_row("PUT again", path, second)
        found = "the same version" if one == two else "another version"
        self.rows.judge("PUT again makes a new version", "another version", found, holds=one != two and two is not None)
        await self._get_row("GET reads the newest", path, None, second)
        await self._version_row("GET of the older version", path, one, first)
        await self._version_row("GET of the newer version", path, two, second)
        return one, two

    async def _missing(self, path: str, versions: tuple[str | None, str | None]) -> None:
        # A server that counts its versions may refuse a word before it looks.
        never = _NEVER_A_COUNT if all(version and version.isdecimal() for version in versions) else _NEVER_A_VERSION
        for name, where in (
            ("GET of a missing path", target(f"{self._place}/missing")),
            ("GET of a missing version", target(path, never)),
            ("GET of a version of a missing path", target(f"{self._place}/missing", "1")),
        ):
            answer = await self._get(where)
            self.rows.judge(name, "404", _status(answer), holds=answer.status == 404)

    async def _refusals(self, path: str) -> None:
        answer = await self._send("PUT", SECRETS, encoded({"value": "x"}))
        self._refused_row("PUT without path", answer)
        for name, body in (
            ("DELETE without path", {}),
            ("DELETE of an invalid path", {"path": f"{self._place}/missing"}),
            ("DELETE of an invalid version", {"path": path, "version": _NEVER_A_VERSION}),
        ):
            answer = await self._send("DELETE", SECRETS, encoded(body))
            # 404 is not in the contract, and the broker reads it right.
            otherwise = WARN if answer.status == 404 else FAIL
            self.rows.judge(name, "400", _status(answer), holds=answer.status == 400, otherwise=otherwise)

    async def _values(self) -> None:
        for number, (name, value) in enumerate(VALUES):
            await self._round_trip(f"value kept exactly: {name}", f"{self._place}/value-{number}", value)
        # What stands behind the server may have narrower names, so this one may be refused.
        await self._round_trip("path kept exactly: blank + % ? & = #", self._place + _ODD_PATH, "x", refused=WARN)

    async def _round_trip(self, name: str, path: str, value: str, refused: str = FAIL) -> None:
        answer = await self._put(path, value)
        if _good(answer):
            await self._get_row(name, path, None, value)
        else:
            self.rows.append(Row(name, refused, "PUT 2xx, then the same value", f"PUT {_status(answer)}"))

    async def _authentication(self, path: str) -> None:
        name = "a request without the headers is refused"
        if not self._exchange.headers:
            self.rows.append(Row(name, WARN, "headerFiles in the SecretStore", "none: whoever reaches the store can read it"))
            return
        answer = await self._send("GET", target(path), credentials=False)
        self.rows.judge(name, "401 or 403", _status(answer), holds=answer.status in (401, 403), otherwise=WARN)

    async def _deletes(self, path: str, versions: tuple[str | None, str | None]) -> None:
        one, two = versions
        if one is None or two is None or one == two:
            self.rows.append(Row("DELETE of one version", SKIP, "two versions", "there are none to tell apart"))
        else:
            answer = await self._delete(path, one)
            self.rows.judge("DELETE of one version", "2xx", _status(answer), holds=_good(answer))
            await self._gone_row("the deleted version is gone", target(path, one))
            await self._get_row("the other version stays", path, two, f"second of {self._place}")
        answer = await self._delete(path)
        self.rows.judge("DELETE of all versions", "2xx", _status(answer), holds=_good(answer))
        await self._gone_row("the deleted secret is gone", target(path))

    async def _put_row(self, name: str, path: str, value: str) -> str | None:
        answer = await self._put(path, value)
        version = version_of(answer) if _good(answer) else None
        found = f"{_status(answer)}, {'no version' if version is None else 'with a version'}"
        self.rows.judge(name, "2xx, with a version", found, holds=version is not None)
        return version

    async def _get_row(self, name: str, path: str, version: str | None, value: str) -> None:
        answer = await self._get(target(path, version))
        found = _seen(answer, value)
        self.rows.judge(name, "200, the same value", found, holds=found == "200, the same value")

    async def _version_row(self, name: str, path: str, version: str | None, value: str) -> None:
        if version is None:
            self.rows.append(Row(name, SKIP, "a version to ask for", "none named by PUT"))
        else:
            await self._get_row(name, path, version, value)

    async def _content_type(self, path: str) -> None:
        found = (await self._get(target(path))).media_type
        json = "application/json"
        self.rows.judge("Content-Type of the answer", json, found[:60] or "none", holds=found == json, otherwise=WARN)

    def _refused_row(self, name: str, answer: Answer) -> None:
        """The contract demands a path and leaves open how its absence is told; 404 would tell of a secret, and is not it."""
        other = WARN if 400 <= answer.status < 500 and answer.status not in (401, 403, 404) else FAIL
        self.rows.judge(name, "400", _status(answer), holds=answer.status == 400, otherwise=other)

    async def _gone_row(self, name: str, where: str) -> None:
        answer = await self._get(where)
        self.rows.judge(name, "404", _status(answer), holds=answer.status == 404)

    async def _get(self, where: str) -> Answer:
        return await self._send("GET", where)

    async def _put(self, path: str, value: str) -> Answer:
        if path not in self.written:
            self.written.append(path)
        return await self._send("PUT", SECRETS, encoded({"path": path, "value": value}))

    async def _delete(self, path: str, version: str | None = None) -> Answer:
        """As the broker deletes."""
        for body in delete_bodies(path, version):
            answer = await self._send("DELETE", SECRETS, body)
            if answer.status != 400:
                break
        return answer

    async def _send(self, method: str, where: str, body: bytes | None = None, *, credentials: bool = True) -> Answer:
        """A request that gets no answer is a broken row, and not the end of the check."""
        try:
            return await self._exchange.send(method, where, body, credentials=credentials)
        except (Unavailable, TooLarge):
            return Answer(_NO_ANSWER, "", None, b"")


def _status(answer: Answer) -> str:
    return "no answer" if answer.status == _NO_ANSWER else str(answer.status)


def _good(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _seen(answer: Answer, value: str) -> str:
    if answer.status != 200:
        return _status(answer)
    body = document(answer)
    found = body.get("value")
    if "value" not in body:
        return "200, no JSON object with 'value'"
    if not isinstance(found, str):
        return f"200, 'value' is a JSON {type(found).__name__} and not a string"
    return "200, the same value" if found == value else f"200, another value ({len(found)} characters, not {len(value)})"
