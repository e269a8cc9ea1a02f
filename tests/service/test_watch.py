import asyncio
from contextlib import asynccontextmanager

import pytest

from service import watch as module
from service.kube import Kube
from service.watch import Objects, Watch
from tests.service.apiserver import ApiServer, until

THINGS = "/apis/x.example/v1/things"


def thing(name, value=""):
    return {"metadata": {"name": name}, "spec": {"value": value}}


class Follower:
    """Keeps what a watch tells, as a user of it would."""

    def __init__(self, kube):
        self.now, self.snapshots, self.events, self.waits = {}, 0, [], []
        self.fail_once, self.meanwhile, self.stale = False, lambda: None, []
        self.watch = Watch(kube, THINGS, reading=Objects(), on_snapshot=self.snapshot, on_event=self.event, sleep=self.sleep)

    def snapshot(self, items):
        self.snapshots += 1
        self.now = {item["metadata"]["name"]: item["spec"]["value"] for item in items}

    def event(self, change, item):
        if self.fail_once:
            self.fail_once = False
            raise RuntimeError("a fault of the caller")
        name = item["metadata"]["name"]
        self.events.append((change, name))
        if change == "DELETED":
            del self.now[name]
        else:
            self.now[name] = item["spec"]["value"]

    async def sleep(self, seconds):
        self.waits.append(seconds)
        self.stale.append(self.watch.stale_since)
        self.meanwhile()
        self.meanwhile = lambda: None
        await asyncio.sleep(0)


@asynccontextmanager
async def following(*things):
    async with ApiServer() as api, Kube(api.url) as kube:
        api.objects[THINGS] = {}
        for one in things:
            api.put(THINGS, one)
        follower = Follower(kube)
        follower.watch.start()
        yield api, follower
        await follower.watch.close()


async def test_lists_then_follows():
    """The snapshot first, then each change in order, without another list."""
    async with following(thing("a", "1")) as (api, follower):
        await until(lambda: api.watchers)
        assert follower.now == {"a": "1"} and follower.watch.synced and follower.watch.stale_since is None
        api.put(THINGS, thing("b", "2"))
        api.put(THINGS, thing("a", "3"))
        api.remove(THINGS, "b")
        await until(lambda: len(follower.events) == 3)
        assert follower.now == {"a": "3"} and follower.snapshots == 1
        assert follower.events == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


async def test_a_big_list_comes_in_pages(monkeypatch):
    monkeypatch.setattr(module, "PAGE", 3)
    async with following(*(thing(f"t{i}") for i in range(8))) as (api, follower):
        await until(lambda: follower.watch.synced)
        assert len(follower.now) == 8 and len(api.calls("GET", THINGS)) >= 3 and follower.snapshots == 1


async def test_an_expired_page_token_lists_again(monkeypatch):
    """410 in the middle of a list: from the first page again, and no half snapshot."""
    monkeypatch.setattr(module, "PAGE", 1)
    async with ApiServer() as api, Kube(api.url) as kube:
        api.put(THINGS, thing("a"))
        api.put(THINGS, thing("b"))
        follower = Follower(kube)
        read, api.oldest = kube.read, 10**6

        async def mended(*args, **options):  # the compaction happens between the pages, once
            if "continue" not in options["params"] and follower.waits:
                api.oldest = 0
            return await read(*args, **options)

        kube.read = mended
        follower.watch.start()
        await until(lambda: follower.watch.synced)
        assert set(follower.now) == {"a", "b"} and follower.snapshots == 1 and follower.waits
        await follower.watch.close()


async def test_reconnects_where_it_was():
    """A stream that ends is opened again from the last version seen: nothing twice, nothing lost, no new list."""
    async with following(thing("a", "1")) as (api, follower):
        await until(lambda: api.watchers)
        api.put(THINGS, thing("b", "2"))
        await until(lambda: follower.events)
        follower.meanwhile = lambda: api.put(THINGS, thing("c", "3"))
        api.end_watches()
        await until(lambda: "c" in follower.now)
        assert follower.events == [("ADDED", "b"), ("ADDED", "c")] and follower.snapshots == 1


async def test_a_bookmark_moves_the_version_without_an_event():
    async with following(thing("a")) as (api, follower):
        await until(lambda: api.watchers)
        api.bookmark()
        await until(lambda: follower.watch._version == str(api.version))
        api.oldest = api.version  # only the bookmark's version is new enough now
        api.end_watches()
        await until(lambda: len(api.calls("GET", THINGS)) >= 3 and api.watchers)
        assert follower.snapshots == 1 and not follower.events


@pytest.mark.parametrize("in_stream", [True, False], ids=["as-an-event", "as-a-status"])
async def test_a_version_that_is_too_old_lists_again(in_stream):
    """410 either way: list again, and objects that vanished meanwhile are gone."""
    async with following(thing("a"), thing("b")) as (api, follower):
        await until(lambda: api.watchers)
        api.history.clear()
        del api.objects[THINGS]["b"]
        if in_stream:
            api.raw(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n')
        else:
            api.version += 5
            api.oldest = api.version
            api.end_watches()
        await until(lambda: follower.snapshots == 2)
        assert set(follower.now) == {"a"}


async def test_failures_are_waited_out_longer_each_time_and_marked_stale():
    """`stale_since` tells readiness; a version is kept through an outage."""
    async with following(thing("a")) as (api, follower):
        await until(lambda: api.watchers)
        api.refuse("GET", THINGS, 503, times=8)
        api.end_watches()
        await until(lambda: not api.refusals and api.watchers and follower.watch.stale_since is None)
        assert len(follower.stale) >= 8 and len(set(follower.stale)) == 1 and follower.stale[0] is not None
        assert follower.snapshots == 1 and follower.watch.synced
        assert all(0 <= wait <= module.BACKOFF[1] for wait in follower.waits)


async def test_a_version_from_the_future_lists_again():
    """After etcd went back to a backup the API server answers 504 for ever."""
    async with following(thing("a")) as (api, follower):
        await until(lambda: api.watchers)
        api.refuse("GET", THINGS, 504, "Too large resource version")
        api.end_watches()
        await until(lambda: follower.snapshots == 2)


async def test_a_missing_kind_is_tried_until_it_is_there():
    """The CRD may be applied after us."""
    async with ApiServer() as api, Kube(api.url) as kube:
        api.missing.add(THINGS)
        follower = Follower(kube)
        follower.watch.start()
        await until(lambda: len(follower.waits) > 3)
        assert not follower.watch.synced and follower.watch.stale_since is not None
        api.missing.clear()
        api.put(THINGS, thing("a"))
        await until(lambda: follower.watch.synced)
        await follower.watch.close()


@pytest.mark.parametrize(
    "line", [b"not json\n", b'{"type":"ADDED","object":{}}\n', b'{"type":"ADDED"}\n'], ids=["noise", "no-metadata", "no-object"]
)
async def test_a_broken_event_lists_again(line):
    async with following(thing("a")) as (api, follower):
        await until(lambda: api.watchers)
        api.raw(line)
        await until(lambda: follower.snapshots == 2)


async def test_a_fault_of_the_caller_does_not_end_the_watch():
    async with following(thing("a")) as (api, follower):
        await until(lambda: api.watchers)
        follower.fail_once = True
        api.put(THINGS, thing("b", "2"))
        await until(lambda: follower.now.get("b") == "2")
        assert follower.snapshots == 2


async def test_an_event_larger_than_a_line_of_aiohttp():
    async with following(thing("a")) as (api, follower):
        await until(lambda: api.watchers)
        api.put(THINGS, thing("big", "x" * 1_000_000))
        await until(lambda: len(follower.now.get("big", "")) == 1_000_000)


async def test_silence_past_the_servers_own_end_is_a_dead_connection(monkeypatch):
    """A half-open connection never ends by itself."""
    monkeypatch.setattr(module, "SERVER_TIMEOUT", (0, 0))
    monkeypatch.setattr(module, "IDLE_MARGIN", 0.05)
    async with following(thing("a")) as (api, follower):
        await until(lambda: sum(1 for m, p, q in api.requests if q.get("watch")) >= 3)
        assert follower.snapshots == 1 and follower.waits


async def test_the_server_is_asked_to_end_the_watch_at_a_random_time():
    async with following() as (api, follower):
        await until(lambda: api.watchers)
        (query,) = [q for _, _, q in api.requests if q.get("watch")]
        assert 240 <= int(query["timeoutSeconds"]) <= 360 and query["allowWatchBookmarks"] == "true"
