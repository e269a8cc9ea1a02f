"""What was found, kept for a while and within bounds; and equal questions in flight asked once."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The entries last used, as many as their weights allow."""

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        self._limit, self._weigh = limit, weigh
        self._entries: OrderedDict[K, V] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: K, value: V) -> None:
        self.drop(key)
        self._entries[key] = value
        self.weight += self._weigh(value)
        while self.weight > self._limit:
            self.weight -= self._weigh(self._entries.popitem(last=False)[1])

    def drop(self, key: K) -> None:
        if key in self._entries:
            self.weight -= self._weigh(self._entries.pop(key))


class Shared(Generic[K, V]):
    """Answers by key. `ask` says how many seconds its answer is good for; what it raises is not kept.

    A caller that goes away does not take the question from the others, nor from those that come next.
    """

    def __init__(self, now: Callable[[], float], limit: int, weigh: Callable[[V], int]) -> None:
        self._now = now
        self._answers: Kept[K, tuple[V, float]] = Kept(limit, lambda answer: weigh(answer[0]))
        self._asked: dict[K, asyncio.Task[tuple[V, float]]] = {}

    async def get(self, key: K, ask: Callable[[], Coroutine[Any, Any, tuple[V, float]]]) -> V:
        kept = self._answers.get(key)
        if kept is not None and self._now() < kept[1]:
            return kept[0]
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(ask())
            task.add_done_callback(partial(self._finish, key))
        return (await asyncio.shield(task))[0]

    async def close(self) -> None:
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, key: K, task: asyncio.Task[tuple[V, float]]) -> None:
        del self._asked[key]
        if task.cancelled() or task.exception() is not None:
            return
        answer, seconds = task.result()
        if seconds > 0:
            self._answers.put(key, (answer, self._now() + seconds))
