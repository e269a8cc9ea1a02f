"""A TCP proxy in front of the gRPC server: it passes bytes, and breaks the connection as it is told.

`cut`: after so many of the server's bytes the connection is reset. `stuck`: nothing passes any more, and nothing is closed.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self


class TcpProxy:
    def __init__(self, target: int, address: str = "127.0.0.1", port: int = 0) -> None:
        self._target, self._address, self._port = target, address, port
        self.cut: int | None = None
        self.stuck = False
        self.connections = self.open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._address, self._port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{self._address}:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await asyncio.gather(self._pass(reader, upstream, counted=False), self._pass(upstream_reader, writer, counted=True))
        finally:
            for end in (upstream, writer):
                end.transport.abort()
            self.open -= 1

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        sent = 0
        while data := await reader.read(65536):
            if self.stuck:
                await asyncio.Event().wait()
            if counted and self.cut is not None and sent + len(data) > self.cut:
                writer.write(data[: self.cut - sent])
                await writer.drain()
                _reset(writer)
                raise ConnectionResetError
            sent += len(data)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError  # one side is gone, so the other goes too


def _reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
