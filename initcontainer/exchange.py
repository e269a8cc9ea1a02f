"""One request to the broker over one TLS connection: the only module that touches the network.

Trust is the plan's CA alone, with the host's name checked; the system's CAs and proxy variables are never looked at. Each wait
is bounded. Every library error ends here, as Untrusted (final) or Retryable; a message never holds what was sent.
"""

import _thread
import socket
import ssl

from contract.record import record
from initcontainer.answer import HttpAnswer, read_answer
from initcontainer.endpoint import Endpoint
from initcontainer.errors import PlanBroken, Retryable, Untrusted

_RECEIVE_BYTES = 64 * 1024


@record
class Patience:
    """Seconds for name look-up, connect and handshake each, for each read, and what is left until the deadline."""

    connect: float
    read: float
    left: "Callable[[], float]"

    def to_connect(self) -> float:
        return max(0.001, min(self.connect, self.left()))

    def to_read(self) -> float:
        left = self.left()
        if left <= 0:
            raise TimeoutError
        return min(self.read, left)


def trust(ca: str) -> ssl.SSLContext:
    """A context that trusts these certificates and nothing else. Raises PlanBroken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError, TypeError):  # in turn: not a certificate, empty, not ASCII
        raise PlanBroken("plan.ca: it holds no certificate in PEM form that can be read") from None
    return context


def post(endpoint: Endpoint, context: ssl.SSLContext, token: str, body: bytes, patience: Patience) -> HttpAnswer:
    """Send one request and read its answer. Raises Retryable, Untrusted or Refused."""
    try:
        with _connect(endpoint, context, patience) as connection:
            connection.settimeout(patience.to_read())
            connection.sendall(_head(endpoint, token, len(body)) + body)

            def receive() -> bytes:
                connection.settimeout(patience.to_read())
                return connection.recv(_RECEIVE_BYTES)

            return read_answer(receive)
    except ssl.SSLCertVerificationError as error:
        raise Untrusted(f"{endpoint}: the broker's certificate is not accepted: {error.verify_message}") from error
    except TimeoutError as error:
        raise Retryable(f"{endpoint}: the broker did not answer in time") from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise Retryable(f"{endpoint}: the broker cannot be reached: {reason}") from error


def _connect(endpoint: Endpoint, context: ssl.SSLContext, patience: Patience) -> ssl.SSLSocket:
    failure: OSError = OSError("the host's name has no address")
    for family, kind, protocol, _, address in _addresses(endpoint, patience.to_connect()):
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(patience.to_connect())
            plain.connect(address)
            # Without it the request waits 40 ms for a late acknowledgement of the handshake's end, from a server without tickets.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A connection that is cut must not look like the end of an answer.
            return context.wrap_socket(plain, server_hostname=endpoint.host, suppress_ragged_eofs=False)
        except ssl.SSLCertVerificationError:
            plain.close()
            raise
        except OSError as error:
            failure = error
            plain.close()
        except BaseException:  # SIGTERM arrives as one
            plain.close()
            raise
    raise failure


def _addresses(endpoint: Endpoint, seconds: float) -> "list[Any]":
    """The host's addresses. The resolver has no time-out of its own and hears no signal, so it runs in a thread beside us."""
    outcome: list[Any] = []
    done = _thread.allocate_lock()
    done.acquire()

    def look_up() -> None:
        try:
            outcome.append(socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.append(error)
        finally:
            done.release()

    _thread.start_new_thread(look_up, ())
    if not done.acquire(timeout=seconds):
        raise TimeoutError
    found = outcome[0]
    if isinstance(found, Exception):
        raise found if isinstance(found, OSError) else OSError("the host's name is malformed")
    return list(found)


def _head(endpoint: Endpoint, token: str, length: int) -> bytes:
    lines = (
        f"POST {endpoint.target} HTTP/1.1",
        f"Host: {endpoint.authority}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "User-Agent: tfy-secret-init",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any
