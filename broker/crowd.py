"""How many requests may wait for one store, so that a store that answers nobody does not take every place the broker has.

A store's share is what is free then: it may hold as many requests as there are places left. One store alone gets half of them, two get a
third each, and there is always room for one more. A request that waits for several things of a store counts once.
"""

from collections import Counter


class Crowd:
    """`most` requests in all, as the broker takes at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all = 0
        self._waiting: dict[str, Counter[str]] = {}

    def enter(self, store: str, request: str) -> bool:
        """Whether the request may wait for the store. Each True needs its `leave`."""
        requests = self._waiting.get(store)
        if requests is None:
            requests = self._waiting[store] = Counter()
        if request not in requests:
            if requests and len(requests) >= self._most - self._all:
                return False
            self._all += 1
        requests[request] += 1
        return True

    def leave(self, store: str, request: str) -> None:
        requests = self._waiting[store]
        requests[request] -= 1
        if not requests[request]:
            del requests[request]
            self._all -= 1
        if not requests:
            del self._waiting[store]
