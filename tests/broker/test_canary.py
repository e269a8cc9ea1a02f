"""Distinctive values and tokens pass through success, denial, and every kind of crash; they are in no log, audit line or error."""

import base64
import logging
import traceback
from pathlib import Path

import aiohttp
import pytest

import broker
from broker.errors import StoreRefused
from broker.tokens import StaticTokens
from contract.wire import ResolveRequest, Resolved, decode_response, encode_request
from service.server import listening
from service.settings import Address
from tests.broker.programs import TOKENS
from tests.broker.world import FQN, PATH

CANARY = "CANARY"
VALUE = b"CANARY-5f2d\n\xff'"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(world, tmp_path):
    (tmp_path / "tokens.csv").write_text(TOKENS)
    app = world.app(StaticTokens(tmp_path / "tokens.csv"))
    async with (
        listening(app, Address("127.0.0.1", 0), None, grace=1.0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


@pytest.fixture
def written(world, logs, caplog):
    """Everything that was logged or audited so far, by us or by libraries, tracebacks included."""
    caplog.set_level(logging.DEBUG)

    def everything():
        library = []
        for record in caplog.records:
            library.append(record.getMessage())
            if record.exc_info:
                library += traceback.format_exception(*record.exc_info)
        return "\n".join([*map(str, logs), *library, world.audit_path.read_text()])

    return everything


def hidden(text):
    return CANARY not in text and base64.b64encode(VALUE).decode() not in text and "Q0FOQVJZ" not in text


async def resolve(client, *names, token="CANARY-token-web"):
    return await client.post("/v1/resolve", data=encode_request(ResolveRequest(names)), headers=JSON | {"Authorization": f"Bearer {token}"})


async def test_success_shows_it_to_the_caller_alone(client, world, written):
    world.store.values[PATH] = [VALUE]
    response = await resolve(client, FQN)
    answers = decode_response(await response.read(), ResolveRequest((FQN,)))
    assert isinstance(answers[FQN], Resolved)
    assert answers[FQN].value.reveal() == VALUE
    assert hidden(repr(answers))
    assert hidden(written())


async def test_denials(client, world, written):
    world.store.values[PATH] = [VALUE]
    for token in ("CANARY-token-eve", "CANARY-unknown", "CANARY-token-admin", "CANARY bad"):
        assert hidden(await (await resolve(client, FQN, token=token)).text())
    assert hidden(await (await resolve(client, FQN + "#CANARYfield".lower())).text())
    assert hidden(written())


CRASHES = [
    RuntimeError(VALUE.decode("latin1")),
    KeyError(VALUE),
    UnicodeDecodeError("utf-8", VALUE, 12, 13, "bad"),
    ExceptionGroup("CANARY", [ValueError("CANARY")]),
]


@pytest.mark.parametrize("error", CRASHES, ids=lambda error: type(error).__name__)
async def test_a_store_that_crashes_with_the_value_in_its_message(client, world, written, logs, error):
    world.store.error = error
    response = await resolve(client, FQN)
    assert hidden(await response.text())
    headers = {"Authorization": "Bearer CANARY-token-admin"}
    value = base64.b64encode(VALUE).decode()
    for call in (
        client.get("/v1/secrets/value", params={"fqn": FQN}, headers=headers),
        client.put("/v1/secrets", json={"fqn": FQN, "value": value}, headers=headers),
    ):
        response = await call
        assert response.status == 500
        assert hidden(await response.text())
    assert [event["error"] for event in logs if event["event"] == "store_crashed"] == [type(error).__name__] * 3
    assert hidden(written())


async def test_a_crash_outside_the_store(client, world, written, monkeypatch):
    def crash(*_):
        raise RuntimeError(CANARY)

    world.store.values[PATH] = [VALUE]
    monkeypatch.setattr("contract.wire.encode_response", crash)
    response = await resolve(client, FQN)
    assert (response.status, await response.json()) == (
        500,
        {"code": "internal", "message": "the broker failed; its log has the request's id"},
    )
    monkeypatch.setattr("broker.routes.bearer", crash)
    assert (await resolve(client, FQN)).status == 500
    assert "request_crashed" in written()
    assert hidden(written())


async def test_bodies_and_queries_that_hold_a_value_by_mistake(client, written):
    headers = {"Authorization": "Bearer CANARY-token-admin"}
    texts = []
    for call in (
        client.post(
            "/v1/resolve", data=b'{"version":1,"modes":[],"secrets":"CANARY"}', headers=JSON | {"Authorization": "Bearer CANARY-token-web"}
        ),
        client.put("/v1/secrets", data=b'{"fqn":"' + FQN.encode() + b'","value":"CANARY!"}', headers=JSON | headers),
        client.put("/v1/secrets", data=b"CANARY", headers=JSON | headers),
        client.get("/v1/CANARY", headers=headers),
    ):
        response = await call
        assert 400 <= response.status < 500
        texts.append(await response.text())
    assert hidden("".join(texts))
    await client.get("/v1/secrets", params={"group": CANARY + "\n"}, headers=headers)
    await resolve(client, CANARY)  # not a name: what it is instead, nobody knows, so it is not written down
    assert hidden(written())


async def test_a_store_error_keeps_its_own_words(client, world, written):
    world.store.error = StoreRefused("the store refuses the broker's token")
    assert "the store refuses the broker's token" in await (await resolve(client, FQN)).text()


def test_values_are_opened_in_few_places():
    """Each of these files is a place where a value could leak; a new one needs a reason."""
    folder = Path(broker.__file__).parent
    found = {file.name: file.read_text().count(".reveal()") for file in folder.glob("*.py")}
    opened = {name: count for name, count in found.items() if count and name != "check_store.py"}
    assert opened == {"client.py": 1, "commands.py": 2, "fields.py": 1, "routes.py": 1}
