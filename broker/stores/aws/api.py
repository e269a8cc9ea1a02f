"""One service of AWS, asked by operation: made when first needed, in a thread, and one try a call.

aiobotocore's import and first client take about half a second of CPU; in a thread they hold up the other stores only as far as
Python's interpreter lock does. A call whose credentials have just ended is made once more with new ones.
"""

import asyncio
from importlib.util import find_spec
from typing import Any

from broker.errors import BrokerError
from broker.stores.aws.errors import Expired, Refusal, explain
from broker.stores.aws.logins import Login
from broker.stores.aws.target import Target

if find_spec("aiobotocore") is None:  # told when the store is opened, though it is loaded later
    raise ModuleNotFoundError("No module named 'aiobotocore'", name="aiobotocore")


class Api:
    """`service` as botocore calls it, and as IAM's permissions begin. `login` None: calls are not signed."""

    def __init__(self, service: str, target: Target, login: Login | None, endpoint: str | None) -> None:
        self._service, self._target, self._login, self._endpoint = service, target, login, endpoint
        self._opening: asyncio.Task[Any] | None = None

    async def call(self, place: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """`operation` in snake case, parameters as AWS spells them. Raises what `errors.explain` and `http` say."""
        client = await self._client()
        used = None if self._login is None else await self._login.keys()
        try:
            return await self._once(client, place, operation, parameters)
        except Expired:
            if self._login is None or used is None:
                raise
            self._login.expire(used)
        return await self._once(client, place, operation, parameters)

    async def close(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            try:
                client = await opening
            except BrokerError:
                return
            await client.close()

    async def _once(self, client: Any, place: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        from broker.stores.aws import sdk

        try:
            return await sdk.ask(place, client, operation, parameters)
        except Refusal as refusal:
            error = explain(place, f"{self._service}:{operation.title().replace('_', '')}", refusal)
        raise error

    async def _client(self) -> Any:
        """Shared by all who wait; one that goes away does not end it for the others."""
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = asyncio.get_running_loop().create_task(asyncio.to_thread(self._make))
        return await asyncio.shield(self._opening)

    def _make(self) -> Any:
        from broker.stores.aws import sdk

        return sdk.open_client(self._service, self._target, self._login, self._endpoint)
