"""Name resolution for store clients that stand on aiohttp (AWS, Azure): only addresses that a store may have come back.

The connection is made to the addresses that were checked here, so DNS cannot change its mind in between. aiohttp does not resolve a
host that is an IP address: check those with `Reach.check_url`.
"""

import socket
from ipaddress import ip_address

from aiohttp import ThreadedResolver
from aiohttp.abc import ResolveResult

from broker.stores.addresses import Reach
from contract.fqn import shorten


class VettedResolver(ThreadedResolver):
    """Raises Misconfigured for a name that leads where no store may be, OSError for one that leads nowhere."""

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self._reach = reach

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        for result in found:
            address = result["host"].partition("%")[0]
            self._reach.check_address(f"'{shorten(host)}' resolves to {address}, which", host, ip_address(address))
        return found
