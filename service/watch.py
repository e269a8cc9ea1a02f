"""Follow a collection of Kubernetes objects for ever: list in pages, then watch, and start over where that is needed.

Decides when to list again (410 Gone), when to reconnect (the stream ended, broke or went silent) and how long to wait. A
`Reading` turns bytes into what its caller keeps, object by object, so that no big list is ever held as decoded objects.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import msgspec
import structlog

from service.kube import JSON, Gone, Kube, KubeError

T = TypeVar("T")
PAGE = 500  # objects; what kubectl asks for too
SERVER_TIMEOUT = (240, 360)  # seconds after which the API server ends a watch, drawn anew so that replicas do not come back together
IDLE_MARGIN = 30.0  # seconds of silence past that end: then the connection is dead
LINE_LIMIT = 16 * 1024 * 1024  # bytes of one event; etcd's limit of an object is 1.5 MiB
SHORT = 1.0  # seconds; a stream that ends sooner is taken for a failure, so that it cannot spin
BACKOFF = (0.2, 5.0)  # seconds: first and longest wait, full jitter

log = structlog.get_logger()


class Metadata(msgspec.Struct, rename={"resource_version": "resourceVersion", "continue_": "continue"}):
    resource_version: str = ""
    continue_: str = ""


class Page(Generic[T]):
    """A part of a list, or the content of one event."""

    __slots__ = ("items", "metadata")

    def __init__(self, items: list[T], metadata: Metadata) -> None:
        self.items, self.metadata = items, metadata


class Reading(Protocol[T]):
    """How to ask for a collection and what to keep of it."""

    accept: str
    params: Mapping[str, str]

    def page(self, body: bytes) -> Page[T]:
        """Read one page of the list."""
        ...

    def event(self, body: msgspec.Raw) -> Page[T]:
        """Read the object of one watch event."""
        ...


class _List(msgspec.Struct):
    metadata: Metadata
    items: list[msgspec.Raw] = []


class _Head(msgspec.Struct):
    metadata: Metadata


class Objects:
    """Whole objects as dictionaries, for small collections."""

    accept = JSON
    params: Mapping[str, str] = {}

    def __init__(self) -> None:
        self._list, self._head = msgspec.json.Decoder(_List), msgspec.json.Decoder(_Head)

    def page(self, body: bytes) -> Page[dict[str, Any]]:
        found = self._list.decode(body)
        return Page([msgspec.json.decode(item) for item in found.items], found.metadata)

    def event(self, body: msgspec.Raw) -> Page[dict[str, Any]]:
        return Page([msgspec.json.decode(body)], self._head.decode(body).metadata)


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Status(msgspec.Struct):
    code: int = 0
    reason: str = ""
    message: str = ""


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_status = msgspec.json.Decoder(_Status).decode


class Watch(Generic[T]):
    """`on_snapshot` gets everything there is, `on_event` each change after it: ADDED, MODIFIED or DELETED, and the object."""

    def __init__(
        self,
        kube: Kube,
        path: str,
        *,
        reading: Reading[T],
        on_snapshot: Callable[[list[T]], None],
        on_event: Callable[[str, T], None],
        on_connect: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube, self._path, self._reading = kube, path, reading
        self._on_snapshot, self._on_event, self._on_connect = on_snapshot, on_event, on_connect
        self._sleep, self._now = sleep, now
        self._version = ""
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self.synced = False  # has listed everything once
        self.stale_since: datetime | None = now()  # None while a watch is open

    def start(self) -> None:
        self._task = asyncio.create_task(self.run(), name=f"watch {self._path}")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def run(self) -> None:
        """Never returns. An error of any kind is logged, waited out and begun again."""
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                await self._watch()
            except Gone:
                self._version = ""
                await self._wait("watch_expired", "Gone")
            except KubeError as error:
                if not error.retryable or error.status == 504:  # 504: a version from the future, after etcd went back to a backup
                    self._version = ""
                await self._wait("watch_failed", f"{error.status} {error.reason}")
            except Exception as error:  # noqa: BLE001 - a broken object or a callback's fault must not end the watch
                self._version = ""
                await self._wait("watch_crashed", error)

    async def _list(self) -> str:
        items: list[T] = []
        params = {**self._reading.params, "limit": str(PAGE)}
        while True:
            body = await self._kube.read("GET", self._path, params=params, accept=self._reading.accept)
            page = self._reading.page(body)
            items += page.items
            if not page.metadata.continue_:
                break
            params["continue"] = page.metadata.continue_
        self._on_snapshot(items)
        self.synced = True
        return page.metadata.resource_version

    async def _watch(self) -> None:
        """One stream, to its end."""
        seconds = random.randint(*SERVER_TIMEOUT)  # noqa: S311 - jitter
        params = {
            **self._reading.params,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(seconds),
        }
        opened = asyncio.get_running_loop().time()
        async with self._kube.stream(self._path, params=params, accept=self._reading.accept, idle=seconds + IDLE_MARGIN) as content:
            self.stale_since = None
            self._on_connect()
            async with aclosing(_lines(content)) as lines:
                async for line in lines:
                    self._take(line)
                    self._failures = 0
        if asyncio.get_running_loop().time() - opened < SHORT:
            await self._wait("watch_ended_at_once", "")
        else:
            self._failures = 0

    def _take(self, line: bytes) -> None:
        event = _decode_event(line)
        if event.type == "ERROR":
            status = _decode_status(event.object)
            kind = Gone if status.code == 410 else KubeError
            raise kind(status.code, status.reason, f"watch {self._path}: {status.message[:200]}")
        page = self._reading.event(event.object)
        if event.type != "BOOKMARK":
            for item in page.items:
                self._on_event(event.type, item)
        self._version = page.metadata.resource_version or self._version

    async def _wait(self, event: str, reason: str | Exception) -> None:
        self.stale_since = self.stale_since or self._now()
        self._failures += 1
        wait = random.uniform(0, min(BACKOFF[1], BACKOFF[0] * 2 ** min(self._failures, 10)))  # noqa: S311 - jitter
        detail = {"exc_info": reason} if isinstance(reason, Exception) else {"reason": reason}
        log.warning(event, path=self._path, failures=self._failures, wait=round(wait, 2), **detail)
        await self._sleep(wait)


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    """Split by newline without aiohttp's limit of a line, which is below that of an object."""
    pending = bytearray()
    async for chunk in content.iter_any():
        start = len(pending)
        pending += chunk
        while (end := pending.find(b"\n", start)) >= 0:
            if line := bytes(pending[:end]):
                yield line
            del pending[: end + 1]
            start = 0
        if len(pending) > LINE_LIMIT:
            raise KubeError(0, "TooLarge", "a watch event past 16 MiB")
