"""Writes whose answer was lost, so that the next try of the same write has the same ClientRequestToken: AWS then does it once.

Only that: a later write of the same value is a new version, so an entry ends after a minute, or when the write has succeeded.
What is kept of a value is its HMAC under a key that lives as long as the process.
"""

import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

SECONDS = 60.0
LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Write:
    """One write, by its token. `repeated`: AWS may have done it already."""

    token: str
    repeated: bool
    key: tuple[str, bytes]

    @property
    def anew(self) -> "Write":
        return replace(self, token=str(uuid.uuid4()), repeated=False)


class LostWrites:
    """Of one store. Bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret, self._clock = secrets.token_bytes(32), clock
        self._lost: dict[tuple[str, bytes], tuple[str, float]] = {}

    def begin(self, name: str, value: bytes) -> Write:
        key = name, hmac.digest(self._secret, value, hashlib.sha256)
        token, since = self._lost.pop(key, ("", 0.0))
        repeated = bool(token) and self._clock() < since + SECONDS
        return Write(token if repeated else str(uuid.uuid4()), repeated, key)

    def lost(self, write: Write) -> None:
        self._lost[write.key] = write.token, self._clock()
        if len(self._lost) > LIMIT:
            del self._lost[next(iter(self._lost))]
