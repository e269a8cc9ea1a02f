"""The HTTPS application from outside: what each broken request gets, and that no answer tells more than it should."""

import asyncio
import base64
import io
import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

from broker.errors import Unavailable
from broker.tokens import StaticTokens
from contract.wire import ResolveRequest, Resolved, decode_response, encode_request
from tests.broker.world import FQN, PATH

TOKENS = """t-web,system:serviceaccount:shop:web,1
t-eve,system:serviceaccount:evil:eve,2
t-admin,admin,3
"""
POD = {"Authorization": "Bearer t-web"}
PERSON = {"Authorization": "Bearer t-admin"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def start(tmp_path, server_tls, client_tls):
    (tmp_path / "tokens.csv").write_text(TOKENS)
    clients = []

    async def one(world, authenticator=None, **settings):
        server = TestServer(world.app(authenticator or StaticTokens(tmp_path / "tokens.csv"), **settings), scheme="https")
        await server.start_server(ssl=server_tls)
        client = TestClient(server)
        client.tls = client_tls
        clients.append(client)
        return client

    yield one
    for client in clients:
        await client.close()


@pytest.fixture
async def client(start, world):
    return await start(world)


async def resolve(client, *names, headers=POD, body=None, modes=()):
    body = encode_request(ResolveRequest(names, modes)) if body is None else body
    return await client.post("/v1/resolve", data=body, headers=JSON | headers, ssl=client.tls)


async def test_values_over_tls(client):
    response = await resolve(client, FQN, "tfy-secret://acme:search:INDEX", modes=("envfile", "files"))
    assert response.status == 200
    answers = decode_response(await response.read(), ResolveRequest((FQN, "tfy-secret://acme:search:INDEX")))
    assert isinstance(answers[FQN], Resolved)
    assert answers[FQN].value.reveal() == b"pa'ss"
    assert answers["tfy-secret://acme:search:INDEX"].code == "denied"


async def test_headers_of_every_answer(client):
    for response in (await resolve(client, FQN), await client.get("/nowhere", ssl=client.tls), await resolve(client, headers={})):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Server"] == "tfy-secret-broker"
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.content_type == "application/json"
        assert len(response.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="no-token"),
        pytest.param({"Authorization": "Bearer wrong"}, 401, id="unknown-token"),
        pytest.param({"Authorization": "Basic dDp0"}, 401, id="another-scheme"),
        pytest.param(PERSON, 401, id="a-person-is-no-pod"),
    ],
)
async def test_who_is_not_accepted(client, world, headers, status):
    response = await resolve(client, FQN, headers=headers)
    assert response.status == status
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (await response.json())["code"] == "unauthenticated"
    (line,) = world.lines()
    assert (line["event"], line["decision"], line["action"], line["source"]) == ("unauthenticated", "deny", "POST /v1/resolve", "127.0.0.1")
    assert world.store.reads == 0


async def test_two_authorization_headers(client):
    response = await client.post(
        "/v1/resolve",
        data=b"{}",
        headers=[("Authorization", "Bearer t-web"), ("Authorization", "Bearer t-eve"), ("Content-Type", "application/json")],
        ssl=client.tls,
    )
    assert response.status == 401


BAD = {
    "empty": b"",
    "not-json": b"CANARY",
    "not-utf8": b"\xff\xfe",
    "an-array": b"[]",
    "no-fields": b"{}",
    "another-version": b'{"version":2,"modes":[],"secrets":[]}',
    "unknown-field": b'{"version":1,"modes":[],"secrets":[],"extra":1}',
    "wrong-type": b'{"version":1,"modes":[],"secrets":"CANARY"}',
    "a-number-for-a-name": b'{"version":1,"modes":[],"secrets":[1]}',
    "a-name-twice": json.dumps({"version": 1, "modes": [], "secrets": [FQN, FQN]}).encode(),
    "a-field-twice": b'{"version":1,"version":1,"modes":[],"secrets":[]}',
    "nested-deep": b"[" * 100_000,
    "too-many-names": json.dumps({"version": 1, "modes": [], "secrets": [str(n) for n in range(1001)]}).encode(),
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
async def test_a_broken_body_is_the_callers_fault(client, body):
    response = await resolve(client, body=body)
    assert response.status == 400
    answer = await response.json()
    assert answer["code"] == "bad_request"
    assert "CANARY" not in answer["message"]


async def test_an_unknown_mode(client):
    response = await resolve(client, FQN, modes=("envfile", "teleport"))
    assert response.status == 400
    assert "request.modes: found 'teleport'; allowed: envfile, exec, files" in (await response.json())["message"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_past_the_limit(client, chunked):
    async def chunks():
        for _ in range(40):
            yield b" " * 65536

    response = await resolve(client, body=chunks() if chunked else io.BytesIO(b" " * (1024 * 1024 + 1)))
    assert response.status == 413
    assert (await response.json())["code"] == "too_large"


async def test_a_body_at_the_limit(client):
    body = encode_request(ResolveRequest((FQN,)))
    assert (await resolve(client, body=body + b" " * (1024 * 1024 - len(body)))).status == 200


async def test_a_compressed_bomb_is_bounded_too(client):
    import gzip

    response = await resolve(client, body=gzip.compress(b" " * (8 << 20)), headers=POD | {"Content-Encoding": "gzip"})
    assert response.status in (400, 413)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_encoded_as_its_header_says(client, encoding):
    """The caller's fault, and no crash of ours."""
    response = await resolve(client, FQN, headers=POD | {"Content-Encoding": encoding})
    assert response.status == 400
    assert (await response.json())["code"] == "bad_request"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_another_media_type(client, content_type):
    response = await resolve(client, FQN, headers=POD | {"Content-Type": content_type})
    assert response.status == 415


async def test_a_charset_is_fine(client):
    assert (await resolve(client, FQN, headers=POD | {"Content-Type": "application/json; charset=utf-8"})).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/resolve", 405),
        ("OPTIONS", "/v1/resolve", 405),
        ("HEAD", "/v1/secrets", 405),
        ("POST", "/v1/secrets", 405),
        ("GET", "/", 404),
        ("GET", "/v1/secrets/../x", 404),
        ("GET", "/v1/secrets/", 404),
    ],
)
async def test_other_methods_and_routes(client, method, path, status):
    response = await client.request(method, path, headers=PERSON, ssl=client.tls)
    assert response.status == status
    if status == 405:
        assert response.headers["Allow"]


async def test_an_unknown_expectation(client):
    response = await resolve(client, FQN, headers=POD | {"Expect": "CANARY"})
    assert (response.status, response.headers["Cache-Control"]) == (417, "no-store")


async def test_an_api_server_that_is_down(start, world):
    class Down:
        async def pod(self, _):
            raise Unavailable("the Kubernetes API does not review tokens at the moment (OSError)", 2.2)

        person = pod

    response = await resolve(await start(world, Down()), FQN)
    assert (response.status, response.headers["Retry-After"]) == (503, "3")
    assert (await response.json())["code"] == "unavailable"
    assert world.lines() == []


async def test_more_requests_than_allowed(start, world):
    world.store.gate = asyncio.Event()
    client = await start(world, max_requests=1)
    first = asyncio.create_task(resolve(client, FQN))
    while not world.store.running:
        await asyncio.sleep(0.001)
    second = await resolve(client, FQN)
    assert (second.status, second.headers["Retry-After"]) == (503, "1")
    world.store.gate.set()
    assert (await first).status == 200


async def test_without_an_audit_line_nothing_is_given(client, world, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.audit, "_append", full)
    for response in (
        await resolve(client, FQN),
        await resolve(client, FQN, headers={}),
        await client.get("/v1/secrets", headers=PERSON, ssl=client.tls),
    ):
        assert response.status == 500
        assert response.headers["Retry-After"] == "1"
        assert set(await response.json()) == {"code", "message"}


async def test_the_peoples_api(client, world):
    async def call(method, path, **options):
        response = await client.request(method, path, headers=PERSON, ssl=client.tls, **options)
        return response.status, await response.json()

    new = "tfy-secret://acme:payments:NEVER_SET"
    value = bytes(range(256))
    assert await call("PUT", "/v1/secrets", json={"fqn": new, "value": base64.b64encode(value).decode()}) == (
        200,
        {"fqn": new, "version": "1"},
    )
    assert await call("GET", "/v1/secrets/value", params={"fqn": new}) == (
        200,
        {"fqn": new, "value": base64.b64encode(value).decode(), "version": "1"},
    )
    assert await call("GET", "/v1/secrets/versions", params={"fqn": new}) == (
        200,
        {"fqn": new, "versions": [{"version": "1", "created": None}]},
    )
    status, listed = await call("GET", "/v1/secrets", params={"group": "payments"})
    assert (status, new in listed["secrets"], len(listed["secrets"])) == (200, True, 4)
    assert await call("DELETE", "/v1/secrets", json={"fqn": new}) == (200, {})
    assert (await call("GET", "/v1/secrets/value", params={"fqn": new}))[0] == 404
    assert {line["action"] for line in world.lines()} == {"create", "reveal", "list", "delete"}


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/v1/secrets/value", {}),
        ("GET", "/v1/secrets/value", {"params": {"fqn": FQN, "x": "1"}}),
        ("GET", "/v1/secrets/value?fqn=a&fqn=b", {}),
        ("GET", "/v1/secrets/value", {"params": {"fqn": "CANARY"}}),
        ("GET", "/v1/secrets/value", {"params": {"fqn": "acme/embedded/main::/mail/smtp"}}),
        ("PUT", "/v1/secrets", {"json": {"fqn": FQN}}),
        ("PUT", "/v1/secrets", {"json": {"fqn": FQN, "value": "CANARY!"}}),
        ("PUT", "/v1/secrets", {"json": {"fqn": FQN, "value": "", "extra": 1}}),
        ("PUT", "/v1/secrets", {"json": {"fqn": FQN + "?version=1", "value": ""}}),
        ("DELETE", "/v1/secrets", {"json": {"fqn": FQN, "version": ""}}),
        ("DELETE", "/v1/secrets", {"json": {"fqn": FQN + "#field"}}),
        ("DELETE", "/v1/secrets", {"json": {"fqn": FQN + "?version=1", "version": "2"}}),
    ],
)
async def test_broken_requests_of_people_change_nothing(client, world, method, path, options):
    response = await client.request(method, path, headers=PERSON, ssl=client.tls, **options)
    assert response.status == 400
    assert world.store.values[PATH] == [b"old", b"pa'ss"]


async def test_a_value_past_the_limit_is_not_stored(client, world):
    statuses = []
    for size in (1024 * 1024 + 1, 1024 * 1024):
        body = json.dumps({"fqn": FQN, "value": base64.b64encode(b"x" * size).decode()}).encode()
        response = await client.put("/v1/secrets", data=io.BytesIO(body), headers=PERSON | JSON, ssl=client.tls)
        statuses.append(response.status)
    assert statuses == [413, 200]


async def test_routes_are_counted_without_names(client, world):
    await resolve(client, FQN)
    await client.get("/CANARY", ssl=client.tls)
    assert world.count("tfy_secret_broker_requests_total", route="/v1/resolve", status="200") == 1
    assert world.count("tfy_secret_broker_requests_total", route="other", status="404") == 1
    assert world.count("tfy_secret_broker_answers_total", action="inject", code="ok") == 1
