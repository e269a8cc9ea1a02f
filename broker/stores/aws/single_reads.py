"""Reads in calls of their own: what a batch cannot hold, and all of one that AWS has refused as a whole."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from broker.errors import BrokerError
from broker.stores.store import Asked, Stored

Outcomes = dict[Asked, Stored | BrokerError]


async def read_singly(read: Callable[[str, str | None], Awaitable[Stored]], asked: Iterable[Asked]) -> Outcomes:
    """An outcome for each; one that fails does not end the others."""

    async def outcome(one: Asked) -> Stored | BrokerError:
        try:
            return await read(one.path, one.version)
        except BrokerError as error:
            return error.with_traceback(None)

    different = list(dict.fromkeys(asked))
    return dict(zip(different, await asyncio.gather(*map(outcome, different)), strict=True))
