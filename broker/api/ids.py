"""Ids in URLs: the names themselves, so that no table is kept and every replica knows every id.

base64url without padding, since the SDK does not percent-encode: a group's id is its name's, a secret's that of `group:key`, which no
group's name can be. An id that is not exactly what these functions make is nobody's.
"""

import base64
import binascii

ID = r"^[A-Za-z0-9_-]{1,700}$"  # a group's name and a key have at most 253 characters each


def group_id(group: str) -> str:
    return _encoded(group)


def secret_id(group: str, key: str) -> str:
    return _encoded(f"{group}:{key}")


def version_id(group: str, key: str, version: str) -> str:
    return _encoded(f"{group}:{key}:{version}")


def group_of(text: str) -> str | None:
    """The group's name, or None: no group has this id."""
    name = _decoded(text)
    return None if name is None or ":" in name else name


def secret_of(text: str) -> tuple[str, str] | None:
    """Group and key, or None: no secret has this id."""
    parts = (_decoded(text) or "").split(":")
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(text: str) -> str | None:
    try:
        name = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return name if _encoded(name) == text else None
