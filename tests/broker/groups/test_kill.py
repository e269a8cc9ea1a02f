"""A real broker is killed with SIGKILL between store and resource, at every point at once; the next one leaves no half-made key."""

import asyncio
import contextlib
import json

import httpx
import pytest
import yaml

from tests.broker.groups.conftest import until
from tests.broker.programs import Program, environ_of, trust
from tests.broker.world import group, store
from tests.generic_server import GenericServer

TOKEN = {"Authorization": "Bearer CANARY-token-admin"}
ADMIN = [("admin", "user:admin")]
API = "/api/svc/v1"
ROOT = "/tfy-secret/acme"


class HangingServer(GenericServer):
    """A write or deletion of a path with BEFORE in it hangs before it is done, one with AFTER when it is done; until `hangs` is False."""

    hangs = True

    async def answer(self, request):
        body = json.loads(await request.read()) if request.method in ("PUT", "DELETE") else {}
        path = body.get("path", "")
        if self.hangs and "BEFORE" in path:
            await asyncio.Event().wait()
        answered = await super().answer(request)
        if self.hangs and "AFTER" in path and request.method in ("PUT", "DELETE"):
            self.done.append((request.method, path))
            await asyncio.Event().wait()
        return answered

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.done = []


@pytest.fixture
async def stores():
    async with HangingServer() as server:
        yield server


def manifests(url):
    return [
        store(name="main", fqn="acme/generic/main", provider={"generic": {"baseUrl": url}}),
        group("create", ["OLD"], ADMIN),
        group("remove", ["DEL_BEFORE", "DEL_AFTER", "STAYS"], ADMIN),
        group("ends", ["KEY_AFTER", "SECOND"], ADMIN),
    ]


def environ(tmp_path, authority, url):
    made = environ_of(tmp_path, authority) | {"TFY_SECRET_ALLOW_LOOPBACK_STORES": "true", "TFY_SECRET_GROUP_CREATORS": "user:admin"}
    (tmp_path / "manifests" / "all.yaml").write_text("# kept\n" + yaml.safe_dump_all(manifests(url)))
    return made


def pending(tmp_path):
    found = {}
    for path in (tmp_path / "manifests" / ".secret-groups").glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            state = json.loads(path.read_text())
            if "pending" in state:
                found[path.stem] = json.loads(state["pending"])
    return found


def spec(tmp_path):
    found = {}
    for file in (tmp_path / "manifests").glob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] == "SecretGroup":
                found[document["metadata"]["name"]] = sorted(document["spec"]["keys"] or [])
    return found


async def test_killed_between_store_and_resource_at_every_point(tmp_path, authority, stores):
    settings = environ(tmp_path, authority, stores.url)
    for path in ("create/OLD", "remove/DEL_BEFORE", "remove/DEL_AFTER", "remove/STAYS", "ends/KEY_AFTER", "ends/SECOND"):
        stores.put({"path": f"{ROOT}/{path}", "value": "CANARY-old"})
    stores.put({"path": f"{ROOT}/create/KEPT_AFTER", "value": "CANARY-there-before"})
    async with (
        Program(settings) as broker,
        httpx.AsyncClient(base_url=broker.url, verify=trust(tmp_path), headers=TOKEN, timeout=30) as http,
    ):

        def put(key):
            return http.put("/v1/secrets", json={"fqn": f"tfy-secret://acme:create:{key}", "value": "Q0FOQVJZ"})

        def delete(key):
            return http.request("DELETE", "/v1/secrets", json={"fqn": f"tfy-secret://acme:remove:{key}"})

        new = {"integrationId": "main", "secrets": [{"key": "A", "value": "CANARY"}, {"key": "B_AFTER", "value": "CANARY"}]}
        calls = [
            put("NEW_BEFORE"),
            put("NEW_AFTER"),
            put("KEPT_AFTER"),
            delete("DEL_BEFORE"),
            delete("DEL_AFTER"),
            http.post(f"{API}/secret-groups", json=new | {"name": "begins"}),
            http.delete(f"{API}/secret-groups/ZW5kcw"),
        ]
        tasks = [asyncio.create_task(call) for call in calls]
        await until(lambda: len(stores.done) == 5 and len([r for r in stores.requests if r.method in ("PUT", "DELETE")]) == 9, 10)
        before = pending(tmp_path)
        assert {name: sorted(i["step"] for i in found) for name, found in before.items()} == {
            "create": ["create"] * 3,
            "remove": ["delete"] * 2,
            "begins": ["create"],
            "ends": ["delete"],
        }
        assert "CANARY" not in json.dumps(before)
        # Half-made keys are nobody's: not listed, and refused to pods.
        assert spec(tmp_path) == {"create": ["OLD"], "remove": ["STAYS"], "ends": [], "begins": []}
        broker.process.kill()
        await broker.process.wait()
        for task in tasks:
            with pytest.raises(httpx.HTTPError):
                await task

    stores.hangs = False
    async with Program(settings) as broker:
        await until(lambda: not pending(tmp_path), 10)
        assert await broker.stop() == 0
    assert spec(tmp_path) == {"create": ["OLD"], "remove": ["STAYS"]}
    assert sorted(stores.values) == [f"{ROOT}/create/KEPT_AFTER", f"{ROOT}/create/OLD", f"{ROOT}/remove/STAYS"]
    assert stores.values[f"{ROOT}/create/KEPT_AFTER"][0][1] == "CANARY-there-before"
    assert (tmp_path / "manifests" / "all.yaml").read_text().startswith("# kept\n")
    assert not list((tmp_path / "manifests").rglob("*.tmp"))


PAST = "2026-01-01T00:00:00+00:00"


def intent(step, *keys, **more):
    return {"id": f"{step}{keys}", "step": step, "keys": list(keys), "at": PAST, "by": "ann"} | more


async def test_points_that_no_store_can_hold_up(tmp_path, authority):
    """Killed between the manifest and its pending file, with the embedded store: every state that the order of writes can leave."""
    settings = environ_of(tmp_path, authority)
    settings["TFY_SECRET_MANIFESTS"] = str(tmp_path / "manifests")
    states = {
        "listed": (["K"], intent("create", "K")),  # listed, and not cleared: done
        "claimed": (["K"], intent("undo", "L")),
        "not-begun": (
            ["K"],
            intent("delete", "K"),
        ),  # pending is written before the key is unlisted: nothing is begun, or somebody listed it again
        "unlisted": ([], intent("delete", "K")),
        "half-group": ([], intent("create", "K", whole=True)),
        "gone-group": ([], intent("delete", "K", whole=True)),
        "given-keys": (["M"], intent("create", "K", whole=True)),  # somebody edited the new group: it stays
        "later": ([], intent("delete", "K", due="2999-01-01T00:00:00+00:00")),  # can still be undone
    }
    groups = [group(name, keys, ADMIN) for name, (keys, _) in states.items()]
    (tmp_path / "manifests" / "all.yaml").write_text(yaml.safe_dump_all([store(), *groups]))
    folder = tmp_path / "manifests" / ".secret-groups"
    folder.mkdir()
    for name, (_, found) in states.items():
        (folder / f"{name}.json").write_text(json.dumps({"pending": json.dumps([found])}))
    (folder / "no-file.json").write_text(json.dumps({"pending": json.dumps([intent("create", "K", whole=True)])}))
    async with Program(settings) as broker, httpx.AsyncClient(base_url=broker.url, verify=trust(tmp_path), headers=TOKEN) as http:
        await until(lambda: set(pending(tmp_path)) == {"later"}, 10)
        assert spec(tmp_path) == {"listed": ["K"], "claimed": ["K"], "not-begun": ["K"], "unlisted": [], "given-keys": ["M"], "later": []}
        # What the repair did is seen at once, and a deletion that can be undone waits for its time.
        listed = (await http.get(f"{API}/secret-groups")).json()
        assert [g["fqn"] for g in listed["data"]] == [f"acme:{name}" for name in sorted(spec(tmp_path))]


async def test_only_one_broker_writes_a_folder(tmp_path, authority):
    settings = environ_of(tmp_path, authority)
    body = {"fqn": "tfy-secret://acme:payments:FRESH", "value": "Q0FOQVJZ"}
    async with Program(settings) as one, Program(settings) as two:
        answers = []
        for broker in (one, two):
            async with httpx.AsyncClient(base_url=broker.url, verify=trust(tmp_path), headers=TOKEN) as http:
                answers.append(await http.put("/v1/secrets", json=body))
                body["fqn"] += "_2"
    assert [answer.status_code for answer in answers] == [200, 503]
    assert "another broker writes the folder" in answers[1].json()["message"]
