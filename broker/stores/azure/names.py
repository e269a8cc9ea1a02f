"""What a path is called in a key vault. Azure takes letters, digits and '-', at most 127, and does not tell capitals from small letters.

A managed path /tfy-secret/<tenant>/<group>/<key> becomes `tfy-secret--<tenant>--<group>--<key>`, in small letters. A part whose first
letter is a capital begins with `---`, is in capitals, and its `-` stands for `_`; elsewhere `-` stands for itself:

    /tfy-secret/acme/payments/DB_PASSWORD  ->  tfy-secret--acme--payments---db-password
    /tfy-secret/acme/payments/tls.crt      ->  tfy-secret--acme--payments--tls-2crt
    /tfy-secret/acme/payments/dbPassword   ->  tfy-secret--acme--payments--db-3password

What else there is takes two characters: -0 is '-', -1 is '_', -2 is '.', -3 gives the next letter the other case, -4 that and all after
it. Each path has one name and each name one path. An own path is an Azure name, or the full id of a secret in this very vault; names
that begin with `tfy-secret--` are not to be had that way, in any case of their letters: roles of groups guard them.
"""

import re
from dataclasses import dataclass

from broker.errors import InvalidRequest
from broker.stores.checks import check_path, shown
from contract.fqn import MANAGED_FORM, ROOT, is_part

MAX_NAME = 127
_SPACE = f"{ROOT}--"
PROBE = _SPACE  # no path is called that
_ESCAPES = {"-": "-0", "_": "-1", ".": "-2"}
_MARKS = {escape: mark for mark, escape in _ESCAPES.items()}
_ONE_OTHER, _ALL_OTHER = "-3", "-4"
_TOKEN = re.compile(r"---?(?=[a-z0-9])|-[0-4]|-(?=[a-z])|[a-z0-9]")
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
_ID = re.compile(r"https://([^/]+)/secrets/([^/]+)(?:/([^/]+))?/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A secret in the vault, and the version that an own path named."""

    name: str
    version: str | None = None


def locate(path: str, vault: str) -> Target:
    """Where a path is in the vault at `vault` (host, and port if it is not 443). Raises InvalidRequest."""
    check_path(path)
    parts = path.split("/")
    if len(parts) == 5 and parts[:2] == ["", ROOT] and all(map(is_part, parts[2:])):
        return Target(encode(path))
    target = _from_id(path, vault) if "://" in path else Target(path.removeprefix("/"))
    if not _NAME.fullmatch(target.name):
        raise InvalidRequest(
            f"path '{shown(path)}': no name in Key Vault; allowed: letters, digits and '-', at most {MAX_NAME}, or "
            f"https://{vault}/secrets/<name>"
        )
    if target.name.lower().startswith(_SPACE):
        raise InvalidRequest(f"path '{shown(path)}': managed secrets are named {MANAGED_FORM}, not by what they are called in the vault")
    return target


def _from_id(path: str, vault: str) -> Target:
    found = _ID.fullmatch(path)
    if found is None or found[1].lower().removesuffix(":443") != vault.lower():
        raise InvalidRequest(
            f"path '{shown(path)}': no secret of this vault; allowed: https://{vault}/secrets/<name>, or https://{vault}/secrets/<name>/<version>"
        )
    return Target(found[2], found[3])


def encode(path: str) -> str:
    """The name of a managed path. Raises InvalidRequest if it would be too long."""
    name = ROOT + "".join(map(_encoded, path.split("/")[2:]))
    if len(name) > MAX_NAME:
        raise InvalidRequest(
            f"path '{shown(path)}': its name in Key Vault would have {len(name)} characters; allowed: at most {MAX_NAME}. "
            "To fix: a shorter group or key"
        )
    return name


def decode(name: str) -> str:
    """The managed path that a name in the vault belongs to. Raises ValueError for any other name."""
    name = name.lower()
    parts: list[list[str]] = []
    capitals = once = False
    position = len(ROOT)
    while found := _TOKEN.match(name, position):
        position, token = found.end(), found[0]
        if token in ("--", "---"):
            parts.append([])
            capitals = len(token) == 3
        elif not parts:
            break
        elif token in (_ONE_OTHER, _ALL_OTHER):
            once, capitals = token == _ONE_OTHER, not capitals if token == _ALL_OTHER else capitals
        elif token.isalnum():
            parts[-1].append(token.upper() if capitals is not once else token)
            once = once and token.isdigit()
        else:
            parts[-1].append(_MARKS.get(token, "_" if capitals else "-"))
    path = "/".join(["", ROOT, *map("".join, parts)])
    if len(parts) != 3 or not all(is_part("".join(part)) for part in parts) or encode(path) != name:
        raise ValueError(f"'{shown(name)}' is no managed secret's name")
    return path


def _encoded(part: str) -> str:
    letters = [character for character in part if character.isalpha()]
    capitals = bool(letters) and letters[0].isupper()
    written = ["---" if capitals else "--"]
    for index, character in enumerate(part):
        if character.isalpha():
            letters.pop(0)
            if character.isupper() is not capitals:
                stays = bool(letters) and letters[0].isupper() is not capitals
                written.append(_ALL_OTHER if stays else _ONE_OTHER)
                capitals = capitals is not stays
            written.append(character.lower())
        elif character.isdigit():
            written.append(character)
        else:
            following = part[index + 1]
            plain = character == ("_" if capitals else "-") and following.isalpha() and following.isupper() is capitals
            written.append("-" if plain else _ESCAPES[character])
    return "".join(written)
