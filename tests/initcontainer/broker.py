"""A stand-in for the broker: real TLS on loopback, records what it is asked, and misbehaves when told to.

`python -m tests.initcontainer.broker CERT_AND_KEY.pem [value bytes]` serves any name, for the bench; it prints its port.
"""

import json
import socket
import ssl
import struct
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

Behaviour = Callable[[ssl.SSLSocket, "Seen"], None]


@dataclass
class Seen:
    """One request as it arrived. The token is kept apart so that a failing test does not print it."""

    line: str
    headers: dict[str, str]
    body: bytes
    token: str = field(repr=False, default="")

    @property
    def names(self) -> list[str]:
        return json.loads(self.body)["secrets"]


def response(status: int, body: bytes = b"", *headers: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers, "", ""))
    return head.encode() + body


def sends(raw: bytes) -> Behaviour:
    """Send these bytes and close the TLS connection in order."""

    def behave(connection: ssl.SSLSocket, seen: Seen) -> None:
        connection.sendall(raw)
        connection.unwrap()

    return behave


def cuts(raw: bytes) -> Behaviour:
    """Send these bytes and cut the TCP connection without ending TLS."""

    def behave(connection: ssl.SSLSocket, seen: Seen) -> None:
        connection.sendall(raw)
        connection.close()

    return behave


def resets(connection: ssl.SSLSocket, seen: Seen) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def keeps_silent(connection: ssl.SSLSocket, seen: Seen) -> None:
    connection.settimeout(20)
    connection.recv(1)  # until the other side gives up


def status(code: int, body: object = None, *headers: str) -> Behaviour:
    return sends(response(code, b"" if body is None else json.dumps(body).encode(), *headers))


def answers(found: "dict[str, bytes | tuple[str, str]]") -> Behaviour:
    """A value, or code and message, for each name; a name that is not there is not found."""

    def behave(connection: ssl.SSLSocket, seen: Seen) -> None:
        sends(response(200, answer_body(seen.names, found)))(connection, seen)

    return behave


def answer_body(names: list[str], found: "dict[str, bytes | tuple[str, str]]") -> bytes:
    made = []
    for name in names:
        value = found.get(name, ("not_found", "the store has no such path"))
        if isinstance(value, bytes):
            made.append({"fqn": name, "value": b64encode(value).decode(), "secret_version": "1"})
        else:
            made.append({"fqn": name, "code": value[0], "message": value[1]})
    return json.dumps({"version": 1, "answers": made}).encode()


def chunked(body: bytes, size: int = 7) -> bytes:
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(f"{len(p):x};x=y\r\n".encode() + p + b"\r\n" for p in pieces) + b"0\r\nTrailer: t\r\n\r\n"


class BrokerStandIn:
    """Plays `script` in order, one behaviour a request; the last one stays."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.script: list[Behaviour] = []
        self.requests: list[Seen] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=25)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(plain,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, plain: socket.socket) -> None:
        with plain:
            plain.settimeout(20)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as asyncio sets it
            try:
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    seen = _read_request(connection)
                    self.requests.append(seen)
                    behaviour = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                    behaviour(connection, seen)
            except OSError:
                pass  # the other side may end as it likes


def _read_request(connection: ssl.SSLSocket) -> Seen:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (text.split(": ", 1) for text in lines)}
    while len(body) < int(headers["content-length"]):
        body += _received(connection)
    token = headers.pop("authorization").removeprefix("Bearer ")
    return Seen(line, headers, body, token)


def _received(connection: ssl.SSLSocket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionResetError
    return received


def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    value = b"v" * int((sys.argv[2:] or ["32"])[0])
    broker = BrokerStandIn(context)
    broker.script = [
        lambda connection, seen: sends(response(200, answer_body(seen.names, dict.fromkeys(seen.names, value))))(connection, seen)
    ]
    print(broker.port, flush=True)
    sys.stdin.read()  # until the one who started it goes away
    broker.close()


if __name__ == "__main__":
    main()
