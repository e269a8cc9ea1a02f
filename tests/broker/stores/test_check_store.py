"""check-store: all rows hold for a good store; for a server broken in one row, that row fails and says how."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from broker.check_rows import FAIL, PASS, SKIP, VALUES, WARN, Row, Rows
from broker.check_store import ROOT, check_store, print_rows, run_check
from broker.errors import Unsupported
from broker.stores.embedded import Embedded
from broker.stores.generic import Generic
from broker.stores.addresses import Reach
from broker.stores.registry import StoreSettings
from contract.resources import SecretStore
from contract.values import SecretValue
from tests.generic_server import Fault, GenericServer, Reply

CREDENTIAL = "canary-credential-7f3a"


def broken(**methods: Callable[..., Reply]) -> type[GenericServer]:
    return type("Broken", (GenericServer,), methods)


def versionless_put(self: GenericServer, body: Any) -> Reply:
    status, document = GenericServer.put(self, body)
    return status, ({} if status < 300 else document)


def same_version_put(self: GenericServer, body: Any) -> Reply:
    if isinstance(body, dict):
        self.values.pop(body.get("path"), None)
        self._made.pop(body.get("path"), None)
    return GenericServer.put(self, body)


def lenient_put(self: GenericServer, body: Any) -> Reply:
    return GenericServer.put(self, {"path": "/default"} | body)


def changed(value: Callable[[str], Any]) -> Callable[..., Reply]:
    def get(self: GenericServer, query: dict[str, str]) -> Reply:
        status, document = GenericServer.get(self, query)
        return status, ({"value": value(document["value"])} if status == 200 else document)

    return get


def typed(text: str) -> Any:
    """As a server that keeps values as YAML would."""
    return {"12345": 12345, "true": True, "null": None}.get(text, text)


def get_without_versions(self: GenericServer, query: dict[str, str]) -> Reply:
    return GenericServer.get(self, {name: value for name, value in query.items() if name != "version"})


def oldest_get(self: GenericServer, query: dict[str, str]) -> Reply:
    versions = self.values.get(query.get("path", ""))
    return (200, {"value": versions[0][1]}) if versions and "version" not in query else GenericServer.get(self, query)


def empty_for_missing(self: GenericServer, query: dict[str, str]) -> Reply:
    status, document = GenericServer.get(self, query)
    return (200, {"value": ""}) if status == 404 else (status, document)


def missing_path_is_404(self: GenericServer, query: dict[str, str]) -> Reply:
    return GenericServer.get(self, query) if query.get("path") else (404, {})


def another_shape(self: GenericServer, query: dict[str, str]) -> Reply:
    status, document = GenericServer.get(self, query)
    return (200, {"data": document}) if status == 200 else (status, document)


def delete_all_versions(self: GenericServer, body: Any) -> Reply:
    return GenericServer.delete(self, {name: value for name, value in body.items() if name != "version"})


def delete_nothing(self: GenericServer, body: Any) -> Reply:
    return 200, {}


def delete_is_404(self: GenericServer, body: Any) -> Reply:
    status, document = GenericServer.delete(self, body)
    return (404 if status == 400 else status), document


def counting_put(self: GenericServer, body: Any) -> Reply:
    status, document = GenericServer.put(self, body)
    return status, ({"version": int(document["version"])} if status < 300 else document)


def counting_get(self: GenericServer, query: dict[str, str]) -> Reply:
    return (400, {}) if not query.get("version", "1").isdigit() else GenericServer.get(self, query)


def counting_delete(self: GenericServer, body: Any) -> Reply:
    if "version" in body and not isinstance(body["version"], int):
        return 400, {"error": "version is invalid"}
    return GenericServer.delete(self, {name: str(value) for name, value in body.items()})


def unprocessable(method: Callable[..., Reply]) -> Callable[..., Reply]:
    """As a framework answers that checks parameters before it calls anything."""
    return lambda self, given: method(self, given) if given.get("path") else (422, {})


def small_put(self: GenericServer, body: Any) -> Reply:
    return (413, {}) if len(str(body.get("value"))) > 65536 else GenericServer.put(self, body)


def no_delete_of_one(self: GenericServer, body: Any) -> Reply:
    return (405, {}) if "version" in body else GenericServer.delete(self, body)


@pytest.fixture
def check(server: GenericServer, open_generic: Callable[..., Generic]) -> Callable[..., Any]:
    async def run(
        kind: type[GenericServer] = GenericServer, demanded: dict[str, str] | None = None, **options: Any
    ) -> tuple[dict[str, Row], GenericServer]:
        async with kind({"X-Store-Key": CREDENTIAL} if demanded is None else demanded) as other:
            client = open_generic(other.url, **options)
            rows = await check_store(client, client.exchange)
            await client.close()
            return {row.name: row for row in rows}, other

    return run


def names(rows: dict[str, Row], verdict: str) -> set[str]:
    return {name for name, row in rows.items() if row.verdict == verdict}


async def test_a_good_server_passes_every_row_and_is_left_as_it_was(check: Callable[..., Any]) -> None:
    rows, server = await check()
    assert names(rows, PASS) == set(rows)
    assert len(rows) >= 35
    assert server.values == {}
    asked = [unquote(seen.target.partition("path=")[2]) for seen in server.requests if "path=" in seen.target]
    assert len(asked) > 20
    assert all(path.startswith(f"{ROOT}/") for path in asked), "secrets of its own alone"


@pytest.mark.parametrize(
    ("methods", "failed"),
    [
        pytest.param({"put": versionless_put}, {"PUT", "PUT again", "PUT again makes a new version"}, id="put-names-no-version"),
        pytest.param(
            {"put": same_version_put},
            {"PUT again makes a new version", "GET of the older version"},
            id="put-replaces",
        ),
        pytest.param({"put": lenient_put}, {"PUT without path"}, id="put-needs-no-path"),
        pytest.param({"put": small_put}, {"value kept exactly: 1 MiB"}, id="put-takes-64-KiB"),
        pytest.param(
            {"get": changed(typed)},
            {"value kept exactly: the number 12345", "value kept exactly: the word true", "value kept exactly: the word null"},
            id="values-become-types",
        ),
        pytest.param(
            {"get": changed(str.strip)},
            {"value kept exactly: a newline at the end", "value kept exactly: blanks around it"},
            id="values-are-trimmed",
        ),
        pytest.param({"get": changed(lambda text: text.replace("\r\n", "\n"))}, {"value kept exactly: CRLF inside"}, id="crlf-becomes-lf"),
        pytest.param(
            {"get": changed(lambda text: text.encode("ascii", "replace").decode())}, {"value kept exactly: Unicode"}, id="ascii-only"
        ),
        pytest.param(
            {"get": get_without_versions},
            {"GET of the older version", "GET of a missing version", "the deleted version is gone"},
            id="get-ignores-version",
        ),
        pytest.param({"get": oldest_get}, {"GET reads the newest"}, id="get-reads-the-oldest"),
        pytest.param(
            {"get": empty_for_missing},
            {
                "GET of a missing path",
                "GET of a missing version",
                "GET of a version of a missing path",
                "the deleted version is gone",
                "the deleted secret is gone",
                "clean-up",
            },
            id="missing-is-empty",
        ),
        pytest.param({"get": missing_path_is_404}, {"GET without path"}, id="no-path-is-404"),
        pytest.param(
            {"delete": delete_all_versions},
            {"DELETE of an invalid version", "DELETE of one version", "the other version stays", "DELETE of all versions"},
            id="delete-ignores-version",
        ),
        pytest.param(
            {"delete": delete_nothing},
            {
                "DELETE without path",
                "DELETE of an invalid path",
                "DELETE of an invalid version",
                "the deleted version is gone",
                "the deleted secret is gone",
                "clean-up",
            },
            id="delete-does-nothing",
        ),
        pytest.param(
            {"delete": no_delete_of_one},
            {"DELETE of one version", "DELETE of an invalid version", "the deleted version is gone"},
            id="no-delete-of-one",
        ),
    ],
)
async def test_a_server_broken_in_one_row_fails_there(check: Callable[..., Any], methods: dict[str, Any], failed: set[str]) -> None:
    rows, _ = await check(broken(**methods))
    assert names(rows, FAIL) == failed


async def test_an_answer_of_another_shape_is_described(check: Callable[..., Any]) -> None:
    rows, _ = await check(broken(get=another_shape))
    assert rows["GET"].found == "200, no JSON object with 'value'"
    rows, _ = await check(broken(get=changed(typed)))
    assert rows["value kept exactly: the number 12345"].found == "200, 'value' is a JSON int and not a string"


async def test_a_server_that_counts_its_versions_keeps_the_contract(check: Callable[..., Any]) -> None:
    """A version may be a JSON number, there and back: the contract does not say what it is."""
    rows, server = await check(broken(put=counting_put, get=counting_get, delete=counting_delete))
    assert names(rows, PASS) == set(rows)
    assert server.values == {}


async def test_a_missing_path_may_be_refused_in_another_way(check: Callable[..., Any]) -> None:
    rows, _ = await check(broken(put=unprocessable(GenericServer.put), get=unprocessable(GenericServer.get)))
    assert names(rows, WARN) == {"GET without path", "PUT without path"}
    assert names(rows, FAIL) == set()


async def test_what_the_broker_can_live_with_is_a_warning(check: Callable[..., Any]) -> None:
    rows, _ = await check(broken(delete=delete_is_404))
    assert names(rows, WARN) == {"DELETE without path", "DELETE of an invalid path", "DELETE of an invalid version"}
    assert names(rows, FAIL) == set()


async def test_a_server_that_asks_for_no_headers_is_warned_of(check: Callable[..., Any]) -> None:
    rows, _ = await check(demanded={})
    assert rows["a request without the headers is refused"].verdict == WARN
    assert rows["a request without the headers is refused"].found == "200"
    rows, _ = await check(demanded={}, files={})
    assert rows["a request without the headers is refused"].found == "none: whoever reaches the store can read it"


async def test_a_server_that_refuses_our_headers_ends_the_check(check: Callable[..., Any]) -> None:
    rows, server = await check(demanded={"X-Store-Key": "another"})
    assert rows["headers accepted"].verdict == FAIL
    assert rows["headers accepted"].found == "401"
    assert {seen.method for seen in server.requests} == {"GET"}


async def test_a_connection_that_breaks_in_the_middle_fails_its_row_alone_and_all_is_deleted(check: Callable[..., Any]) -> None:
    class Resets(GenericServer):
        async def answer(self, request: Any) -> Any:
            if request.method == "PUT" and len(await request.read()) > 500_000:
                self.faults.insert(0, Fault(reset=True))
                return await self._handle(request)
            return await super().answer(request)

    rows, server = await check(Resets)
    assert names(rows, FAIL) == {"value kept exactly: 1 MiB"}
    assert rows["value kept exactly: 1 MiB"].found == "PUT no answer"
    assert server.values == {}


async def test_no_row_shows_a_value(check: Callable[..., Any]) -> None:
    rows, _ = await check(broken(get=changed(lambda text: text + "x")))
    text = " ".join(f"{row.expected} {row.found}" for row in rows.values())
    assert "another value" in text
    assert not any(value in text for name, value in VALUES if len(value) > 5)
    assert "first of" not in text


# --- stores without the HTTP contract ----------------------------------------------------------------------------


async def test_the_embedded_store_passes_every_row(embedded: Embedded) -> None:
    rows = await check_store(embedded)
    assert {row.verdict for row in rows} == {PASS}
    assert {"read of a missing version", "delete of one version", "list of versions", "clean-up"} <= {row.name for row in rows}
    assert await embedded.paths() == []


async def test_a_client_that_lacks_something_is_skipped_and_one_that_is_wrong_fails(embedded: Embedded) -> None:
    class Odd:
        """A store that strips values, lists nothing, and cannot delete one version."""

        def __getattr__(self, name: str) -> Any:
            return getattr(embedded, name)

        async def write(self, path: str, value: SecretValue) -> str:
            return await embedded.write(path, SecretValue(value.reveal().strip()))

        async def versions(self, _path: str) -> Any:
            raise Unsupported("no list")

        async def delete(self, path: str, version: str | None = None) -> None:
            if version is not None:
                raise Unsupported("no delete of one version")
            await embedded.delete(path)

    rows = {row.name: row for row in await check_store(Odd())}
    assert names(rows, SKIP) == {"list of versions", "delete of one version"}
    assert names(rows, FAIL) == {"value kept exactly: a newline at the end", "value kept exactly: blanks around it"}
    assert await embedded.paths() == []


async def test_what_was_written_is_deleted_after_a_failure_too(embedded: Embedded) -> None:
    class Breaks:
        def __getattr__(self, name: str) -> Any:
            return getattr(embedded, name)

        async def versions(self, _path: str) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await check_store(Breaks())
    assert await embedded.paths() == []


# --- the command -------------------------------------------------------------------------------------------------


async def test_the_command_prints_the_rows_and_its_code_says_whether_they_hold(server: GenericServer, header_file: Path) -> None:
    store = SecretStore(
        "vendor", "acme/generic/vendor", "generic", {"baseUrl": server.url, "headerFiles": {"X-Store-Key": str(header_file)}}
    )
    out = io.StringIO()
    assert await run_check(store, StoreSettings(reach=Reach(allow_loopback=True)), out) == 0
    lines = out.getvalue().splitlines()
    assert lines[0] == "SecretStore vendor (generic): secrets of its own under /tfy-secret-check/, deleted at the end"
    assert "PASS  GET of a missing path                      404" in lines
    assert lines[-1].startswith("the contract holds: 37 PASS")
    assert CREDENTIAL not in out.getvalue()

    header_file.write_text("wrong\n")
    out = io.StringIO()
    assert await run_check(store, StoreSettings(reach=Reach(allow_loopback=True)), out) == 1
    assert "FAIL  headers accepted  found 401; expected 400, and the configured headers accepted" in out.getvalue()
    assert out.getvalue().splitlines()[-1] == "the contract does not hold: 2 FAIL"


@pytest.mark.parametrize(
    ("url", "settings", "message"),
    [
        pytest.param("http://127.0.0.1:9", StoreSettings(), "found plain HTTP", id="misconfigured"),
        pytest.param("http://127.0.0.1:1", StoreSettings(reach=Reach(allow_loopback=True)), "cannot be reached", id="unreachable"),
    ],
)
async def test_a_store_that_cannot_be_asked_is_told_in_one_line(url: str, settings: StoreSettings, message: str) -> None:
    out = io.StringIO()
    assert await run_check(SecretStore("s", "acme/generic/s", "generic", {"baseUrl": url}), settings, out) == 1
    assert message in out.getvalue()
    assert "Traceback" not in out.getvalue()


async def test_a_missing_header_file_is_told(server: GenericServer, tmp_path: Path) -> None:
    store = SecretStore("s", "acme/generic/s", "generic", {"baseUrl": server.url, "headerFiles": {"X-Key": str(tmp_path / "missing")}})
    out = io.StringIO()
    assert await run_check(store, StoreSettings(reach=Reach(allow_loopback=True)), out) == 1
    assert "headerFiles.X-Key: file" in out.getvalue()
    assert server.requests == []


def test_printed_rows_say_what_was_expected_where_it_was_not_found() -> None:
    rows = Rows()
    rows.judge("GET", "200", "200", holds=True)
    rows.judge("DELETE", "2xx", "500", holds=False)
    out = io.StringIO()
    print_rows(rows, out)
    assert out.getvalue() == "PASS  GET     200\nFAIL  DELETE  found 500; expected 2xx\nthe contract does not hold: 1 PASS, 1 FAIL\n"


async def test_the_test_server_runs_as_a_program(tmp_path: Path, header_file: Path, open_generic: Callable[..., Generic]) -> None:
    import asyncio
    import sys

    lines = tmp_path / "headers"
    lines.write_text("X-Other: seen: by all\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.generic_server", "--listen", "127.0.0.1:0"),
        *("--header-file", f"X-Store-Key={header_file}", "--header-file", str(lines)),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().split()[-1]
        other = tmp_path / "other"
        other.write_text("seen: by all")
        client = open_generic(url, files={"X-Store-Key": str(header_file), "X-Other": str(other)})
        assert await client.write("/p", SecretValue(b"x")) == "1"
        await client.close()
    finally:
        process.terminate()
        await process.communicate()
