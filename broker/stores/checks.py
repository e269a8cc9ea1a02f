"""What every store asks of a path and a value before anything is sent or written. A store's own narrower rules are its own."""

import re

from broker.errors import InvalidRequest, TooLarge
from contract import fqn, wire
from contract.values import SecretValue

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_path(path: str) -> None:
    """The grammar lets no other path through; this holds for callers that do not come by an FQN, such as check-store."""
    if not path or len(path) > fqn.MAX_LENGTH:
        raise InvalidRequest(f"path: found {len(path)} characters; allowed: 1 to {fqn.MAX_LENGTH}")
    if _CONTROL.search(path) or not _is_unicode(path):
        raise InvalidRequest(f"path '{shown(path)}': holds a control character or half a surrogate pair. To fix: remove it")


def check_size(path: str, value: SecretValue) -> None:
    if len(value) > wire.MAX_VALUE_BYTES:
        raise TooLarge(f"path '{shown(path)}': found a value of {len(value)} bytes; allowed: at most {wire.MAX_VALUE_BYTES}")


def shown(path: str) -> str:
    """A path as a message may show it."""
    return fqn.shorten(path.encode("utf-8", "replace").decode())


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
