"""What a path is called in Google Secret Manager, whose names are 1 to 255 letters, digits, `-` and `_`.

    /tfy-secret/acme/payments/DB_PASSWORD     tfy-secret__acme__payments__DB_PASSWORD
    /tfy-secret/acme/pay.eu/a-b..c            tfy-secret__acme__pay--d-eu__a-b--dd-c

`__` stands between the parts; a single `-` or `_` inside a part stays; every other run of signs is `--`, a letter for each sign
(d `.`, h `-`, u `_`), and `-`. So no two paths have one name, and each name gives its path back. A name that would be too long is
refused, never cut. Own paths are Google's names: an id, or a resource name; what lies among the managed names is refused there in
every spelling, since group roles decide about those.
"""

import re
from dataclasses import dataclass

from broker.errors import InvalidRequest, NotFound
from broker.stores.checks import check_path, shown
from contract.fqn import ROOT, is_part

MAX_ID = 255
PREFIX = f"{ROOT}__"
LATEST = "latest"

_LETTERS = {".": "d", "-": "h", "_": "u"}
_SIGNS = {letter: sign for sign, letter in _LETTERS.items()}
_RUN = re.compile(r"[._-]+")
_ENCODED_PART = re.compile(r"[A-Za-z0-9]+(?:(?:[_-]|--(?:d|[dhu]{2,})-)[A-Za-z0-9]+)*")
_ESCAPED = re.compile(r"--([dhu]+)-")

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_PROJECT = r"(?:[a-z0-9.-]{1,100}:)?[a-z0-9][a-z0-9-]{0,62}"
_PARENT = re.compile(rf"projects/{_PROJECT}(?:/locations/[a-z0-9-]{{1,63}})?")
_RESOURCE = re.compile(rf"(?P<parent>{_PARENT.pattern})/secrets/(?P<secret>[^/]*)(?:/versions/(?P<version>[^/]*))?")
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
OWN_FORMS = "a secret's id, or projects/<project>/secrets/<id>[/versions/<version>]"


@dataclass(frozen=True, slots=True)
class Name:
    """A secret in Google's terms, and the version that was asked for. `parent` is `projects/<p>[/locations/<l>]`."""

    parent: str
    secret: str
    version: str | None = None

    @property
    def resource(self) -> str:
        return f"{self.parent}/secrets/{self.secret}"

    @property
    def version_resource(self) -> str:
        return f"{self.resource}/versions/{self.version or LATEST}"


def encode(tenant: str, group: str, key: str) -> str:
    """The id of a managed secret. Raises ValueError for what is no part of an FQN, and for an id that is too long."""
    if not all(map(is_part, (tenant, group, key))):
        raise ValueError("not the parts of a managed secret")
    made = "__".join((ROOT, *(_RUN.sub(_escaped, part) for part in (tenant, group, key))))
    if len(made) > MAX_ID:
        raise ValueError(f"its name would have {len(made)} characters; allowed: at most {MAX_ID}")
    return made


def decode(secret: str) -> tuple[str, str, str] | None:
    """The parts whose id this is; None: no managed secret's."""
    root, *parts = secret.split("__")
    if root != ROOT or len(parts) != 3 or not all(map(_ENCODED_PART.fullmatch, parts)) or len(secret) > MAX_ID:
        return None
    tenant, group, key = (_ESCAPED.sub(_unescaped, part) for part in parts)
    return tenant, group, key


def is_parent(text: str) -> bool:
    return _PARENT.fullmatch(text) is not None


def find_name(parent: str, path: str, version: str | None = None) -> Name:
    """Where a path is. `parent` is the store's own. Raises InvalidRequest, and NotFound for a version that no secret can have."""
    check_path(path)
    name = _managed(parent, path) if path.startswith(f"/{ROOT}/") else _own(parent, path)
    if version is not None and name.version is not None and version != name.version:
        raise InvalidRequest(
            f"path '{shown(path)}': found version '{shown(version)}' beside it. To fix: remove ?version=, or the one in the path"
        )
    wanted = name.version if version is None else version
    if wanted is not None and not is_version(wanted):
        raise NotFound(f"path '{shown(path)}' version '{shown(wanted)}': no version is called so; allowed: a number, an alias, or {LATEST}")
    return Name(name.parent, name.secret, wanted)


def is_version(text: str) -> bool:
    return is_number(text) or _ALIAS.fullmatch(text) is not None


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def number_of(resource: str, name: Name) -> str | None:
    """The version's number in an answer's resource name, if that is one of this secret. The project may be spelled as its number."""
    secret, separator, number = resource.rpartition("/versions/")
    return number if separator and secret.rpartition("/secrets/")[2] == name.secret and is_number(number) else None


def _managed(parent: str, path: str) -> Name:
    parts = path.removeprefix(f"/{ROOT}/").split("/")
    if len(parts) != 3 or not all(map(is_part, parts)):
        raise InvalidRequest(f"path '{shown(path)}': allowed: /{ROOT}/<tenant>/<group>/<key>, or {OWN_FORMS}")
    try:
        return Name(parent, encode(*parts))
    except ValueError as error:
        raise InvalidRequest(f"path '{shown(path)}': in Google Secret Manager {error}. To fix: a shorter group or key") from None


def _own(parent: str, path: str) -> Name:
    found = _RESOURCE.fullmatch(path)
    name = Name(found["parent"], found["secret"], found["version"]) if found else Name(parent, path)
    if not _ID.fullmatch(name.secret):
        raise InvalidRequest(f"path '{shown(path)}': allowed: {OWN_FORMS}; an id is 1 to {MAX_ID} letters, digits, '-' and '_'")
    if name.secret.lower().startswith(PREFIX):
        raise InvalidRequest(f"path '{shown(path)}': managed secrets are named {ROOT}://<tenant>:<group>:<key>. To fix: that name")
    if "/locations/" in name.parent and "/locations/" not in parent:
        raise InvalidRequest(f"path '{shown(path)}': the store's endpoint is not a location's, which has its own. To fix: a store for it")
    if "/locations/" in parent and parent.rpartition("/")[2] != name.parent.rpartition("/")[2]:
        location = parent.rpartition("/")[2]
        raise InvalidRequest(f"path '{shown(path)}': the store is of the location {location}. To fix: a name in that location")
    return name


def _escaped(run: re.Match[str]) -> str:
    signs = run[0]
    return signs if signs in ("-", "_") else f"--{''.join(_LETTERS[sign] for sign in signs)}-"


def _unescaped(run: re.Match[str]) -> str:
    return "".join(_SIGNS[letter] for letter in run[1])
