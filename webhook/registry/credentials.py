"""Registry log-ins from pull secrets, chosen for an image as the kubelet does (its pkg/credentialprovider/keyring.go).

All that match are tried, the most specific path first, so that a stale secret beside a good one does no harm. A secret that
cannot be read is a note and not an error: others may do. Nothing of a log-in is in a repr, a note or an exception.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import msgspec

from webhook.registry.image import DOCKER_HUB, Image

JSON_KEY, LEGACY_KEY = ".dockerconfigjson", ".dockercfg"
DOCKER_HUB_KEY = "index.docker.io"  # how `docker login` writes docker.io, after the kubelet cut https:// and /v1/ off


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """A name and a password, or an identity token that a token server takes in their place."""

    username: str
    password: str
    identity_token: str = ""

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def fingerprint(self, key: bytes) -> bytes:
        """Tells log-ins apart; worthless without this process's key."""
        made = hashlib.blake2b(key=key, digest_size=32)
        for part in (self.username, self.password, self.identity_token):
            encoded = part.encode(errors="surrogatepass")
            made.update(len(encoded).to_bytes(8, "big") + encoded)
        return made.digest()

    def __repr__(self) -> str:
        return "Login(<hidden>)"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Log-ins by registry key in the secrets' order, and what was wrong with some of the secrets."""

    entries: tuple[tuple[str, Login], ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of_secrets(cls, *secrets: Mapping[str, Any]) -> "Credentials":
        """From Secret objects as the Kubernetes API has them."""
        entries: list[tuple[str, Login]] = []
        told: list[str] = []
        for secret in secrets:
            name = str((secret.get("metadata") or {}).get("name") or "?")
            try:
                entries += _entries(secret.get("data") or {})
            except _Unreadable as error:
                told.append(f"pull secret '{name}': {error}")
        return cls(tuple(entries), tuple(told))

    @classmethod
    def joined(cls, parts: Iterable["Credentials"]) -> "Credentials":
        """In this order, each note once."""
        parts = tuple(parts)
        notes = dict.fromkeys(note for part in parts for note in part.notes)
        return cls(tuple(entry for part in parts for entry in part.entries), tuple(notes))

    def for_image(self, image: Image) -> list[Login]:
        """Those that the kubelet would try, in its order, each once."""
        matching = sorted({key for key, _ in self.entries if _matches(key, image)}, reverse=True)
        if not matching and image.registry == DOCKER_HUB:
            matching = [DOCKER_HUB_KEY]
        return list(dict.fromkeys(login for wanted in matching for key, login in self.entries if key == wanted))

    def __repr__(self) -> str:
        return f"Credentials(<{len(self.entries)} hidden>)"


ANONYMOUS = Credentials()


class _Unreadable(Exception):
    """Why a secret is passed over, without a word of what it holds."""


class _Auth(msgspec.Struct):
    username: str | None = None
    password: str | None = None
    auth: str | None = None
    identitytoken: str | None = None


class _DockerConfig(msgspec.Struct):
    auths: dict[str, _Auth] | None = None


def _entries(data: Mapping[str, Any]) -> list[tuple[str, Login]]:
    try:
        if JSON_KEY in data:
            auths = msgspec.json.decode(base64.b64decode(data[JSON_KEY]), type=_DockerConfig).auths or {}
        elif LEGACY_KEY in data:
            auths = msgspec.json.decode(base64.b64decode(data[LEGACY_KEY]), type=dict[str, _Auth])
        else:
            raise _Unreadable(f"found no key {JSON_KEY} or {LEGACY_KEY}; allowed: a secret made by kubectl create secret docker-registry")
        return [(_key(location), _login(auth)) for location, auth in auths.items()]
    except (ValueError, TypeError, RecursionError):  # a message of theirs may quote the secret
        pass
    raise _Unreadable("found what is no docker configuration; allowed: what kubectl create secret docker-registry makes")


def _login(auth: _Auth) -> Login:
    """`auth` wins over the two fields, as in the kubelet."""
    username, password = auth.username or "", auth.password or ""
    if auth.auth:
        field = auth.auth.strip().replace("\n", "").replace("\r", "")  # Go passes over the line breaks that `base64` puts into long ones
        padded = field if field.endswith("=") else field + "=" * (-len(field) % 4)
        try:
            username, colon, password = base64.b64decode(padded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            colon = ""
        if not colon:
            raise ValueError
    return Login(username, password.rstrip("\0"), auth.identitytoken or "")


def _key(location: str) -> str:
    """`https://index.docker.io/v1/` -> `index.docker.io`; a path other than that stays and narrows the match."""
    parts = urlsplit(location if location.startswith(("https://", "http://")) else f"https://{location}")
    path = parts.path[3:] if parts.path.startswith(("/v1/", "/v2/")) else parts.path
    return parts.netloc + (path if path != "/" else "")


def _matches(key: str, image: Image) -> bool:
    """Host parts match one by one, `*` within a part; the port exactly; the path as a prefix."""
    host, slash, path = key.partition("/")
    if slash and not image.repository.startswith(path):
        return False
    (name, port), (wanted, wanted_port) = _host_and_port(host), _host_and_port(image.registry)
    parts, wanted_parts = name.split("."), wanted.split(".")
    if port != wanted_port or len(parts) != len(wanted_parts):
        return False
    return all(found == part or fnmatchcase(found, part) for part, found in zip(parts, wanted_parts, strict=True))


def _host_and_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "")
