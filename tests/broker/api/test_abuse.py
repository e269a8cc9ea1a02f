"""Tricks: paths, headers, bodies and ids as nobody means them. None of them gets a 500, a value, or an answer about what is there."""

import base64
import json
import logging

import httpx
import pytest

from broker.api.ids import group_id, secret_id
from broker.audit import AuditFailed
from tests.broker.api.conftest import API, CANARY
from tests.broker.world import PATH

PAYMENTS = group_id("payments")


def raw(site, who, method, target, body=b"", headers=()):
    """A request whose target and headers no client library touches."""
    import asyncio

    async def send():
        host, port = site.url.removeprefix("https://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=site.trust)
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"Authorization: Bearer {CANARY}-{who}"] if who else []
        writer.write("\r\n".join([*lines, *headers, "", ""]).encode() + body)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return int(answer.split(b" ", 2)[1]), answer

    return send()


TARGETS = [
    f"{API}/secret-groups/..%2Fsecrets",
    f"{API}/secret-groups/%2e%2e/secrets",
    f"{API}/secret-groups/{PAYMENTS}%2Factivity",
    f"{API}/secret-groups/{PAYMENTS}%00",
    f"{API}/secret-groups/{PAYMENTS}%0A",
    f"{API}/secret-groups/{PAYMENTS}=",
    f"{API}/secret-groups/{PAYMENTS}/",
    f"{API}/secret-groups/{base64.urlsafe_b64encode(b'payments/../search').decode().rstrip('=')}",
    f"{API}/secret-groups/{base64.urlsafe_b64encode('пayments'.encode()).decode().rstrip('=')}",
    f"{API}/secret-groups/" + "A" * 5000,
    f"{API}/secrets/{group_id('payments')}",
    f"{API}/secrets/{secret_id('payments', 'DB_PASSWORD')}%2e",
    f"{API}//secret-groups/{PAYMENTS}",
    f"{API}/secret-groups/payments",
    f"{API}/../svc/v1/secret-groups/{PAYMENTS}",
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("who", ["admin", "root"])
async def test_paths_that_are_no_ids(site, target, who):
    """An id is exactly what we made, or nobody's."""
    status, answer = await raw(site, who, "GET", target)
    assert status in (403, 404), answer
    assert b"DB_PASSWORD" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        [f"Authorization: Bearer {CANARY}-none"],
        [f"Authorization: Bearer {CANARY}-admin"],
        ["authorization: Basic eDp5"],
    ],
)
async def test_several_authorizations(site, headers):
    status, answer = await raw(site, "admin", "GET", f"{API}/secret-groups", headers=headers)
    assert status == 401
    assert CANARY.encode() not in answer


@pytest.mark.parametrize(
    ("method", "path", "status"), [("PATCH", "/secret-groups", 405), ("GET", "/secrets", 405), ("GET", "/nothing", 404), ("GET", "", 404)]
)
async def test_errors_have_one_shape_where_there_is_no_operation_too(site, method, path, status):
    found, answer = await site.call("admin", method, path)
    assert (found, answer["statusCode"], answer["code"], set(answer)) == (status, status, "bad_request", {"statusCode", "message", "code"})


async def test_a_crash_and_an_audit_log_that_cannot_be_written_have_that_shape(site, monkeypatch):
    async def crash(*_, **__):
        raise RuntimeError("CANARY")

    monkeypatch.setattr(site.world.groups, "get", crash)
    status, answer = await site.call("admin", "GET", f"/secret-groups/{PAYMENTS}")
    assert (status, answer["statusCode"], answer["code"], "CANARY" in str(answer)) == (500, 500, "internal", False)

    async def full(*_, **__):
        raise AuditFailed

    monkeypatch.setattr(site.world.audit, "write", full)
    status, answer = await site.call("admin", "GET", "/secret-groups")
    assert (status, answer["statusCode"], answer["code"]) == (500, 500, "unavailable")


async def test_headers_of_proxies_change_nothing(site):
    """Who asks is the token, from where is the connection, and which host is what it says only where nothing depends on it."""
    headers = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-User": "root",
        "X-Remote-User": "root",
        "X-Original-URL": "/x",
        "X-Forwarded-Host": "evil.example",
        "X-HTTP-Method-Override": "DELETE",
    }
    status, body = await site.call("viewer", "GET", f"/secret-groups/{PAYMENTS}", headers=headers)
    assert (status, body["data"]["fqn"]) == (200, "acme:payments")
    assert site.world.lines()[-1]["source"] == "127.0.0.1"
    status, answer = await raw(site, "", "GET", f"{API}/tenant-id?hostName=x", headers=["X-Forwarded-Host: evil.example"])
    assert (status, b"evil" in answer, b'"auth_server_url":"https://localhost"' in answer) == (200, False, True)


BODIES = {
    "nothing": (b"", 400),
    "not-json": (b"CANARY", 400),
    "not-utf8": (b"\xff", 400),
    "a-list": (b"[]", 422),
    "deep": (b'{"secrets":' + b"[" * 200_000, 400),
    "deep-and-closed": (b'{"secrets":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
    "twice": (b'{"secrets":[],"secrets":[{"key":"A","value":"CANARY"}]}', 400),
    "nan": (b'{"secrets":[{"key":"A","value":NaN}]}', 400),
    "unknown": (b'{"secrets":[],"admin":true}', 422),
    "unknown-inside": (b'{"secrets":[{"key":"A","value":"x","path":"/etc"}]}', 422),
    "a-number": (b'{"secrets":[{"key":"A","value":1}]}', 422),
    "a-key-twice": (b'{"secrets":[{"key":"A","value":"x"},{"key":"A","value":"CANARY"}]}', 422),
    "both-values": (b'{"secrets":[{"key":"A","value":"CANARY","valueBase64":"Q0FOQVJZ"}]}', 422),
    "no-base64": (b'{"secrets":[{"key":"A","valueBase64":"Q0FOQVJZA"}]}', 422),
    "half-a-surrogate": (b'{"secrets":[{"key":"A","value":"CANARY\\ud800"}]}', 422),
    "a-path-as-key": (b'{"secrets":[{"key":"../../search/INDEX","value":"CANARY"}]}', 422),
    "a-newline-after-the-key": (b'{"secrets":[{"key":"A\\n","value":"CANARY"}]}', 422),
    "a-new-key-without-a-value": (b'{"secrets":[{"key":"A"}]}', 422),
    "1025-keys": (json.dumps({"secrets": [{"key": f"K{n}", "value": "x"} for n in range(1025)]}).encode(), 422),
    "a-value-too-large": (json.dumps({"secrets": [{"key": "A", "value": "é" * (1024 * 600)}]}).encode(), 413),
    "a-body-too-large": (b'{"secrets":[]' + b" " * (8 * 1024 * 1024) + b"}", 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
async def test_bodies(site, body, status, logs, caplog):
    """Refused without a change, and without a word of what was in them: in answer, log and audit log."""
    caplog.set_level(logging.DEBUG)
    before = dict(site.world.store.values)
    found, answer = await raw(site, "admin", "PUT", f"{API}/secret-groups/{PAYMENTS}", body, ["Content-Type: application/json"])
    assert found == status, answer[-300:]
    assert set(json.loads(answer.split(b"\r\n\r\n", 1)[1])) >= {"statusCode", "message", "code"}
    assert site.world.store.values == before
    written = "\n".join([*map(str, logs), *(record.getMessage() for record in caplog.records), site.world.audit_path.read_text()])
    assert "CANARY" not in answer.decode(errors="replace")
    assert "CANARY" not in written.replace(CANARY, "")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=10000001",
        "limit=x",
        "limit=1&limit=2",
        "offset=-1",
        "unknown=1",
        "limit=1e3",
        "limit=%F0%9F",
        "search=" + "x" * 600,
    ],
)
async def test_queries(site, query):
    status, answer = await site.call("admin", "GET", f"/secret-groups?{query}")
    assert (status, answer["code"]) == (400, "bad_request")


@pytest.mark.parametrize("value", ['"a", "b"', 'W/"x"', '"' + "x" * 80 + '"', "*", ""])
async def test_if_match_that_is_no_version(site, value):
    status, _ = await site.call("admin", "DELETE", f"/secret-groups/{PAYMENTS}", headers={"If-Match": value})
    assert status == 400
    assert PATH in site.world.store.values


async def test_bytes_come_back_as_they_went(site):
    value = bytes(range(256))
    encoded = base64.b64encode(value).decode()
    body = {"secrets": [{"key": "BYTES", "valueBase64": encoded}, {"key": "QUOTE", "value": "it's"}]}
    status, made = await site.call("admin", "PUT", f"/secret-groups/{PAYMENTS}", body)
    assert status == 200
    # What envfile cannot carry is taken, and told.
    assert [(n["key"], n["code"]) for n in made["data"]["notices"]] == [("BYTES", "nul"), ("QUOTE", "single-quote")]
    assert "mode exec" in made["data"]["notices"][1]["message"]
    _, found = await site.call("admin", "POST", "/secrets", {"secretGroupId": PAYMENTS, "withValue": True})
    assert {s["name"]: (s.get("value"), s.get("valueBase64")) for s in found["data"]} == {"BYTES": (None, encoded), "QUOTE": ("it's", None)}


async def test_reveals_are_limited_per_caller(open_site):
    site = await open_site(reveals=3)
    asked = {"secretFqns": ["tfy-secret://acme:payments:DB_PASSWORD"], "withValue": True}
    statuses = [(await site.call("admin", "POST", "/secrets", asked))[0] for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    headers = {"Authorization": f"Bearer {CANARY}-admin"}
    async with httpx.AsyncClient(verify=site.trust) as http:
        answer = await http.get(site.url + "/v1/secrets/value", params={"fqn": asked["secretFqns"][0]}, headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    assert (await site.call("editor", "POST", "/secrets", asked))[0] == 200, "another caller"
    assert (await site.call("viewer", "POST", "/secrets", asked))[0] == 403, "no role is told before no turn"
    site.world.clock.now += 21
    assert (await site.call("admin", "POST", "/secrets", asked))[0] == 200
    codes = [(line["action"], line["decision"], line["code"]) for line in site.world.lines() if line["action"] == "reveal"]
    assert codes.count(("reveal", "deny", "throttled")) == 2


async def test_every_change_is_in_the_audit_log_and_in_the_groups_activity(site):
    """Who, what, when, from where; no value. Admins see it, in order, newest first."""
    calls = [
        ("maker", "POST", "/secret-groups", {"name": "billing", "integrationId": "main", "secrets": [{"key": "A", "value": "CANARY-1"}]}),
        (
            "maker",
            "PUT",
            f"/secret-groups/{group_id('billing')}",
            {"secrets": [{"key": "A", "value": "CANARY-2"}, {"key": "B", "value": "CANARY-3"}]},
        ),
        ("maker", "POST", "/secrets", {"secretGroupId": group_id("billing"), "withValue": True}),
        ("maker", "POST", f"/secrets/{secret_id('billing', 'A')}/restore", {"version": "1"}),
        ("maker", "DELETE", f"/secrets/{secret_id('billing', 'B')}", None),
    ]
    for call in calls:
        assert (await site.call(*call))[0] == 200
    status, found = await site.call("maker", "GET", f"/secret-groups/{group_id('billing')}/activity")
    assert status == 200
    assert [(e["action"], e.get("key"), e.get("version")) for e in found["data"]][::-1][:2] == [
        ("create-group", None, None),
        ("create", "A", "1"),
    ]
    assert sorted((e["action"], e.get("key"), e.get("version", "")) for e in found["data"][:-2]) == [
        ("create", "B", "1"),
        ("delete", "B", ""),
        ("edit", "A", "2"),
        ("restore", "A", "3"),
        ("reveal", "A", "2"),
        ("reveal", "B", "1"),
    ]
    assert {(e["who"], e["source"]) for e in found["data"]} == {("maker", "127.0.0.1")}
    lines = [line for line in site.world.lines() if line["action"] not in ("list", "activity")]
    assert [(line["event"], line["action"], line["fqn"].rpartition(":")[2]) for line in lines if line["action"] != "reveal"] == [
        ("decision", "create-group", "*"),
        ("decision", "create", "A"),
        ("result", "create-group", "*"),
        ("result", "create", "A"),
        ("decision", "create", "B"),
        ("decision", "edit", "A"),
        ("result", "create", "B"),
        ("result", "edit", "A"),
        ("decision", "restore", "A"),
        ("result", "restore", "A"),
        ("decision", "delete", "B"),
        ("result", "delete", "B"),
    ]
    assert all(line["caller"] == "maker" and line["source"] == "127.0.0.1" and line["time"] for line in lines)
    assert "CANARY" not in site.world.audit_path.read_text().replace(CANARY, "") + str(found)


async def test_what_the_command_line_of_truefoundry_asks(site):
    assert await site.call("", "GET", "/min-cli-version") == (200, {"minVersion": "0.0.0", "truefoundryCliMinVersion": "0.0.0"})
    status, tenant = await site.call("", "GET", "/tenant-id", params={"hostName": "x"})
    assert (status, tenant["tenantName"]) == (200, "acme")
    assert await site.call("viewer", "GET", "/session") == (200, {"user": {"tenantName": "acme", "email": "viewer"}})
    assert (await site.call("", "GET", "/session"))[0] == 401
    assert (await site.call("viewer", "POST", "/dependency-tree", {}))[0] == 404
