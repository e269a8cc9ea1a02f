"""A person's session: who they are, as the token they logged in with, sealed into a cookie. Nothing is kept here.

The token inside is reviewed again with every request, so a revoked or expired one ends the session at once. The session also ends by
itself, however it is used. A new id at each login; a logout is remembered here until the session would have ended anyway (by this
replica: the others only see the cookie go).

cookie                | holds                                          | SameSite, life
--------------------- | ---------------------------------------------- | -----------------------------
__Host-tfy-session    | id, end, token: sealed                         | Strict, until the browser closes
__Host-tfy-session-2  | the rest of it, where the token is long        | the same
"""

import binascii
import hmac
import os
import struct
import time
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from aiohttp import web

from broker.errors import TooLarge
from broker.page.sealing import SessionKeys, Unsealed

NAMES = ("__Host-tfy-session", "__Host-tfy-session-2")
CHUNK = 3_800  # characters; a browser keeps 4096 bytes of name, value and attributes, and aiohttp reads a header of 8190
MAX_TOKEN_BYTES = 64 * 1024  # of an unpacked token; ours are sealed, so this only bounds a mistake
MAX_ENDED = 10_000
_HEAD = struct.Struct(">16sQ")
_PURPOSE = "session"

TOO_LONG = (
    "the token is too long for a browser's cookies: the page takes about 7,000 characters. To fix: use a token with fewer claims "
    "(groups are what makes one long), or the API, which takes 16 KiB"
)


@dataclass(frozen=True, slots=True)
class Session:
    """`ends` is Unix time. The id is secret too: forms prove themselves with what is derived from it."""

    id: bytes = field(repr=False)
    ends: int
    token: str = field(repr=False)

    @property
    def form_token(self) -> str:
        """What every form of this session carries; says nothing about the id."""
        return packed(hmac.digest(self.id, b"form", sha256))


class Sessions:
    """`minutes` is how long one lasts at most. `now` is Unix time."""

    def __init__(self, keys: SessionKeys, minutes: int, now: Callable[[], float] = time.time) -> None:
        self._keys, self._seconds, self._now = keys, minutes * 60, now
        self._ended: dict[bytes, int] = {}

    def begin(self, token: str, ends: float | None = None) -> Session:
        """`ends`: when the token itself does, if that is known."""
        last = int(self._now()) + self._seconds
        return Session(os.urandom(16), last if ends is None else min(last, int(ends)), token)

    def end(self, session: Session) -> None:
        now = self._now()
        self._ended = {i: ends for i, ends in self._ended.items() if ends > now}
        if len(self._ended) < MAX_ENDED:
            self._ended[session.id] = session.ends

    def read(self, request: web.Request) -> Session | None:
        """The session of a request's cookies; None: there is none, or it is over."""
        text = "".join(request.cookies.get(name, "") for name in NAMES)
        if not text or len(text) > len(NAMES) * CHUNK:
            return None
        try:
            session = _decode(self._keys.open(_PURPOSE, unpacked(text)))
        except (Unsealed, binascii.Error, ValueError, struct.error, zlib.error):
            return None
        return session if session.ends > self._now() and session.id not in self._ended else None

    def write(self, session: Session, response: web.StreamResponse) -> None:
        """Raises TooLarge if the token does not fit into cookies."""
        text = packed(self._keys.seal(_PURPOSE, _encode(session)))
        parts = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
        if len(parts) > len(NAMES):
            raise TooLarge(TOO_LONG)
        forget(response)
        for name, part in zip(NAMES, parts, strict=False):
            response.set_cookie(name, part, path="/", secure=True, httponly=True, samesite="Strict")


def forget(response: web.StreamResponse) -> None:
    """A browser takes the deletion of a __Host- cookie only with what such a cookie must have."""
    for name in NAMES:
        response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")


def has_cookie(request: web.Request) -> bool:
    return any(name in request.cookies for name in NAMES)


def _encode(session: Session) -> bytes:
    """Compressed, as a token is base64 text. Nothing that another could choose stands beside it, so the length tells them nothing."""
    return _HEAD.pack(session.id, session.ends) + zlib.compress(session.token.encode(), 9)


def _decode(content: bytes) -> Session:
    identity, ends = _HEAD.unpack_from(content)
    unpacking = zlib.decompressobj()
    token = unpacking.decompress(content[_HEAD.size :], MAX_TOKEN_BYTES)
    return Session(identity, ends, token.decode())


def packed(sealed: bytes) -> str:
    """As a cookie's value."""
    return urlsafe_b64encode(sealed).decode().rstrip("=")


def unpacked(text: str) -> bytes:
    """Raises ValueError."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
